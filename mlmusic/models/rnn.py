"""Recurrent cells written out, a dilated causal convolution, and a melody model on any of them.

Sources: Elman, *Finding structure in time*, 1990 (RNN); Hochreiter and Schmidhuber, *Long
short-term memory*, 1997 (LSTM); Cho et al., *Learning phrase representations using RNN
encoder–decoder*, 2014 (GRU); van den Oord et al., *WaveNet*, 2016 (dilated causal convolution).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

State = Any
"""What a model remembers: a tensor, or tuples and lists of tensors; None before the first token."""


class Cell(nn.Module):
    """Weights that the three cells share, named and laid out as PyTorch's own cells have them.

    Parameters
    ----------
    inputs, hidden : int
        Length of the input and of the state.

    Attributes
    ----------
    weight_ih : (gates · hidden, inputs)
    weight_hh : (gates · hidden, hidden)
    bias_ih, bias_hh : (gates · hidden,)
    """

    gates = 1

    def __init__(self, inputs: int, hidden: int):
        super().__init__()
        self.hidden = hidden
        bound = 1 / math.sqrt(hidden)  # as PyTorch starts them

        def uniform(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))

        self.weight_ih = uniform(self.gates * hidden, inputs)
        self.weight_hh = uniform(self.gates * hidden, hidden)
        self.bias_ih = uniform(self.gates * hidden)
        self.bias_hh = uniform(self.gates * hidden)

    def start(self, x: Tensor) -> State:
        """Return the state before anything was heard: zeros, (batch, hidden)."""
        return x.new_zeros(len(x), self.hidden)


class RNNCell(Cell):
    """``h' = tanh(W x + b + U h + c)``: one matrix for what comes in, one for what was."""

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Take one step: x (batch, inputs) and h (batch, hidden) to (output, next state)."""
        h = torch.tanh(x @ self.weight_ih.T + self.bias_ih + h @ self.weight_hh.T + self.bias_hh)
        return h, h


class LSTMCell(Cell):
    """A memory c beside the state h: ``c' = f · c + i · g`` and ``h' = o · tanh(c')``.

    The gates i (in), f (keep) and o (out) are sigmoids, the candidate g is a tanh.
    """

    gates = 4

    def start(self, x: Tensor) -> State:
        """Return two rows of zeros, h and c, each (batch, hidden)."""
        return super().start(x), super().start(x)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, State]:
        """Take one step: x (batch, inputs) and (h, c) to (output, (h, c))."""
        h, c = state
        sums = x @ self.weight_ih.T + self.bias_ih + h @ self.weight_hh.T + self.bias_hh
        i, f, g, o = sums.chunk(4, dim=1)  # each (batch, hidden)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)


class GRUCell(Cell):
    """A new candidate n mixed into the state: ``h' = (1 - z) · n + z · h``.

    The gate r decides how much of the past the candidate sees, z how much of it stays.
    """

    gates = 3

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Take one step: x (batch, inputs) and h (batch, hidden) to (output, next state)."""
        from_x = (x @ self.weight_ih.T + self.bias_ih).chunk(3, dim=1)
        from_h = (h @ self.weight_hh.T + self.bias_hh).chunk(3, dim=1)
        r = torch.sigmoid(from_x[0] + from_h[0])
        z = torch.sigmoid(from_x[1] + from_h[1])
        n = torch.tanh(from_x[2] + r * from_h[2])
        h = (1 - z) * n + z * h
        return h, h


def unroll(cell: Cell, x: Tensor, state: State = None) -> tuple[Tensor, State]:
    """Run a cell along time, one step after the other.

    Parameters
    ----------
    cell : Cell
        Any of the three.
    x : (batch, time, inputs)
    state : optional
        The state to go on from; by default `Cell.start`.

    Returns
    -------
    outputs : (batch, time, hidden)
    state
        After the last step.

    Raises
    ------
    ValueError
        If ``x`` hasn't three axes, or no step.
    """
    if x.ndim != 3 or x.shape[1] == 0:
        raise ValueError(f"x must be (batch, time, inputs) with a step, not {tuple(x.shape)}")
    state = cell.start(x) if state is None else state
    outputs = []
    for step in x.unbind(dim=1):
        output, state = cell(step, state)
        outputs.append(output)
    return torch.stack(outputs, dim=1), state


class CausalConv(nn.Module):
    """A convolution along time that never looks ahead, with gaps between the steps it sees.

    Step t sees ``t, t - dilation, …, t - (kernel - 1) · dilation``; before the beginning there
    are zeros.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel : int
        How many steps are seen.
    dilation : int
        How far these are apart.
    """

    def __init__(self, inputs: int, outputs: int, *, kernel: int = 2, dilation: int = 1):
        super().__init__()
        self.past = (kernel - 1) * dilation
        self.conv = nn.Conv1d(inputs, outputs, kernel, dilation=dilation)

    def forward(self, x: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map (batch, time, inputs) to (batch, time, outputs), and keep what the next call needs.

        ``past`` is what the call before returned as its second value: its last inputs.
        """
        if past is None:
            past = x.new_zeros(x.shape[0], self.past, x.shape[2])
        x, steps = torch.cat([past, x], dim=1), x.shape[1]
        (dilation,), (kernel,) = self.conv.dilation, self.conv.kernel_size
        seen = torch.cat([x[:, k * dilation :][:, :steps] for k in range(kernel)], dim=2)
        # What self.conv computes, as one matrix product: half its time for as few channels as ours.
        weight = self.conv.weight.transpose(1, 2).flatten(1)  # (outputs, kernel * inputs)
        return nn.functional.linear(seen, weight, self.conv.bias), x[:, steps:]


class DilatedConv(nn.Module):
    """WaveNet's stack: gated causal convolutions whose dilation doubles, with residual sums.

    Parameters
    ----------
    channels : int
        Of the input, of the output and in between.
    layers : int
        Dilations are 1, 2, 4, …, 2**(layers - 1), so that `reach` is 2**layers steps.
    """

    def __init__(self, channels: int, layers: int):
        super().__init__()
        self.reach = 2**layers
        self.convs = nn.ModuleList(
            CausalConv(channels, 2 * channels, dilation=2**layer) for layer in range(layers)
        )
        self.mixes = nn.ModuleList(nn.Linear(channels, channels) for _ in range(layers))

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Map (batch, time, channels) to the same shape, and keep each layer's past."""
        total, pasts = torch.zeros_like(x), []
        for i, (conv, mix) in enumerate(zip(self.convs, self.mixes, strict=True)):
            sums, past = conv(x, None if state is None else state[i])
            pasts.append(past)
            candidate, gate = sums.chunk(2, dim=2)
            found = mix(torch.tanh(candidate) * torch.sigmoid(gate))
            x, total = x + found, total + found
        return torch.relu(total), pasts


KINDS = ("rnn", "lstm", "gru", "conv")


class MelodyModel(nn.Module):
    """Predict each next token of a melody from all before it.

    Embedding, memory, dropout, and one score for each token of the vocabulary. The recurrent
    memories are PyTorch's layers, which compute what this module's cells do, only faster.

    Parameters
    ----------
    vocabulary : int
        How many tokens there are.
    kind : {"rnn", "lstm", "gru", "conv"}
        The memory.
    embedding : int
        Numbers that stand for a token.
    hidden : int
        Length of the state, or channels of the convolution.
    layers : int
        Recurrent layers on top of each other, or convolutions with doubling dilation.
    dropout : float
        Share of the embedding's and the memory's numbers that training hides.

    Attributes
    ----------
    config : dict
        The parameters above: ``MelodyModel(**config)`` is the same architecture.
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        kind: str = "gru",
        embedding: int = 64,
        hidden: int = 128,
        layers: int = 1,
        dropout: float = 0.1,
    ):
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
        self.config = {
            "vocabulary": vocabulary,
            "kind": kind,
            "embedding": embedding,
            "hidden": hidden,
            "layers": layers,
            "dropout": dropout,
        }
        for name in ("vocabulary", "embedding", "hidden", "layers"):
            if not isinstance(self.config[name], int) or self.config[name] < 1:
                raise ValueError(f"{name} must be a positive whole number")
        self.embed = nn.Embedding(vocabulary, embedding)
        self.dropout = nn.Dropout(dropout)
        if kind == "conv":
            self.lift = nn.Linear(embedding, hidden)
            self.memory: nn.Module = DilatedConv(hidden, layers)
        else:
            layer: Callable[..., nn.Module] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[kind]
            between = dropout if layers > 1 else 0.0
            self.lift = nn.Identity()
            self.memory = layer(embedding, hidden, layers, batch_first=True, dropout=between)
        self.scores = nn.Linear(hidden, vocabulary)

    def forward(self, tokens: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Score every possible next token after each token.

        Parameters
        ----------
        tokens : (batch, time) int64
        state : optional
            What the call before returned, to go on from there.

        Returns
        -------
        logits : (batch, time, vocabulary)
            ``logits[:, t]`` are for token t + 1.
        state
            After the last token.

        Raises
        ------
        ValueError
            If ``tokens`` hasn't two axes, no step, or isn't of whole numbers.
        """
        if tokens.ndim != 2 or tokens.shape[1] == 0 or tokens.dtype != torch.int64:
            raise ValueError(
                f"tokens must be int64 of shape (batch, time) with a step, not {tokens.dtype} of"
                f" shape {tuple(tokens.shape)}"
            )
        x = self.lift(self.dropout(self.embed(tokens)))  # (batch, time, embedding or hidden)
        x, state = self.memory(x, state)
        return self.scores(self.dropout(x)), state

    def forget(self, state: State, rows: Tensor) -> State:
        """Put some rows of a batch back to before the first token, in a state of this model.

        Parameters
        ----------
        state
            None stays None.
        rows : (batch,) bool
            Which ones.
        """
        if state is None or not rows.any():
            return state
        if isinstance(state, (tuple, list)):
            return type(state)(self.forget(part, rows) for part in state)
        # A convolution's past is (batch, time, channels), a state (layers, batch, hidden).
        keep = (~rows).to(state.dtype)
        return state * (keep[:, None, None] if self.config["kind"] == "conv" else keep[:, None])


def detach(state: State) -> State:
    """Cut a state off from the computation that made it, so that no gradient flows further back."""
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, (tuple, list)):
        return type(state)(detach(part) for part in state)
    return state


def count_parameters(model: nn.Module) -> int:
    """Count the numbers that training may change."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
