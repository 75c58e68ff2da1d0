"""Blocks as repositories of the Hugging Face Hub: saved, pushed, and pulled from there.

A repository is a portable folder with a README.md: its head names licence and tags as the Hub has
them, and in one block `metaloom:` the digest, kind and type.  What is pulled is checked against the
digests of its manifest, and its manifest against the digest that README.md or the caller names.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaloom.exchange.extras import optional
from metaloom.exchange.importing import import_block
from metaloom.exchange.mlflow_registry import is_model_address
from metaloom.exchange.model_card import hub_licence, read_card, write_card
from metaloom.exchange.programs import portable_of
from metaloom.exchange.repositories import (
    EXTRA,
    PURPOSE,
    Remote,
    Repository,
    said,
    snapshot,
)
from metaloom_registry import (
    BlockName,
    Corrupt,
    Digest,
    ParseError,
    Portable,
    StorageError,
    read_portable,
    write_portable,
)

if TYPE_CHECKING:
    from metaloom.blocks import Block
    from metaloom.hub import Hub

CARD_FILE = "README.md"
_ATTRIBUTES = "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"


def save_pretrained(
    block: Block, folder: str | os.PathLike[str], repository: str = "ORGANISATION/NAME"
) -> Path:
    """Write a block as a repository: a portable folder with a model card. Raises AlreadyExists.

    `repository` is where the card says that the block is to be had.
    """
    target = write_portable(portable_of(block), Path(folder).expanduser())
    (target / CARD_FILE).write_text(card_of(block, repository), encoding="utf-8")
    (target / ".gitattributes").write_text(_ATTRIBUTES, encoding="utf-8")
    return target


def card_of(block: Block, repository: str) -> str:
    """The model card of a block: a head in YAML, what its author wrote, and an example of use."""
    head: dict[str, Any] = {
        "library_name": "metaloom",
        "tags": ["metaloom", *block.tags],
        "metaloom": {
            "digest": str(block.digest),
            "kind": block.kind,
            "signature": str(block.signature),
            "reference": str(block.reference),
        },
    }
    if block.license is not None:
        head |= hub_licence(block.license)
    name = block.reference.name or block.digest.short
    use = (
        "## Use\n\n```python\nfrom metaloom import Hub\n\n"
        f'block = Hub.open().from_pretrained("{repository}")\n'
        "what = block.load()  # a torch.nn.Module, or a program\n```\n"
    )
    body = block.card.strip() or f"# {name}\n\n`{block.signature}`"
    return write_card(head, f"{body}\n\n{use}")


def push_to_hub(
    block: Block,
    repository: str,
    *,
    remote: Remote | None = None,
    private: bool | None = None,
    message: str | None = None,
) -> str:
    """Send a block to a repository, which is made where it is missing; the address of the commit.

    Tensors go by Xet where `hf_xet` is installed; HF_HUB_DISABLE_XET=1 is for servers without it.
    Raises StorageError where the server cannot be reached or refuses, or offline.
    """
    to = Repository.parse(repository)
    server = remote or Remote.of()
    if server.offline:
        raise StorageError(f"cannot push to {to.name}: METALOOM_OFFLINE forbids it; unset it")
    hub = optional("huggingface_hub", EXTRA, PURPOSE)
    api = hub.HfApi(endpoint=server.endpoint, token=server.token)
    work = Path(tempfile.mkdtemp(prefix="metaloom-push-"))
    try:
        folder = save_pretrained(block, work / "repository", to.name)
        api.create_repo(to.name, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=to.name,
            folder_path=str(folder),
            revision=to.revision,
            commit_message=message or f"Publish {block.reference}",
            delete_patterns=["*"],
        )
    except Exception as error:  # many kinds: of the network, of the Hub
        raise StorageError(
            f"{block.reference} cannot be pushed to {to.name}: {said(error)}; check the name, "
            "the connection, and that METALOOM_TOKEN may write there"
        ) from error
    finally:
        shutil.rmtree(work)
    return str(done.commit_url)


def from_pretrained(
    hub: Hub,
    source: str | os.PathLike[str],
    name: str | None = None,
    *,
    digest: Digest | None = None,
    remote: Remote | None = None,
) -> Block:
    """Publish the block in a saved folder or a repository here, under its name there or another.

    A model of MLflow's registry, `models:/name/1`, is taken too, if a library registered it.
    `digest` is the block that is wanted.  It is validated as of unknown origin.  Raises
    StorageError where the server cannot be reached, NotFound, Corrupt where other bytes are served
    than were asked for, and as importing does.
    """
    text = os.fspath(source)
    if is_model_address(text):
        if name is None:
            raise ParseError(f"give the block of {text} a name here, such as me/net")
        return import_block(hub, name, text)
    if Path(text).expanduser().is_dir():
        folder, called = Path(text).expanduser(), None
    else:
        repository = Repository.parse(text)
        folder, called = snapshot(repository, remote or Remote.of()), repository.name
    portable = read_portable(folder)
    _require_named(portable, folder, digest)
    chosen = name or called
    if chosen is None:
        raise ParseError(f"the folder {folder} has no name of its own; give one, such as me/net")
    return import_block(hub, str(BlockName.parse(chosen)), folder)


def _require_named(portable: Portable, folder: Path, wanted: Digest | None) -> None:
    """Raise Corrupt where it is another block than was asked for, or than README.md says."""
    if wanted is not None and portable.digest != wanted:
        raise Corrupt(
            f"the block {wanted} was asked for, and {portable.digest} was served; ask for the "
            "revision at which it was pushed, or pull it from elsewhere"
        )
    card = folder / CARD_FILE
    if not card.is_file():
        return
    said = read_card(card.read_text(encoding="utf-8", errors="replace")).metaloom.get("digest")
    if said is not None and said != str(portable.digest):
        raise Corrupt(
            f"the card says that the block is {str(said)[:80]}, and it is {portable.digest}; "
            "the repository was changed by hand: push the block again"
        )
