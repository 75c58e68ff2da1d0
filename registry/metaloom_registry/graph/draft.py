"""A graph being written: handles instead of numbers, and buffers that change as it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from metaloom_registry.errors import Refused
from metaloom_registry.graph.document import Body, Node
from metaloom_registry.graph.ops import TABLE
from metaloom_registry.graph.rules import Ref


@dataclass(eq=False, slots=True)
class Handle:
    """One value of a draft; `fake` is torch's tensor without memory, or a symbolic integer."""

    fake: Any = None
    origin: tuple[str, Any] = ("node", None)
    """("input", position), ("state", name) or ("node", None)"""
    base: Handle | None = None
    """The handle whose memory this one is a view of, in the module as it was written."""

    @property
    def root(self) -> Handle:
        return self if self.base is None else self.base.root

    @property
    def rank(self) -> int:
        return int(self.fake.dim())

    @property
    def dtype(self) -> str:
        return dtype_name(self.fake.dtype)


@dataclass(eq=False, slots=True)
class DraftNode:
    """A node whose inputs, and integer arguments, are handles."""

    op: str
    inputs: tuple[Handle | None, ...]
    arguments: dict[str, Any]
    outputs: tuple[Handle, ...]

    def uses(self) -> list[Handle]:
        """The handles it takes, in order."""
        found = [handle for handle in self.inputs if handle is not None]
        for value in self.arguments.values():
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, Handle):
                    found.append(item)
        return found


@dataclass(eq=False, slots=True)
class Draft:
    """The nodes written so far, and what each tensor that is changed in place now is."""

    nodes: list[DraftNode] = field(default_factory=list)
    inputs: list[Handle] = field(default_factory=list)
    state: dict[str, Handle] = field(default_factory=dict)
    now: dict[Handle, Handle] = field(default_factory=dict)
    outputs: Any = None

    def node(self, op: str, inputs: Sequence[Handle | None], **arguments: Any) -> Any:
        """Write a node; its output, or a tuple of its outputs."""
        written = {name: _plain(value) for name, value in arguments.items()}
        if set(written) != set(TABLE[op].arguments):
            raise AssertionError(f"{op} takes {set(TABLE[op].arguments)}, given {set(written)}")
        outputs = tuple(Handle() for _ in range(TABLE[op].gives(written)))
        self.nodes.append(DraftNode(op, tuple(inputs), written, outputs))
        return outputs[0] if len(outputs) == 1 else outputs

    def maker(self, handle: Handle) -> DraftNode | None:
        """The node that gives a value; None for inputs and state."""
        return next((n for n in reversed(self.nodes) if handle in n.outputs), None)

    def current(self, handle: Handle) -> Handle:
        """What a handle stands for after all changes in place."""
        while handle in self.now:
            handle = self.now[handle]
        return handle

    def change(self, handle: Handle, new: Handle, what: str) -> None:
        """A tensor takes a new value in place. Raises Refused for parameters and constants."""
        kind, name = handle.origin
        if kind == "state" and name.split(":")[0] != "buffer":
            raise Refused(
                f"{what} changes {name.split(':')[1]!r} in place, which is no buffer; "
                "compute a new tensor instead"
            )
        self.now[handle] = new

    def updates(self) -> dict[str, Handle]:
        """The buffers that have changed, and their new values."""
        found = {}
        for name, handle in self.state.items():
            new = self.current(handle)
            if new is not handle:
                found[name] = new
        return found

    def floating(self) -> Handle | None:
        """A tensor whose dtype is the one the module computes in: an input, else a parameter."""
        known = (*self.inputs, *self.state.values())
        found = (h for h in known if isinstance(h.fake, Tensor) and h.fake.is_floating_point())
        return next(found, None)


def numbered(value: Any, numbers: Mapping[Handle, int]) -> Any:
    """An argument with each handle replaced by a reference to its number."""
    if isinstance(value, Handle):
        return Ref(numbers[value])
    if isinstance(value, tuple):
        return tuple(numbered(item, numbers) for item in value)
    return value


def body_of(count: int, build: Callable[..., Sequence[Handle]]) -> Body:
    """The body of a loop: `build(draft, *handles)` writes what becomes of `count` values."""
    draft, handles = Draft(), [Handle() for _ in range(count)]
    return closed(draft, handles, build(draft, *handles))


def closed(draft: Draft, inputs: Sequence[Handle], outputs: Sequence[Handle]) -> Body:
    """A draft as the body of a loop, its values counted from the inputs."""
    numbers = {handle: i for i, handle in enumerate(inputs)}
    nodes, known = [], len(inputs)
    for node in draft.nodes:
        arguments = {name: numbered(value, numbers) for name, value in node.arguments.items()}
        taken = tuple(None if handle is None else numbers[handle] for handle in node.inputs)
        nodes.append(Node(node.op, taken, arguments))
        for handle in node.outputs:
            numbers[handle] = known
            known += 1
    return Body(len(inputs), tuple(nodes), tuple(numbers[handle] for handle in outputs))


def dtype_name(dtype: Any) -> str:
    """`torch.float32` -> `float32`."""
    return str(dtype).removeprefix("torch.")


def same_memory(one: Handle, other: Handle) -> bool:
    """Whether two handles were views of one tensor in the module as it was written."""
    return one.root is other.root


def static(value: Any, what: str) -> int:
    """A size that must be a plain integer here. Raises Refused."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(f"{what} depends on an open dimension; fix it in the signature")
    return value


def tensor_like(value: Any) -> bool:
    """Whether a value of the captured graph is a tensor."""
    return isinstance(value, Handle) and isinstance(value.fake, Tensor)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(value)
    return value


Arguments = Mapping[str, Any]
"""The arguments of one call of the captured graph, by the name in its schema."""
