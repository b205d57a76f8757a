"""LSTM, GRU and RNN over the frames, in either direction or both.

What torch computes as well goes to torch's own function; what it does not (a GRU that resets before the product, other
activations, peepholes) is unrolled here. ONNX orders the gates i o f c and z r h, torch i f c o and r z h.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.network.onnx_import.call import Call, Function, operator

_LSTM, _GRU = (0, 2, 3, 1), (1, 0, 2)
_DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
    "Relu": torch.relu,
    "HardSigmoid": lambda x: (0.2 * x + 0.5).clamp(0.0, 1.0),
    "Softsign": torch.nn.functional.softsign,
    "Softplus": torch.nn.functional.softplus,
}


@dataclass(frozen=True)
class _Layer:
    """One layer: how many directions, which activations for each, and where its states come from."""

    hidden: int
    directions: int
    reverse: bool
    activations: tuple[str, ...]
    batch_first: bool

    @classmethod
    def of(cls, call: Call, defaults: Sequence[str]) -> "_Layer":
        direction = call.attributes.get("direction", "forward")
        if direction not in _DIRECTIONS:
            call.refuse_option("direction")
        count = _DIRECTIONS[direction]
        names = tuple(call.attributes.get("activations", ())) or tuple(defaults) * count
        if len(names) != len(defaults) * count or not all(name in _ACTIVATIONS for name in names):
            call.refuse_option("activations")
        for name in ("clip", "activation_alpha", "activation_beta", "input_forget"):
            if call.attributes.get(name):
                call.refuse_option(name)
        batch_first = bool(call.attributes.get("layout", 0))
        length = call.shape()[1 if batch_first else 0]
        if call.has(4) and set(call.whole_numbers(4)) != {length}:
            call.refuse("has sequences of their own lengths", "let all frames of a clip count")
        weight = call.constant(2)
        for position in range(1, len(call.inputs)):
            if call.has(position) and position in (1, 2, 3, 7):
                call.constant(position)
        return cls(weight.shape[2], count, direction == "reverse", names, batch_first)

    def standard(self, defaults: Sequence[str]) -> bool:
        return self.activations == tuple(defaults) * self.directions


def _prepared(call: Call, layer: _Layer, order: Sequence[int]) -> None:
    """Weights, and biases if there are none zeros, in torch's order of gates."""
    gates = len(order)

    def turned(weight: Tensor) -> Tensor:
        parts = weight.chunk(gates, 1)
        return torch.cat([parts[i] for i in order], 1).contiguous()

    bias = call.inputs[3] if call.has(3) else call.constant(1).new_zeros(layer.directions, 2 * gates * layer.hidden)
    assert bias is not None
    both = [turned(half) for half in bias.chunk(2, 1)]
    call.inputs[1], call.inputs[2] = turned(call.constant(1)), turned(call.constant(2))
    while len(call.inputs) < 8:
        call.inputs.append(None)
        call.fixed.append(True)
    call.inputs[3], call.fixed[3] = torch.cat(both, 1), True
    call.inputs[4], call.fixed[4] = None, True


def _starts(layer: _Layer, x: Tensor, *given: Tensor | None) -> list[Tensor]:
    """The states before the first frame, (directions, n, hidden), zeros where none are given."""
    zeros = x.new_zeros(layer.directions, x.shape[1], layer.hidden)
    return [zeros if state is None else state.transpose(0, 1) if layer.batch_first else state for state in given]


def _weights(layer: _Layer, w: Tensor, r: Tensor, b: Tensor) -> list[Tensor]:
    """As torch takes them: for each direction those of the input, of the state, and both biases."""
    return [part for i in range(layer.directions) for part in (w[i], r[i], *b[i].chunk(2))]


def _results(layer: _Layer, y: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
    """As ONNX gives them: (l, directions, n, hidden), and the last states, or the batch first."""
    y = y.unflatten(2, (layer.directions, layer.hidden)).transpose(1, 2)
    if layer.batch_first:
        return y.permute(2, 0, 1, 3), *(state.transpose(0, 1) for state in states)
    return y, *states


def _run(layer: _Layer, x: Tensor, compute: Callable[[Tensor], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """`compute` on the frames (l, n, features) in the order in which the layer reads them."""
    if layer.batch_first:
        x = x.transpose(0, 1)
    y, *states = compute(x.flip(0) if layer.reverse else x)
    return _results(layer, y.flip(0) if layer.reverse else y, *states)


def _unrolled(
    layer: _Layer, x: Tensor, step: Callable[[int, Tensor, list[Tensor]], list[Tensor]], starts: list[Tensor]
) -> tuple[Tensor, ...]:
    """`step(direction, frame, states)` over all frames; the first state is the output."""
    outputs, last = [], []
    for direction in range(layer.directions):
        states, found = [start[direction] for start in starts], []
        frames = x.flip(0) if direction == 1 else x
        for frame in frames.unbind(0):
            states = step(direction, frame, states)
            found.append(states[0])
        y = torch.stack(found)
        outputs.append(y.flip(0) if direction == 1 else y)
        last.append(states)
    return torch.cat(outputs, 2), *(torch.stack(parts) for parts in zip(*last, strict=True))


@operator("LSTM")
def lstm(call: Call) -> Function:
    defaults = ("Sigmoid", "Tanh", "Tanh")
    layer = _Layer.of(call, defaults)
    peephole = call.constant(7) if call.has(7) and bool(call.constant(7).any()) else None
    _prepared(call, layer, _LSTM)
    call.inputs[7], call.fixed[7] = peephole, True

    def apply(
        x: Tensor, w: Tensor, r: Tensor, b: Tensor, _: None, h: Tensor | None, c: Tensor | None, p: Tensor | None
    ) -> tuple[Tensor, ...]:
        def compute(frames: Tensor) -> tuple[Tensor, ...]:
            starts = _starts(layer, frames, h, c)
            if p is None and layer.standard(defaults):
                double = layer.directions == 2
                return torch.lstm(frames, starts, _weights(layer, w, r, b), True, 1, 0.0, False, double, False)
            return _unrolled(layer, frames, step, starts)

        def step(direction: int, frame: Tensor, states: list[Tensor]) -> list[Tensor]:
            gate, inner, outer = (_ACTIVATIONS[name] for name in layer.activations[3 * direction :][:3])
            hidden, cell = states
            into, recurrent = b[direction].chunk(2)
            total = frame @ w[direction].T + into + hidden @ r[direction].T + recurrent
            i, f, g, o = total.chunk(4, 1)
            if p is not None:
                of_i, of_o, of_f = p[direction].chunk(3)
                i, f = i + of_i * cell, f + of_f * cell
                cell = gate(f) * cell + gate(i) * inner(g)
                return [gate(o + of_o * cell) * outer(cell), cell]
            cell = gate(f) * cell + gate(i) * inner(g)
            return [gate(o) * outer(cell), cell]

        return _run(layer, x, compute)

    return apply


@operator("GRU")
def gru(call: Call) -> Function:
    defaults = ("Sigmoid", "Tanh")
    layer = _Layer.of(call, defaults)
    after = bool(call.attributes.get("linear_before_reset", 0))
    _prepared(call, layer, _GRU)

    def apply(x: Tensor, w: Tensor, r: Tensor, b: Tensor, _: None, h: Tensor | None, *__: None) -> tuple[Tensor, ...]:
        def compute(frames: Tensor) -> tuple[Tensor, ...]:
            (start,) = _starts(layer, frames, h)
            if after and layer.standard(defaults):
                return torch.gru(
                    frames, start, _weights(layer, w, r, b), True, 1, 0.0, False, layer.directions == 2, False
                )
            return _unrolled(layer, frames, step, [start])

        def step(direction: int, frame: Tensor, states: list[Tensor]) -> list[Tensor]:
            gate, inner = (_ACTIVATIONS[name] for name in layer.activations[2 * direction :][:2])
            (hidden,), (into, recurrent) = states, b[direction].chunk(2)
            of_r, of_z, of_n = r[direction].chunk(3)
            bias_r, bias_z, bias_n = recurrent.chunk(3)
            x_r, x_z, x_n = (frame @ w[direction].T + into).chunk(3, 1)
            reset = gate(x_r + hidden @ of_r.T + bias_r)
            update = gate(x_z + hidden @ of_z.T + bias_z)
            seen = reset * (hidden @ of_n.T + bias_n) if after else (reset * hidden) @ of_n.T + bias_n
            new = inner(x_n + seen)
            return [new + update * (hidden - new)]

        return _run(layer, x, compute)

    return apply


@operator("RNN")
def rnn(call: Call) -> Function:
    layer = _Layer.of(call, ("Tanh",))
    functions = {"Tanh": torch.rnn_tanh, "Relu": torch.rnn_relu}
    _prepared(call, layer, (0,))

    def apply(x: Tensor, w: Tensor, r: Tensor, b: Tensor, _: None, h: Tensor | None, *__: None) -> tuple[Tensor, ...]:
        def compute(frames: Tensor) -> tuple[Tensor, ...]:
            (start,) = _starts(layer, frames, h)
            if set(layer.activations) in ({"Tanh"}, {"Relu"}):
                function = functions[layer.activations[0]]
                return function(
                    frames, start, _weights(layer, w, r, b), True, 1, 0.0, False, layer.directions == 2, False
                )
            return _unrolled(layer, frames, step, [start])

        def step(direction: int, frame: Tensor, states: list[Tensor]) -> list[Tensor]:
            into, recurrent = b[direction].chunk(2)
            total = frame @ w[direction].T + into + states[0] @ r[direction].T + recurrent
            return [_ACTIVATIONS[layer.activations[direction]](total)]

        return _run(layer, x, compute)

    return apply
