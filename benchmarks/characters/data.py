"""Omniglot split by alphabets: what trains, what chooses, what tests.

Characters whose alphabet is held out are seen in no rotation.  Where another folder is tested on,
all its characters test, and all of the training folder train.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from benchmarks.contract import DATA, Options, found
from metaloom_metalearn import LabelledArrays, read_npz

HELD_OUT = 10
"""How many alphabets test where there is one folder of data alone."""

FILE = "omniglot.npz"


def device() -> torch.device:
    """Where all is computed and all data are held: a GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class Split:
    """The parts of the data, and how they came about, in words."""

    train: LabelledArrays
    test: LabelledArrays
    protocol: str

    def to(self, place: torch.device) -> Split:
        """The same parts on a device."""
        return replace(self, train=self.train.to(place), test=self.test.to(place))


def read_split(options: Options) -> Split:
    """Train on one folder and test on the other, or on alphabets held out of the one there is."""
    folder = options.train_data or options.data
    train = read_npz(found(folder, FILE), dataset="omniglot")
    given = options.data is not DATA  # the default is that very object
    if given and options.data.resolve() != folder.resolve():
        test = read_npz(options.file(FILE), dataset="omniglot")
        return Split(
            train,
            test,
            f"trained on {len(train.names)} characters of one folder, tested on all "
            f"{len(test.names)} of the other",
        )
    first, held = hold_out(train, HELD_OUT, torch.Generator().manual_seed(options.seed))
    return Split(
        first,
        held,
        f"{len(alphabets(held))} alphabets ({len(held.names)} characters) held out of "
        f"{len(alphabets(train))}, by seed {options.seed}",
    )


def hold_out(
    data: LabelledArrays, count: int, generator: torch.Generator
) -> tuple[LabelledArrays, LabelledArrays]:
    """The data without `count` alphabets drawn at random (at most a third), and these."""
    every = alphabets(data)
    order = torch.randperm(len(every), generator=generator).tolist()
    held = {every[place] for place in order[: min(count, len(every) // 3)]}

    def part(inside: bool) -> LabelledArrays:
        return data.only([i for i, n in enumerate(data.names) if (_alphabet(n) in held) == inside])

    return part(False), part(True)


def alphabets(data: LabelledArrays) -> Sequence[str]:
    """The alphabets of the characters, sorted."""
    return sorted({_alphabet(name) for name in data.names})


def _alphabet(name: str) -> str:
    return name.split("/")[0]
