"""The addresses of models in MLflow, looked up on one server whatever MLflow's own settings are.

`models:/name/3`, `models:/name/latest`, `models:/name@alias` are versions in MLflow's registry,
`models:/m-...` is a logged model, and `runs:/id/path` what a run has under a path.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metaloom_registry import NotFound, ParseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

MODELS = "models:/"
RUNS = "runs:/"


@dataclass(frozen=True)
class Addressed:
    """Where the files of a model are, as an address of MLflow's artifacts, and its tags."""

    location: str
    tags: Mapping[str, str] = field(default_factory=dict)


def is_model_address(source: object) -> bool:
    """Whether it is the address of a model in MLflow's registry, or of one that a run logged."""
    return isinstance(source, str) and source.startswith((MODELS, RUNS))


def addressed(client: MlflowClient, address: str) -> Addressed:
    """What an address stands for. Raises ParseError or NotFound, and what MLflow raises."""
    if address.startswith(RUNS):
        run, _, path = address.removeprefix(RUNS).partition("/")
        if not run or not path:
            raise ParseError(f"{address} is no address of MLflow; write runs:/ID/PATH")
        return _of_run(client, run, path)
    version = _version(client, address)
    if isinstance(version, str):
        return _logged(client, version)
    logged = getattr(version, "model_id", None) or _model_id(version.source or "")
    if logged:
        return Addressed(_logged(client, logged).location, version.tags)
    location = client.get_model_version_download_uri(version.name, version.version)
    return Addressed(location, version.tags)


def _of_run(client: MlflowClient, run_id: str, path: str) -> Addressed:
    """What a run logged under a name: a logged model, or files of the run itself."""
    run = client.get_run(run_id)
    given = run.outputs.model_outputs if run.outputs else ()
    for model in (client.get_logged_model(output.model_id) for output in given):
        if model.name == path:
            return Addressed(model.artifact_location, model.tags)
    return Addressed(f"{str(run.info.artifact_uri).rstrip('/')}/{path}")


def _version(client: MlflowClient, address: str) -> ModelVersion | str:
    """The version that an address means, or the id of a logged model."""
    text = address.removeprefix(MODELS)
    name, slash, number = text.partition("/")
    if slash and number == "latest":
        versions = client.search_model_versions(f"name = '{name.replace(chr(39), '')}'")
        if not versions:
            raise NotFound(f"the registry of MLflow has no version of a model {name!r}")
        return max(versions, key=lambda version: int(version.version))
    if slash and number.isdecimal() and name:
        return client.get_model_version(name, number)
    name, at, alias = text.partition("@")
    if at and name and alias and not slash:
        return client.get_model_version_by_alias(name, alias)
    if not slash and not at and text.startswith("m-"):
        return text
    raise ParseError(
        f"{address} is no address of a model; write models:/name/3, models:/name@alias, "
        "models:/name/latest or models:/m-..."
    )


def _model_id(source: str) -> str:
    """The id of the logged model that is the source of a version, if it is one."""
    text = source.removeprefix(MODELS)
    return text if source.startswith(MODELS) and text.startswith("m-") else ""


def _logged(client: MlflowClient, model_id: str) -> Addressed:
    model = client.get_logged_model(model_id)
    return Addressed(model.artifact_location, model.tags)
