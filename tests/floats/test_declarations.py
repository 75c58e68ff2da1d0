"""The primitives of `metaloom_floats` pass the suite."""

from __future__ import annotations

import pytest

from metaloom_floats import PRIMITIVES
from metaloom_lists import PRIMITIVES as LISTS
from metaloom_registry import Primitive, PrimitiveTable
from metaloom_registry.testing.declarations import PrimitiveSuite


class TestFloats(PrimitiveSuite):
    @pytest.fixture
    def primitives(self) -> tuple[Primitive, ...]:
        return PRIMITIVES

    @pytest.fixture
    def vocabulary(self, primitives: tuple[Primitive, ...]) -> PrimitiveTable:
        return PrimitiveTable((*primitives, *LISTS))
