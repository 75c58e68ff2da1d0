"""Blocks as repositories of the Hugging Face Hub: saved, pushed, and pulled from there.

A repository is a portable folder with a README.md: its head names licence and tags as the Hub has
them, and in one block `metaloom:` the digest, kind and type.  What is pulled is checked against the
digests of its manifest, and its manifest against the digest that README.md or the caller names.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaloom.exchange.importing import publish_portable
from metaloom.exchange.mlflow_registry import block_folder, downloaded
from metaloom.exchange.model_card import hub_licence, pipeline, write_card
from metaloom.exchange.programs import portable_of
from metaloom.exchange.pulling import CARD_FILE, pulled_folder, require_named
from metaloom.exchange.repositories import Remote, Repository
from metaloom.lineage.addresses import is_model_address
from metaloom_registry import (
    Digest,
    MetaloomError,
    NotFound,
    ParseError,
    Portable,
    Refused,
    StorageError,
    read_portable,
    write_portable,
)

if TYPE_CHECKING:
    from metaloom.blocks import Block
    from metaloom.hub import Hub

_ATTRIBUTES = "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"


def save_pretrained(
    block: Block, folder: str | os.PathLike[str], repository: str = "ORGANISATION/NAME"
) -> Path:
    """Write a block as a repository: a portable folder with a model card.

    `repository` is where the card says that the block is to be had.  Raises AlreadyExists, Refused
    for a block with a file of the card's name, and StorageError where the folder cannot be written.
    """
    target = Path(folder).expanduser()
    try:
        return _written(block, target, repository)
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written: {error.strerror or error}; choose another path"
        ) from error


def _written(block: Block, folder: Path, repository: str) -> Path:
    portable = portable_of(block)
    if any(path.lower() == CARD_FILE.lower() for path in portable.manifest.files):
        raise Refused(
            f"{block.reference} has a file {CARD_FILE} of its own, where a repository has its "
            "card; `metaloom export` writes it without one"
        )
    target = write_portable(portable, folder)
    (target / CARD_FILE).write_text(card_of(block, repository), encoding="utf-8")
    (target / ".gitattributes").write_text(_ATTRIBUTES, encoding="utf-8")
    return target


def card_of(block: Block, repository: str) -> str:
    """The model card of a block: a head in YAML, what its author wrote, and an example of use."""
    head: dict[str, Any] = {
        "library_name": "metaloom",
        **pipeline(block.signature),
        "tags": [*dict.fromkeys(("metaloom", *block.tags))],
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
    """Send a block to a repository as one commit, and give the address of that.

    The repository is made where it is missing, and so is the branch that a revision names.  Tensors
    go by Xet where `hf_xet` is installed; HF_HUB_DISABLE_XET=1 is for servers without it.  Raises
    StorageError where the server cannot be reached or refuses, or offline.
    """
    to = Repository.parse(repository)
    server = remote or Remote.of()
    if variable := server.forbidden():
        raise StorageError(f"cannot push to {to}: {variable} forbids it; unset it")
    api = server.api
    try:
        with tempfile.TemporaryDirectory(prefix="metaloom-push-") as work:
            folder = _written(block, Path(work) / "repository", to.name)
            if not api.repo_exists(to.name):
                api.create_repo(to.name, private=private, exist_ok=True)
            if to.revision is not None:
                api.create_branch(to.name, branch=to.revision, exist_ok=True)
            done = api.upload_folder(
                repo_id=to.name,
                folder_path=str(folder),
                revision=to.revision,
                commit_message=message or f"Publish {block.reference}",
                delete_patterns=["*"],
            )
    except MetaloomError:
        raise
    except Exception as error:  # many kinds: of the network, of the Hub
        doing = f"{block.reference} cannot be pushed to {to}"
        raise server.refusal(doing, error) from error
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
    called = None
    if is_model_address(text):
        with downloaded(text, hub.home) as files:
            folder = block_folder(files.folder)
            if folder is None:
                raise NotFound(
                    f"{text} is no block that a library registered; `metaloom import NAME {text} "
                    "--trust --signature TYPE` converts a model of PyTorch"
                )
            portable = _asked_for(folder, digest)
    elif (given := Path(text).expanduser()).is_dir():
        portable = _asked_for(given, digest)
    else:
        repository = Repository.parse(text)
        called = repository.name
        hub.require_free(name or called)
        portable = read_portable(pulled_folder(repository, remote or Remote.of(), digest))
    if name is None and called is None:
        raise ParseError(f"the block of {text} has no name of its own; give one, such as me/net")
    return publish_portable(hub, name or str(called), portable)


def _asked_for(folder: Path, wanted: Digest | None) -> Portable:
    portable = read_portable(folder)
    require_named(portable.digest, folder, wanted)
    return portable
