"""The primitives on lists, integers and truth values."""

import pytest

from metaloom_lists import PRIMITIVES
from metaloom_registry.testing import PrimitiveSuite


class TestPrimitives(PrimitiveSuite):
    @pytest.fixture
    def primitives(self):
        return PRIMITIVES
