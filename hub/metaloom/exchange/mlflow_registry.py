"""MLflow's model registry: blocks registered there, and registered models taken from there."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaloom.exchange.extras import optional
from metaloom.exchange.mlflow_model import LOADER, write_mlflow
from metaloom.exchange.model_card import load_yaml
from metaloom.exchange.programs import portable_of
from metaloom.lineage.mirror_tags import EXPERIMENT, TAG_DIGEST, TAG_REFERENCE
from metaloom.lineage.sender import CALM, tracking_uri
from metaloom_registry import Consent, Imported, ParseError, Refused, StorageError
from metaloom_registry.manifest import MANIFEST_FILE

if TYPE_CHECKING:
    from metaloom.blocks import Block

ADDRESS = "models:/"
MODEL_FILE = "MLmodel"
PURPOSE = "a model of MLflow's registry"
MAX_MODEL_FILE = 1 << 20
_NAME = re.compile(r"[^/:.%\"'\s][^/:%\"']{0,199}")


def register_model(block: Block, name: str, uri: str | None = None) -> str:
    """Register a block in MLflow's registry, as an MLflow model that serves it; its address.

    `uri` is the tracking server, by default the one the library is mirrored to.  The model and its
    version carry the block's digest as a tag.  Raises ParseError for a name MLflow does not take,
    StorageError where the server fails, and as `write_mlflow` does.
    """
    if not _NAME.fullmatch(name):
        raise ParseError(f"{name[:80]!r} is no name of an MLflow model; it holds no / : % or quote")
    server = _server(block.hub.home, uri)
    mlflow = _mlflow()
    client = mlflow.MlflowClient(tracking_uri=server, registry_uri=server)
    work = Path(tempfile.mkdtemp(prefix="metaloom-mlflow-"))
    tags = {TAG_DIGEST: str(block.digest), TAG_REFERENCE: str(block.reference)}
    try:
        model = work / "model"
        (work / "work").mkdir()
        write_mlflow(portable_of(block), model, work / "work")
        experiment = _experiment(client, block.hub.home, server)
        logged = client.create_logged_model(experiment, name=name, tags=tags, model_type=block.kind)
        client.log_model_artifacts(logged.model_id, str(model))
        client.finalize_logged_model(logged.model_id, "READY")
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name)
        version = client.create_model_version(
            name, f"models:/{logged.model_id}", tags=tags, model_id=logged.model_id
        )
    except mlflow.exceptions.MlflowException as error:
        raise StorageError(
            f"MLflow at {server} did not register {block.reference}: {str(error)[:300]}; "
            "check the address (METALOOM_MLFLOW_URI) and that the server is of MLflow 3"
        ) from error
    finally:
        shutil.rmtree(work)
    return f"{ADDRESS}{name}/{version.version}"


class MlflowImporter:
    """Reads a registered PyTorch model, `models:/name/version` or `models:/name@alias`."""

    def accepts(self, source: object) -> bool:
        return is_model_address(source)

    def read(self, source: object, consent: Consent) -> Imported:
        """The model as a module. Raises Refused without trust, or where it is no PyTorch model."""
        assert isinstance(source, str)
        if not consent.trust:
            raise Refused(
                f"{source} is a pickled model, which can run code when it is read; if you trust "
                "who registered it, say so: --trust, or trust=True. A block that Metaloom "
                "registered needs no trust"
            )
        with downloaded(source) as folder:
            if "pytorch" not in _flavors(folder):
                raise Refused(
                    f"{source} has the flavours {', '.join(_flavors(folder))}; models of PyTorch "
                    "and blocks that Metaloom registered are imported"
                )
            pytorch = optional("mlflow.pytorch", "mlflow", PURPOSE)
            return Imported(pytorch.load_model(str(folder), map_location="cpu").eval())


MLFLOW = MlflowImporter()


def is_model_address(source: object) -> bool:
    """Whether it is the address of a model in MLflow's registry."""
    return isinstance(source, str) and source.startswith(ADDRESS)


@contextmanager
def downloaded(address: str) -> Iterator[Path]:
    """The files of a registered model, for as long as they are looked at. Raises StorageError."""
    mlflow = _mlflow()
    work = Path(tempfile.mkdtemp(prefix="metaloom-mlflow-"))
    try:
        try:
            found = mlflow.artifacts.download_artifacts(artifact_uri=address, dst_path=str(work))
        except Exception as error:  # many kinds: of the network, of the server, of the address
            raise StorageError(
                f"{address} cannot be fetched from MLflow: {str(error)[:300]}; check the name and "
                "the version, and MLFLOW_TRACKING_URI"
            ) from error
        yield Path(found)
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


def _experiment(client: Any, home: Path, server: str) -> str:
    """The experiment that the library is mirrored to."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    artifacts = (home / "mlflow-artifacts").as_uri() if server.startswith("sqlite:") else None
    return str(client.create_experiment(EXPERIMENT, artifact_location=artifacts))


def _server(home: Path, given: str | None) -> str:
    found = given or tracking_uri(home)
    if found is None:
        raise StorageError("METALOOM_MLFLOW_URI is off; set it, or name the MLflow server")
    return found


def _mlflow() -> Any:
    for name, value in CALM.items():
        os.environ.setdefault(name, value)
    return optional("mlflow", "mlflow", PURPOSE)
