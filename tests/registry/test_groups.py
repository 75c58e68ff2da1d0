"""Groups of parameters: named by patterns, each parameter in one at most."""

from __future__ import annotations

import pytest

from metaloom_registry import Refused, parameter_groups

NAMES = ("body.0.weight", "body.0.bias", "body.1.weight", "head.weight", "head.bias")


def test_patterns_name_parameters():
    found = parameter_groups(NAMES, {"fast": "head.*", "frozen": ["body.0.*"]})
    assert found == {
        "fast": ["head.bias", "head.weight"],
        "frozen": ["body.0.bias", "body.0.weight"],
    }


@pytest.mark.parametrize(
    ("patterns", "reason"),
    [
        ({"quick": "head.*"}, "'quick' is no group of parameters; they are frozen, slow, fast"),
        ({"fast": "hed.*"}, "names no parameter; there are head"),
        ({"fast": "*", "slow": "head.bias"}, "head.bias is both fast and slow"),
    ],
)
def test_groups_that_make_no_sense_are_refused(patterns, reason):
    with pytest.raises(Refused, match=reason):
        parameter_groups(NAMES, patterns)


def test_a_module_without_parameters_has_no_groups():
    with pytest.raises(Refused, match="the module has no parameters"):
        parameter_groups((), {"fast": "*"})
