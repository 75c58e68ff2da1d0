"""What a composition inherits: licences, and the classes its parts have seen."""

import pytest
import torch
from tests.hub.conftest import encoder, picture_task

from metaloom_metalearn import Examples, Task
from metaloom_registry import Digest, LicenceConflict, parse_type


@pytest.fixture
def encoders(hub):
    """Publishes an encoder of its own under a name."""

    def make(name, seed, **options):
        return hub.publish(name, encoder(seed), "image[1,4,4] -> vec[8]", **options)

    return make


def test_a_composition_has_the_strictest_licence_of_its_parts(hub, encoders):
    encoders("a/free", 0, license="MIT")
    encoders("a/copyleft", 1, license="GPL-3.0-only")
    hub.publish("a/one", hub["a/free"] >> hub["heads/prototypes"])
    hub.publish("a/two", hub["a/copyleft"] >> hub["heads/prototypes"])
    assert hub["a/one"].license == "MIT"
    assert hub["a/two"].license == "GPL-3.0-only"
    with pytest.raises(LicenceConflict, match=r"a/copyleft@1 asks for GPL-3\.0-only"):
        hub.publish("a/three", hub["a/copyleft"] >> hub["heads/prototypes"], license="MIT")


def test_a_program_has_the_strictest_licence_of_its_blocks_and_its_parents(hub):
    hub.publish("a/free", "(lam (map (add 1) $0))", license="mit")
    hub.publish("a/copyleft", "(lam (map (add 2) $0))", license="gpl-3.0")
    assert hub["a/free"].license == "MIT"
    made = hub.publish("a/one", "(lam (a/copyleft $0))", parents=["a/free"])
    assert made.license == "GPL-3.0-only"
    turned = hub.publish("a/two", "(lam (a/free $0))", parents=["a/copyleft"])
    assert turned.license == "GPL-3.0-only"


def test_parents_whose_licences_exclude_each_other_are_named(hub, encoders):
    encoders("a/old", 0, license="GPL-2.0-only")
    encoders("a/new", 1, license="Apache-2.0")
    with pytest.raises(LicenceConflict, match=r"a/old@1 \(GPL-2\.0-only\) and a/new@1"):
        encoders("a/both", 2, parents=("a/old", "a/new"))
    assert "a/both" not in hub


def test_an_evaluation_on_classes_that_a_block_was_trained_on_is_flagged(hub, encoders):
    plain = picture_task(2, 0)
    classes = frozenset(Digest.of(bytes([i])) for i in range(3))
    task = Task(plain.type, plain.support, plain.query, name="seen", classes=classes)
    seen = encoders("a/seen", 0, seen=sorted(classes)[:2])
    fresh = encoders("a/fresh", 1)
    [leak] = hub.leaks(seen >> hub["heads/prototypes"], task)
    assert (leak.block, len(leak.classes)) == (seen.digest, 2)
    assert hub.leaks(fresh >> hub["heads/prototypes"], task) == ()
    made = hub.publish("a/made", hub.adapt(seen >> hub["heads/prototypes"], task))
    assert made.facts["solution"]["leakage"] == {str(seen.digest): 2}
    other = hub.publish("a/other", hub.adapt(fresh >> hub["heads/prototypes"], task))
    assert "leakage" not in other.facts["solution"]


def test_what_is_made_of_a_block_has_seen_what_the_block_saw(hub, encoders):
    plain = picture_task(2, 0)
    task = Task(plain.type, plain.support, classes=frozenset({Digest.of(b"a")}))
    encoders("a/seen", 0, seen=[Digest.of(b"a")])
    hub.publish("a/whole", hub["a/seen"] >> hub["heads/prototypes"])
    assert len(hub.leaks("(lam (lam (a/whole $1 $0)))", task)) == 1


def test_an_adaptation_is_a_run_between_the_task_and_the_solution(hub, encoders):
    task = picture_task(2, 0)
    encoders("a/e", 0)
    solution = hub.adapt(hub["a/e"] >> hub["heads/prototypes"], task)
    made = hub.publish("a/made", solution)
    kinds = {node.kind for node in hub.lineage(made, depth=3).parents.nodes}
    assert {"run", "task", "block", "primitive"} <= kinds
    assert solution.predict(torch.zeros(1, 4, 4)) is not None


def test_examples_that_are_no_task_are_adapted_to_and_leave_no_run(hub, encoders):
    task = picture_task(2, 0)
    encoders("a/e", 0)
    examples = Examples(task.support.inputs, task.support.outputs)
    hub.adapt(hub["a/e"] >> hub["heads/prototypes"], examples)
    assert hub.lineage("a/e").children.nodes[1:] == ()
    assert parse_type("int") is not None
