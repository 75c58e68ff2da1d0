"""Files of torch.export: written for others, read where they are trusted."""

from typing import Any

import pytest
import torch
from torch import nn

from metaloom.exchange import PT2, import_block
from metaloom_registry import Consent, ParseError, Refused, TypeMismatch
from metaloom_registry.testing import ImporterSuite

SIGNATURE = "image[1,12,12] -> logits[5]"


@pytest.fixture(scope="module")
def file(block, tmp_path_factory):
    return block.export(tmp_path_factory.mktemp("pt2") / "small.pt2")


class TestPt2(ImporterSuite):
    signature = SIGNATURE

    @pytest.fixture
    def importer(self):
        return PT2

    @pytest.fixture
    def source(self, file):
        return file

    @pytest.fixture
    def consent(self):
        return Consent(trust=True)


def test_torch_alone_computes_the_same_from_it_at_any_batch_size(file, net, images):
    program = torch.export.load(file).module()

    for rows in (1, 3, 6):
        assert torch.equal(program(images[:rows]), net(images[:rows]))


def test_it_tells_no_path_of_this_machine(file):
    assert b"site-packages" not in file.read_bytes()
    assert b"metaloom_registry/" not in file.read_bytes()


def test_it_is_read_only_where_it_is_trusted(file, other, net, images):
    with pytest.raises(Refused, match=r"can run code .* --trust, or trust=True"):
        import_block(other, "you/small", file, SIGNATURE)

    block: Any = import_block(other, "you/small", file, SIGNATURE, consent=Consent(trust=True))

    assert torch.equal(block.load()(images), net(images))
    assert list(block.load().state_dict()) == list(net.state_dict())


def test_it_does_not_say_its_type(file, other):
    with pytest.raises(TypeMismatch, match="does not say what type it has; give a signature"):
        import_block(other, "you/small", file, consent=Consent(trust=True))


def test_a_program_for_one_batch_size_is_refused_with_the_reason(tmp_path, other):
    class Folded(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x.reshape(x.shape[0] * 3) * 2).reshape(x.shape[0], 3)

    program = torch.export.export(Folded(), (torch.ones(4, 3),))
    path = tmp_path / "fixed.pt2"
    torch.export.save(program, path)

    with pytest.raises(Refused) as refused:
        import_block(other, "you/fixed", path, "vec[3] -> vec[3]", consent=Consent(trust=True))
    assert "12" in str(refused.value)


def test_another_file_is_refused(tmp_path):
    (tmp_path / "not.pt2").write_bytes(b"nothing")

    with pytest.raises(ParseError, match=r"torch.export.load cannot read .*not.pt2"):
        PT2.read(tmp_path / "not.pt2", Consent(trust=True))
