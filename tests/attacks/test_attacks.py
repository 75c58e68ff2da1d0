"""Every attack is refused with its own error, quickly, in little memory, touching nothing."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from .attack import MAX_BYTES, MAX_SECONDS, Watch, measured
from .table import DOCUMENT, attacks, with_attacks

WATCH = Watch()
ALLOWED = ("/dev/null",)


@pytest.mark.parametrize("attack", attacks(), ids=lambda attack: attack.name.replace(" ", "-"))
def test_the_attack_is_refused(attack, tmp_path, monkeypatch):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text("mine")
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(outside)
    with measured() as took, WATCH.watching(), pytest.raises(attack.error) as error:
        attack.carry_out(inside)
    assert type(error.value) is attack.error
    assert re.search(attack.says, str(error.value)), str(error.value)
    assert took.seconds < MAX_SECONDS
    assert took.bytes < MAX_BYTES
    assert [event for event in WATCH.seen if str(inside) not in event] == []
    assert [(path.name, path.read_text()) for path in outside.iterdir()] == [("mine", "mine")]


def test_no_two_attacks_end_with_the_same_words():
    known = Counter((attack.error, attack.says) for attack in attacks() if attack.says)
    assert [key for key, count in known.items() if count > 1] == []
    names = Counter(attack.name for attack in attacks())
    assert [name for name, count in names.items() if count > 1] == []
    assert len(names) >= 48


def test_the_documentation_lists_the_attacks():
    written = DOCUMENT.read_text(encoding="utf-8")
    assert with_attacks(written) == written, "run `python docs/attacks.py`"


def test_the_watch_sees_what_it_should(tmp_path: Path):
    with WATCH.watching():
        (tmp_path / "x").write_text("x")
        (tmp_path / "x").unlink()
    assert [event.split("(")[0] for event in WATCH.seen] == ["open", "os.remove"]
