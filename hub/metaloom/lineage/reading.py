"""Back from MLflow to the library: the blocks that MLflow's runs and models stand for, by tag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from metaloom.lineage.addresses import MODELS, addressed, is_model_address
from metaloom.lineage.mirror_tags import TAG_DIGEST, TAG_RUN, TAG_TASK
from metaloom_registry import Digest, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow import MlflowClient


@dataclass(frozen=True, slots=True)
class TracedRun:
    """What a run of MLflow is to the library: its record, its task, blocks it took and gave."""

    run: Digest | None
    task: Digest | None
    inputs: tuple[Digest, ...]
    outputs: tuple[Digest, ...]


def block_of_model(client: MlflowClient, model: str) -> Digest:
    """The block that a model stands for, by the id of a logged one or by an address.

    Addresses are `models:/name/version`, `models:/name@alias` and what else `addressed` takes.
    Raises NotFound where it has no tag of ours.
    """
    address = model if is_model_address(model) else f"{MODELS}{model}"
    found = _digest(addressed(client, address).tags, TAG_DIGEST)
    if found is None:
        raise NotFound(
            f"the MLflow model {model} has no tag {TAG_DIGEST}: no published block stands behind "
            "it; publish what made it, or import it with `metaloom import`"
        )
    return found


def trace_run(client: MlflowClient, run_id: str) -> TracedRun:
    """The blocks that a run took and gave; models that were never published are left out."""
    run = client.get_run(run_id)
    taken = run.inputs.model_inputs if run.inputs else ()
    given = run.outputs.model_outputs if run.outputs else ()
    return TracedRun(
        _digest(run.data.tags, TAG_RUN),
        _digest(run.data.tags, TAG_TASK),
        _blocks(client, [one.model_id for one in taken]),
        _blocks(client, [one.model_id for one in given]),
    )


def _blocks(client: MlflowClient, models: list[str]) -> tuple[Digest, ...]:
    tags = (client.get_logged_model(model).tags for model in models)
    return tuple(found for one in tags if (found := _digest(one, TAG_DIGEST)) is not None)


def _digest(tags: Mapping[str, str], tag: str) -> Digest | None:
    text = tags.get(tag)
    return None if not text else Digest.parse(text)
