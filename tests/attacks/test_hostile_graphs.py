"""Graph documents made to run code, to exhaust the machine, or to be read in two ways."""

from __future__ import annotations

import copy
import io
import json
import pickle
import zipfile

import pytest
import torch
from torch import nn

from metaloom_registry.canonical import dump_canonical
from metaloom_registry.graph import load_graph, validate_graph


def test_the_block_that_is_attacked_is_valid(document, make_weights):
    cost = validate_graph(dump_canonical(document), make_weights())
    loaded = load_graph(dump_canonical(document), make_weights())
    assert cost.flops == 2 * 2 * 3 + 2
    assert loaded(torch.ones(1, 3)).tolist() == [[9.0, 19.0]]


@pytest.mark.parametrize(
    "op", ["aten.from_file/1", "os.system/1", "conv2d/2", "conv2d", "", 7, None]
)
def test_an_op_outside_the_table_is_refused_by_name(op, document, refuses_graph):
    document["nodes"][1]["op"] = op
    refuses_graph(document, r"nodes\[1\].*not in the table of opset 1")


@pytest.mark.parametrize("op", ["as_strided/1", "set/1", "from_file/1", "eval/1", "import/1"])
def test_ops_that_reach_outside_their_tensors_do_not_exist(op, document, refuses_graph):
    document["nodes"][1]["op"] = op
    refuses_graph(document, "not in the table")


@pytest.mark.parametrize("index", [4, 5, 1 << 40, -1])
def test_a_forward_reference_is_refused(index, document, refuses_graph):
    document["nodes"][0]["inputs"] = [index, 1, 2]
    refuses_graph(document, r"nodes\[0\] \(linear/1\)")


def test_a_cycle_is_refused(document, refuses_graph):
    document["nodes"][0]["inputs"][0] = 4
    document["nodes"][1]["inputs"] = [3]
    refuses_graph(document, "only the values before it, 0 to 2, are computed by then")


def test_a_node_that_takes_itself_is_refused(document, refuses_graph):
    document["nodes"][1]["inputs"] = [4]
    refuses_graph(document, "takes value 4")


def test_an_output_that_is_never_computed_is_refused(document, refuses_graph):
    document["outputs"] = {"value": 5}
    refuses_graph(document, "outputs takes value 5")


def test_a_value_of_training_does_not_leak_into_eval_mode(document, refuses_graph):
    document["nodes"][1]["when"] = "training"
    refuses_graph(document, "computed in training only")


def test_a_key_that_stands_twice_is_refused(document, refuses_graph):
    text = dump_canonical(document)
    twice = text.replace(b'"opset":1', b'"opset":1,"opset":1')
    refuses_graph(twice, "'opset' appears twice")


@pytest.mark.parametrize("count", [300, 1_000_000])
def test_deep_nesting_is_refused(count, refuses_graph):
    refuses_graph(b"[" * count + b"]" * count, "nests deeper")


def test_a_deep_tree_of_inputs_is_refused(document, refuses_graph):
    tree = document["inputs"][0]
    for _ in range(20):
        tree = {"tuple": [tree]}
    document["inputs"] = [tree]
    refuses_graph(document, "nests deeper than 8 levels")


def test_an_unending_text_is_refused_in_linear_time(refuses_graph):
    refuses_graph(b"[]" * 500 + b'\\"' * 1_500_000, "graph.json")


def test_a_large_document_is_refused_before_it_is_read(refuses_graph):
    refuses_graph(b" " * (4 * 1024 * 1024 + 1), "at most 4194304 are read")


def test_many_nodes_are_refused(document, refuses_graph):
    node = {"op": "relu/1", "inputs": [0], "arguments": {}}
    document["nodes"] = [node] * 20_001
    refuses_graph(document, "at most 20000")


def test_white_space_and_other_spellings_are_refused(document, refuses_graph):
    refuses_graph(json.dumps(document).encode(), "not in canonical form")
    refuses_graph(dump_canonical(document) + b"\n", "not in canonical form")


def test_a_document_followed_by_another_file_is_refused(document, refuses_graph):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("code.py", "print('hello')")
    refuses_graph(dump_canonical(document) + archive.getvalue(), "graph.json")


def test_a_pt2_is_refused_as_a_graph(refuses_graph):
    file = io.BytesIO()
    program = torch.export.export(nn.Linear(3, 2), (torch.zeros(1, 3),))
    torch.export.save(program, file)
    refuses_graph(file.getvalue(), "graph.json is not")


def test_a_pickle_is_refused_as_a_graph(refuses_graph):
    refuses_graph(pickle.dumps(valid_code()), "graph.json is not")


def valid_code() -> object:
    """Something whose unpickling would call a function."""

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (print, ("unpickled",))

    return Bomb()


@pytest.mark.parametrize("dimension", [1 << 40, 1 << 62, -5])
def test_a_dimension_beyond_bounds_is_refused(dimension, document, refuses_graph):
    document["inputs"][0]["tensor"]["shape"][1] = dimension
    refuses_graph(document, r"inputs\[0\].shape is -?\d+ where an integer")


def test_an_integer_beyond_64_bits_is_refused(document, refuses_graph):
    text = dump_canonical(document).replace(b'"high":1024', b'"high":' + b"9" * 400)
    refuses_graph(text, "does not fit into 64 bits")


@pytest.mark.parametrize("text", [b"1e999", b"NaN", b"-Infinity"])
def test_numbers_that_are_no_numbers_are_refused(text, document, refuses_graph):
    data = dump_canonical(document).replace(b'"high":1024', b'"high":' + text)
    refuses_graph(data, "graph.json")


def with_node(document, op, arguments, inputs=(4,)):
    """The document with one more node, whose value is the output."""
    spoiled = copy.deepcopy(document)
    spoiled["nodes"].append({"op": op, "inputs": list(inputs), "arguments": arguments})
    spoiled["outputs"] = {"value": 5}
    return spoiled


@pytest.mark.parametrize(
    ("op", "arguments"),
    [
        ("repeat/1", {"repeats": [1 << 20, 1 << 20]}),
        ("expand/1", {"sizes": [1 << 30, -1, 2]}),
        ("full/1", {"sizes": [1 << 16, 1 << 16], "value": 0.0, "dtype": "float64"}),
        ("range/1", {"start": 0, "stop": 1 << 38, "step": 1, "dtype": "int64"}),
        ("pad/1", {"amounts": [0, 1 << 16] * 2, "mode": "constant", "value": 0.0}),
    ],
)
def test_a_memory_bomb_is_refused_before_memory_is_touched(op, arguments, document, refuses_graph):
    refuses_graph(with_node(document, op, arguments), r"nodes\[2\].*(budget|beyond|Refused)")


def test_a_list_multiplied_is_refused(document, refuses_graph):
    arguments = {"repeats": [1 << 20] * 4000}
    refuses_graph(with_node(document, "repeat/1", arguments), r"repeat/1\).repeats")


def test_a_chain_that_doubles_is_refused(document, refuses_graph):
    for value in range(4, 60):
        document["nodes"].append(
            {"op": "concatenate/1", "inputs": [value, value], "arguments": {"dim": 0}}
        )
    document["outputs"] = {"value": 60}
    refuses_graph(document, "the budget is")


def test_sizes_that_multiply_themselves_are_refused(document, refuses_graph):
    document["nodes"].append({"op": "size/1", "inputs": [4], "arguments": {"dim": 1}})
    for value in range(5, 60):
        arguments = {"a": {"value": value}, "b": {"value": value}}
        document["nodes"].append({"op": "size_multiply/1", "inputs": [], "arguments": arguments})
    refuses_graph(document, r"the size \d+ is beyond")


def test_a_division_by_the_size_zero_is_refused(document, refuses_graph):
    document["nodes"].append({"op": "size_divide/1", "inputs": [], "arguments": {"a": 1, "b": 0}})
    refuses_graph(document, "1 divided by 0")


def test_a_tensor_used_as_a_size_is_refused(document, refuses_graph):
    arguments = {"sizes": [{"value": 3}]}
    refuses_graph(with_node(document, "reshape/1", arguments), "value 3 is a tensor where a size")


@pytest.mark.parametrize(
    "stride", [[0, 1], [1], [1, 1, 1], "11", [1.5, 1], [True, 1], [1 << 62, 1], None, {"a": 1}]
)
def test_arguments_outside_their_rules_are_refused(stride, document, refuses_graph):
    arguments = {"stride": stride, "padding": [0, 0], "dilation": [1, 1], "groups": 1}
    spoiled = with_node(document, "conv2d/1", arguments, (0, 1, None))
    refuses_graph(spoiled, r"nodes\[2\] \(conv2d/1\).stride")


def test_arguments_no_one_asked_for_are_refused(document, refuses_graph):
    arguments = {"dim": 1, "__class__": "os.system"}
    refuses_graph(with_node(document, "softmax/1", arguments), "keys it may not have")


def test_shapes_that_misfit_are_refused_at_their_node(document, refuses_graph):
    document["state"][0]["shape"] = [2, 4]
    refuses_graph(document, r"nodes\[0\] \(linear/1\): float32\[1,3\] times the weight")


def test_a_graph_that_fits_one_size_only_is_refused(document, make_weights, refusing):
    spoiled = with_node(document, "reshape/1", {"sizes": [2]})
    with refusing(r"nodes\[2\] \(reshape/1\)"):
        validate_graph(dump_canonical(spoiled), make_weights())


def test_an_update_of_a_parameter_is_refused(document, refuses_graph):
    document["updates"] = [{"state": 0, "value": 1, "when": "always"}]
    refuses_graph(document, "which is no buffer")


@pytest.mark.parametrize("name", ["version", "opset"])
def test_a_document_of_the_future_is_refused(name, document, refuses_graph):
    document[name] = 99
    refuses_graph(document, "99")
