import pytest

from metaloom_registry import EvaluationError, Primitive
from metaloom_registry.testing import PrimitiveSuite
from metaloom_template import PRIMITIVES, clamp


class TestDeclarations(PrimitiveSuite):
    """Everything that Metaloom asks of primitives, asked of ours."""

    @pytest.fixture
    def primitives(self) -> tuple[Primitive, ...]:
        return PRIMITIVES


def test_bounds_out_of_order_have_no_value() -> None:
    with pytest.raises(EvaluationError, match="9 is above 0"):
        clamp(9, 0, 5)
