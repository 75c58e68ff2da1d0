"""Torch's recurrent modules step by step, in operations that `vmap` maps over tasks.

`nn.RNN`, `nn.GRU` and `nn.LSTM` compute a sequence by one operation, which no batching rule takes
apart, and which by cuDNN has no second derivative.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, TypeAlias, TypeGuard

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

_KINDS = (nn.RNN, nn.GRU, nn.LSTM)

Memory: TypeAlias = tuple[Tensor, ...]
"""The state of a layer: h [n, hidden], and of an LSTM c [n, hidden] too."""


class Unrolled(nn.Module):
    """Computes what an `nn.RNN`, `nn.GRU` or `nn.LSTM` computes, by the same parameters and names.

    A packed sequence is left to the module itself.
    """

    def __init__(self, module: nn.RNNBase) -> None:
        super().__init__()
        for name, value in module.named_parameters():
            self.register_parameter(name, value)
        self.training = module.training
        self._own = (module,)  # in a tuple: no part of this module, its parameters are here

    def __getattr__(self, name: str) -> Any:
        """What the module says of itself, such as `hidden_size`."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if "_own" not in self.__dict__:
                raise
            return getattr(self._own[0], name)

    def forward(self, x: Any, start: Any = None) -> tuple[Any, Any]:
        """x [t, n, f] or, `batch_first`, [n, t, f], or [t, f]; gives outputs and last states."""
        (own,) = self._own
        if isinstance(x, PackedSequence):
            given: tuple[Any, Any] = functional_call(own, dict(self._parameters), (x, start))  # type: ignore[arg-type]
            return given
        single = x.dim() == 2
        if single:
            x = x[:, None]
        elif own.batch_first:
            x = x.transpose(0, 1)
        before = self._start(x, start, single=single)
        ends: list[Memory] = []
        for layer in range(own.num_layers):
            ways = []
            for way, suffix in enumerate(("", "_reverse")[: 1 + own.bidirectional]):
                place = layer * (1 + own.bidirectional) + way
                states, end = self._layer(x, tuple(s[place] for s in before), f"_l{layer}{suffix}")
                ways.append(states)
                ends.append(end)
            x = torch.cat(ways, -1)
            if own.dropout and layer + 1 < own.num_layers:
                x = functional.dropout(x, own.dropout, self.training)
        last = tuple(torch.stack(of_each) for of_each in zip(*ends, strict=True))
        if single:
            x, last = x[:, 0], tuple(one[:, 0] for one in last)
        elif own.batch_first:
            x = x.transpose(0, 1)
        return x, last if own.mode == "LSTM" else last[0]

    def _start(self, x: Tensor, start: Any, *, single: bool) -> Memory:
        """The states before the first step, each [layers and ways, n, hidden]."""
        (own,) = self._own
        if start is not None:
            given: Memory = start if own.mode == "LSTM" else (start,)
            return tuple(one[:, None] for one in given) if single else given
        count = own.num_layers * (1 + own.bidirectional)
        sizes = [own.proj_size or own.hidden_size]
        sizes += [own.hidden_size] if own.mode == "LSTM" else []
        return tuple(x.new_zeros(count, x.shape[1], size) for size in sizes)

    def _layer(self, x: Tensor, state: Memory, place: str) -> tuple[Tensor, Memory]:
        """One layer in one way over x [t, n, f]."""
        (own,) = self._own

        enter, turn, enter_shift, turn_shift, project = (
            self._parameters.get(name + place)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        )
        assert enter is not None
        assert turn is not None
        inputs = functional.linear(x, enter, enter_shift)
        backwards = place.endswith("_reverse")
        found = []
        for one in reversed(inputs.unbind(0)) if backwards else inputs.unbind(0):
            state = _STEPS[own.mode](one, functional.linear(state[0], turn, turn_shift), state)
            if project is not None:
                state = (functional.linear(state[0], project), *state[1:])
            found.append(state[0])
        return torch.stack(found[::-1] if backwards else found), state


def _tanh(x: Tensor, h: Tensor, state: Memory) -> Memory:
    return (torch.tanh(x + h),)


def _relu(x: Tensor, h: Tensor, state: Memory) -> Memory:
    return (torch.relu(x + h),)


def _gated(x: Tensor, h: Tensor, state: Memory) -> Memory:
    """Cho et al. 2014, with the reset gate after the matrix product, as torch has it."""
    xr, xz, xn = x.chunk(3, -1)
    hr, hz, hn = h.chunk(3, -1)
    keep = torch.sigmoid(xz + hz)
    new = torch.tanh(xn + torch.sigmoid(xr + hr) * hn)
    return (new + keep * (state[0] - new),)


def _long_short(x: Tensor, h: Tensor, state: Memory) -> Memory:
    """Hochreiter and Schmidhuber 1997, with a forget gate."""
    enter, keep, new, leave = (x + h).chunk(4, -1)
    memory = torch.sigmoid(keep) * state[1] + torch.sigmoid(enter) * torch.tanh(new)
    return torch.sigmoid(leave) * torch.tanh(memory), memory


_STEPS = {"RNN_TANH": _tanh, "RNN_RELU": _relu, "GRU": _gated, "LSTM": _long_short}


def unrolled(model: nn.Module) -> nn.Module:
    """A view of a model whose recurrent modules are `Unrolled`; the model itself if it has none.

    It shares the model's parameters and buffers, under the same names.  Modules with hooks, and
    subclasses of torch's, stay as they are: who knows what they compute?
    """
    known = {id(module): Unrolled(module) for module in model.modules() if _known(module)}
    if not known:
        return model
    shared = {id(one): one for one in (*model.parameters(), *model.buffers())}
    return deepcopy(model, {**shared, **known})


def _known(module: nn.Module) -> TypeGuard[nn.RNNBase]:
    return type(module) in _KINDS and not watched(module)


def watched(module: nn.Module) -> bool:
    """Whether hooks see, and may change, what the module computes."""
    return bool(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks)


def maps_over_tasks(model: nn.Module) -> bool:
    """Whether `vmap` takes a model once it is unrolled: no recurrent module of torch's is left."""
    return all(_known(m) or not isinstance(m, nn.RNNBase) for m in model.modules())
