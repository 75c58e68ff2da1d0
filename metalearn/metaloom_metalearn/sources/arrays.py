"""Labelled arrays, and the episodes drawn from them: no Python loop over images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.tasks import Examples, Task, class_digest
from metaloom_registry import Arrow, Digest, InvalidTask, NotFound, Type, dump_canonical
from metaloom_registry import Tensor as TensorType


@dataclass(frozen=True, eq=False)
class LabelledArrays:
    """A data set in memory: inputs, float32 [n, ...], and the class of each.

    labels: int64 [n], places in `names`, the names of the classes.  `dataset` with a class's name
    is the identity of the class.  `kind` is the type of one input, `image` or `vec`; images lie in
    [0, 1], ink high.  Raises InvalidTask for wrong shapes, NaN, infinities and labels out of range.
    """

    inputs: torch.Tensor
    labels: torch.Tensor
    names: tuple[str, ...]
    dataset: str
    kind: str = "image"

    def __post_init__(self) -> None:
        what = f"the data set {self.dataset!r}"
        rank = 4 if self.kind == "image" else 2
        if self.inputs.dim() != rank or not self.inputs.is_floating_point():
            raise InvalidTask(
                f"{what} has inputs {_shape(self.inputs)}; wanted are floats "
                f"{'[n, channels, height, width]' if rank == 4 else '[n, features]'}"
            )
        if self.labels.shape != self.inputs.shape[:1] or self.labels.dtype != torch.int64:
            raise InvalidTask(
                f"{what} has labels {_shape(self.labels)} for {len(self.inputs)} inputs; "
                f"wanted is int64[{len(self.inputs)}]"
            )
        if not torch.isfinite(self.inputs).all():
            where = int((~torch.isfinite(self.inputs)).flatten(1).any(1).nonzero()[0])
            raise InvalidTask(f"{what} holds NaN or infinity in input {where}; remove or mend it")
        if len(self.labels) and not (
            0 <= int(self.labels.min()) and int(self.labels.max()) < len(self.names)
        ):
            raise InvalidTask(
                f"{what} has labels from {int(self.labels.min())} to {int(self.labels.max())} for "
                f"{len(self.names)} names of classes"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def type(self) -> Type:
        """The type of one input, such as `image[1,8,8]`."""
        return TensorType(self.kind, tuple(self.inputs.shape[1:]))

    @property
    def classes(self) -> tuple[Digest, ...]:
        """The identity of each class, in the order of `names`."""
        return tuple(class_digest(self.dataset, name) for name in self.names)

    @property
    def digest(self) -> Digest:
        """The identity of the data: its name, classes, labels and every number in it."""
        return Digest.of(
            dump_canonical(
                {
                    "dataset": self.dataset,
                    "names": list(self.names),
                    "shape": list(self.inputs.shape),
                    "labels": str(_bytes_digest(self.labels)),
                    "inputs": str(_bytes_digest(self.inputs)),
                }
            )
        )

    def to(self, device: torch.device | str) -> LabelledArrays:
        """The same data on a device, where episodes are then put together."""
        return replace(self, inputs=self.inputs.to(device), labels=self.labels.to(device))

    def with_rotations(self) -> LabelledArrays:
        """Square images turned by 90, 180 and 270 degrees too, as classes of their own.

        Santoro et al. 2016.  Raises InvalidTask where the inputs are no square images.
        """
        if self.kind != "image" or self.inputs.shape[-1] != self.inputs.shape[-2]:
            raise InvalidTask(
                f"the data set {self.dataset!r} : {self.type} has no square images to rotate"
            )
        count = len(self.names)
        return LabelledArrays(
            torch.cat([torch.rot90(self.inputs, turns, (-2, -1)) for turns in range(4)]),
            torch.cat([self.labels + count * turns for turns in range(4)]),
            tuple(f"{name}{turn}" for turn in _TURNS for name in self.names),
            self.dataset,
            self.kind,
        )

    def take(self, index: torch.Tensor) -> LabelledArrays:
        """The examples at these places; the names of all classes stay."""
        return LabelledArrays(
            self.inputs[index], self.labels[index], self.names, self.dataset, self.kind
        )

    def only(self, classes: Sequence[int]) -> LabelledArrays:
        """The examples of these classes, which are counted anew in the order given."""
        places = torch.full((len(self.names),), -1)
        places[list(classes)] = torch.arange(len(classes))
        labels = places.to(self.labels.device)[self.labels]
        kept = labels >= 0
        return LabelledArrays(
            self.inputs[kept],
            labels[kept],
            tuple(self.names[c] for c in classes),
            self.dataset,
            self.kind,
        )

    def named(self, names: Sequence[str]) -> LabelledArrays:
        """The examples of the classes of these names. Raises NotFound."""
        missing = sorted(set(names) - set(self.names))
        if missing:
            raise NotFound(f"the data set {self.dataset!r} has no class {missing[0]!r}")
        return self.only([self.names.index(name) for name in names])

    def split_classes(
        self, share: float, generator: torch.Generator
    ) -> tuple[LabelledArrays, LabelledArrays]:
        """Two parts with other classes, the first with `share` of the classes, drawn at random."""
        order = torch.randperm(len(self.names), generator=generator).tolist()
        count = round(share * len(order))
        return self.only(sorted(order[:count])), self.only(sorted(order[count:]))

    def split(
        self, share: float, generator: torch.Generator
    ) -> tuple[LabelledArrays, LabelledArrays]:
        """Two parts, the first with `share` of the examples of every class, drawn at random."""
        labels = self.labels.cpu()
        shuffled = torch.randperm(len(self), generator=generator)
        order = shuffled[labels[shuffled].argsort(stable=True)]
        counts = labels.bincount(minlength=len(self.names))
        starts = (counts.cumsum(0) - counts)[labels[order]]
        rank = torch.arange(len(self)) - starts
        first = rank < (share * counts[labels[order]]).round()
        return self.take(order[first].sort().values), self.take(order[~first].sort().values)


_TURNS = ("", "@90", "@180", "@270")


def _bytes_digest(values: torch.Tensor) -> Digest:
    return Digest.of(values.detach().cpu().contiguous().numpy().tobytes())


def _shape(values: torch.Tensor) -> str:
    return f"{str(values.dtype).removeprefix('torch.')}{list(values.shape)}"


@dataclass(frozen=True, eq=False)
class ArrayEpisodes:
    """Few-shot tasks drawn from labelled arrays: `ways` classes, `shots` and `queries` of each.

    Both a TaskSource and an EpisodeSource.  Within a task classes are counted from 0 in the order
    drawn; support and query are sorted by class and never share an example.  Drawing takes a
    generator on the CPU; the examples stay on the device of the arrays.  Raises InvalidTask where
    there are too few classes, or too few examples of one.
    """

    arrays: LabelledArrays
    ways: int
    shots: int
    queries: int
    _table: torch.Tensor = field(init=False, repr=False)
    _counts: torch.Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        what = f"the data set {self.arrays.dataset!r}"
        labels = self.arrays.labels.cpu()
        counts = labels.bincount(minlength=len(self.arrays.names))
        if min(self.ways, self.shots, self.queries) < 1 or self.ways < 2:
            raise InvalidTask(
                f"{self.ways} ways, {self.shots} shots and {self.queries} queries make no task; "
                "wanted are at least 2, 1 and 1"
            )
        if len(counts) < self.ways:
            raise InvalidTask(
                f"{what} has {len(counts)} classes; tasks of {self.ways} ways need as many"
            )
        wanted = self.shots + self.queries
        if int(counts.min()) < wanted:
            few = int(counts.argmin())
            raise InvalidTask(
                f"{what} has {int(counts[few])} examples of {self.arrays.names[few]!r}; "
                f"{self.shots} shots and {self.queries} queries need {wanted}"
            )
        order = labels.argsort(stable=True)
        owner = labels[order]
        table = torch.zeros(len(counts), int(counts.max()), dtype=torch.int64)
        table[owner, torch.arange(len(labels)) - (counts.cumsum(0) - counts)[owner]] = order
        object.__setattr__(self, "_table", table)
        object.__setattr__(self, "_counts", counts)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes that tasks are drawn from."""
        return self.arrays.names

    @property
    def classes(self) -> tuple[Digest, ...]:
        """The identities of the classes that tasks are drawn from."""
        return self.arrays.classes

    @property
    def data(self) -> tuple[Digest, ...]:
        """The digest of the data set that tasks are drawn from."""
        return (self.arrays.digest,)

    def episodes(self, count: int, generator: torch.Generator) -> Episodes:
        """Draw `count` tasks at once."""
        return self._drawn(count, generator)

    def sample(self, generator: torch.Generator) -> Task:
        """Draw one task, which carries the digests of its classes."""
        episodes = self._drawn(1, generator)
        assert episodes.drawn is not None
        names = [self.arrays.names[c] for c in episodes.drawn[0].tolist()]
        label = TensorType("label", (self.ways,))
        return Task(
            type=Arrow(self.arrays.type, label),
            support=Examples((episodes.support_x[0],), episodes.support_y[0]),
            query=Examples((episodes.query_x[0],), episodes.query_y[0]),
            classes=frozenset(class_digest(self.arrays.dataset, name) for name in names),
            name=f"{self.arrays.dataset}: {', '.join(names)}",
        )

    def _drawn(self, count: int, generator: torch.Generator) -> Episodes:
        number, longest = self._table.shape
        chosen = torch.rand(count, number, generator=generator).topk(self.ways, 1).indices
        keys = torch.rand(count, self.ways, longest, generator=generator)
        keys[torch.arange(longest) >= self._counts[chosen][..., None]] = -1.0
        places = keys.topk(self.shots + self.queries, 2).indices
        examples = self._table[chosen[..., None], places]
        inputs = self.arrays.inputs
        labels = torch.arange(self.ways, device=inputs.device)

        def part(index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            each = index.shape[2]
            x = inputs[index.flatten().to(inputs.device)]
            y = labels.repeat_interleave(each).repeat(count, 1)
            return x.reshape(count, self.ways * each, *inputs.shape[1:]), y

        return Episodes(
            *part(examples[..., : self.shots]),
            *part(examples[..., self.shots :]),
            self.ways,
            chosen.to(inputs.device),
        )
