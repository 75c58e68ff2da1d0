"""MLflow's model registry: blocks registered there, and registered models taken from there."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaloom.exchange.extras import optional
from metaloom.exchange.mlflow_model import LOADER, write_mlflow
from metaloom.exchange.model_card import load_yaml
from metaloom.exchange.programs import portable_of
from metaloom.exchange.pt2 import PT2
from metaloom.home import without_password
from metaloom.lineage.addresses import MODELS, addressed, is_model_address
from metaloom.lineage.mirror_tags import TAG_DIGEST, TAG_REFERENCE
from metaloom.lineage.sender import CALM, artifact_root, tracking_uri
from metaloom_registry import Consent, Imported, ParseError, Refused, StorageError
from metaloom_registry.manifest import MANIFEST_FILE

if TYPE_CHECKING:
    from metaloom.blocks import Block

EXPORTED_FILE = "model.pt2"
MODEL_FILE = "MLmodel"
PURPOSE = "a model of MLflow's registry"
MAX_MODEL_FILE = 1 << 20
_NAME = re.compile(r"[^/:.%\"'\s][^/:%\"']{0,199}")


@dataclass(frozen=True)
class ModelFiles:
    """The files of a model of MLflow, fetched from an address into a folder."""

    address: str
    folder: Path

    def __str__(self) -> str:
        return self.address


def register_model(block: Block, name: str, uri: str | None = None) -> str:
    """Register a block in MLflow's registry, as an MLflow model that serves it; its address.

    `uri` is the tracking server, by default the one the library is mirrored to.  The version is of
    the logged model that the mirror has for the block, and so of the run that made it; both carry
    the block's digest as a tag.  Raises ParseError for a name MLflow does not take, StorageError
    where the server fails, and as `write_mlflow` does.
    """
    if not _NAME.fullmatch(name):
        raise ParseError(f"{name[:80]!r} is no name of an MLflow model; it holds no / : % or quote")
    home = block.hub.home
    server = uri or tracking_uri(home)
    if server is None:
        raise StorageError("METALOOM_MLFLOW_URI is off; set it, or name the MLflow server")
    mlflow = _mlflow()
    client = mlflow.MlflowClient(tracking_uri=server, registry_uri=server)
    work = Path(tempfile.mkdtemp(prefix="metaloom-mlflow-"))
    tags = {TAG_DIGEST: str(block.digest), TAG_REFERENCE: str(block.reference)}
    try:
        model = work / "model"
        (work / "work").mkdir()
        write_mlflow(portable_of(block), model, work / "work")
        mirror = import_module("metaloom.lineage.mirror")
        logged = mirror.Mirror(client, artifact_root(server, home)).block(_message(block))
        if not client.list_logged_model_artifacts(logged.model_id):
            client.log_model_artifacts(logged.model_id, str(model))
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name)
        # A registry in a file looks up the logged model in whatever MLflow's own settings name.
        linked = server.startswith("http") or mlflow.get_tracking_uri() == server
        version = client.create_model_version(
            name,
            f"{MODELS}{logged.model_id}" if linked else logged.artifact_location,
            run_id=logged.source_run_id,
            tags=tags,
            model_id=logged.model_id if linked else None,
        )
    except mlflow.exceptions.MlflowException as error:
        raise StorageError(
            f"MLflow at {without_password(server)} did not register {block.reference}: "
            f"{str(error)[:300]}; check the address (METALOOM_MLFLOW_URI) and that the server is "
            "of MLflow 3"
        ) from error
    finally:
        shutil.rmtree(work)
    return f"{MODELS}{name}/{version.version}"


def _message(block: Block) -> dict[str, str]:
    """The block as the mirror is told of it."""
    runs = block.hub.lineage(block, 1).runs
    return {
        "digest": str(block.digest),
        "reference": str(block.reference),
        "kind": block.kind,
        "signature": str(block.signature),
        **({"solve": runs[0].hex} if runs else {}),
    }


class MlflowImporter:
    """Reads a PyTorch model of MLflow: `models:/name/version`, `models:/name@alias`,
    `runs:/id/path`, or a folder that `mlflow.pytorch.save_model` wrote."""

    def accepts(self, source: object) -> bool:
        if isinstance(source, Path):
            return (source / MODEL_FILE).is_file()
        return isinstance(source, ModelFiles) or is_model_address(source)

    def read(self, source: object, consent: Consent) -> Imported:
        """The model as a module. Raises Refused without trust, or where it is no PyTorch model."""
        if isinstance(source, ModelFiles):
            return _read(source.folder, source.address, consent)
        if isinstance(source, Path):
            return _read(source, str(source), consent)
        assert isinstance(source, str)
        with downloaded(source) as files:
            return _read(files.folder, source, consent)


MLFLOW = MlflowImporter()


def _read(folder: Path, address: str, consent: Consent) -> Imported:
    flavor = _flavors(folder).get("pytorch")
    if not isinstance(flavor, dict):
        raise Refused(
            f"{address} has the flavours {', '.join(map(str, _flavors(folder)))}; models of "
            "PyTorch and blocks that Metaloom registered are imported"
        )
    exported = folder / str(flavor.get("model_data", "")) / EXPORTED_FILE
    kind = "a .pt2 file" if exported.is_file() else "a pickled model"
    if not consent.trust:
        raise Refused(
            f"{address} is {kind}, which can run code when it is read; if you trust who "
            "registered it, say so: --trust, or trust=True. A block that Metaloom registered "
            "needs no trust"
        )
    if exported.is_file():
        return PT2.read(exported, consent)
    pytorch = optional("mlflow.pytorch", "mlflow", PURPOSE)
    try:
        return Imported(pytorch.load_model(str(folder), map_location="cpu").eval())
    except Exception as error:  # whatever its classes, which may be missing here, and MLflow raise
        raise ParseError(
            f"MLflow cannot load {address}: {type(error).__name__}: {str(error)[:300]}; install "
            "what it was saved with, or save it again as a .pt2 file"
        ) from error


@contextmanager
def downloaded(address: str, home: Path | None = None) -> Iterator[ModelFiles]:
    """The files of a model, for as long as they are looked at. Raises StorageError.

    They come from where the library in the folder `home` is mirrored to, or else from where MLflow
    itself looks.
    """
    mlflow = _mlflow()
    server = None if home is None else tracking_uri(home)
    shown = "" if server is None else f" at {without_password(server)}"
    work = Path(tempfile.mkdtemp(prefix="metaloom-mlflow-"))
    try:
        try:
            client = mlflow.MlflowClient(tracking_uri=server, registry_uri=server)
            found = mlflow.artifacts.download_artifacts(
                artifact_uri=addressed(client, address).location,
                dst_path=str(work),
                tracking_uri=server,
            )
        except Exception as error:  # many kinds: of the network, of the server, of the address
            raise StorageError(
                f"{address} cannot be fetched from MLflow{shown}: {str(error)[:300]}; check the "
                "name and the version, and METALOOM_MLFLOW_URI or MLFLOW_TRACKING_URI"
            ) from error
        yield ModelFiles(address, Path(found))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def block_folder(folder: Path) -> Path | None:
    """Where the portable folder of a block is in an MLflow model that Metaloom wrote, if it is."""
    flavor = _flavors(folder).get("python_function")
    if not isinstance(flavor, dict) or flavor.get("loader_module") != LOADER:
        return None
    place = (folder / str(flavor.get("data", ""))).resolve()
    inside = place.is_relative_to(folder.resolve())
    return place if inside and (place / MANIFEST_FILE).is_file() else None


def _flavors(folder: Path) -> dict[str, Any]:
    path = folder / MODEL_FILE
    if not path.is_file() or path.stat().st_size > MAX_MODEL_FILE:
        raise ParseError(f"{folder} has no {MODEL_FILE}, so it is no MLflow model")
    said = load_yaml(path.read_text(encoding="utf-8", errors="replace"), MODEL_FILE)
    flavors = said.get("flavors")
    return flavors if isinstance(flavors, dict) else {}


def _mlflow() -> Any:
    for name, value in CALM.items():
        os.environ.setdefault(name, value)
    return optional("mlflow", "mlflow", PURPOSE)
