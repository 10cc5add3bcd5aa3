"""A transformer over tokens: each next one from all before it, with control tokens in front.

Source: Radford et al., *Language models are unsupervised multitask learners*, 2019 (GPT-2), with
rotary positions; control tokens as in Keskar et al., *CTRL*, 2019.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mlmusic.models.transformer.attention import Cache, Dropout, Trunk, start

State = list[Cache]
"""Keys and values of all tokens so far, one cache a block."""


class Transformer(nn.Module):
    """Predict each next token from all before it.

    Takes part wherever a `MelodyModel` does: `mlmusic.sampling.generate`, likelihoods, weights.

    Parameters
    ----------
    vocabulary : int
        How many tokens there are.
    width, layers, heads : int
        Numbers a position; blocks; heads of each.
    dropout : float
    context : int
        How many tokens it can look at.
    cycles : sequence of int
        Also tell where in a cycle of so many tokens each one is to be predicted: for chorales
        interleaved in sixteenths 4 is the voice, 64 voice and place in the bar.
    lead : int
        How many tokens stand before the music: START, and control tokens. There the cycles begin.

    Attributes
    ----------
    config : dict
        The parameters above: ``Transformer(**config)`` is the same architecture.

    Raises
    ------
    ValueError
        If a number is impossible.
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        dropout: float = 0.1,
        context: int = 1024,
        cycles: Sequence[int] = (),
        lead: int = 1,
    ):
        super().__init__()
        self.config = {
            "vocabulary": vocabulary,
            "width": width,
            "layers": layers,
            "heads": heads,
            "dropout": dropout,
            "context": context,
            "cycles": list(cycles),
            "lead": lead,
        }
        sizes = {name: self.config[name] for name in ("vocabulary", "layers", "context", "lead")}
        for name, size in [*sizes.items(), *(("each cycle", cycle) for cycle in cycles)]:
            if not isinstance(size, int) or size < 1:
                raise ValueError(f"{name} must be a positive whole number, not {size!r}")
        self.context, self.lead = context, lead
        self.embed = nn.Embedding(vocabulary, width)
        self.cycles = nn.ModuleList(nn.Embedding(cycle, width) for cycle in cycles)
        self.dropout = Dropout(dropout)
        self.trunk = Trunk(width, layers, heads, dropout=dropout)
        self.scores = nn.Linear(width, vocabulary)
        self.apply(start)

    def embedded(self, tokens: Tensor, first: int = 0) -> Tensor:
        """Map (batch, time) tokens to (batch, time, width); ``first`` is the first one's place."""
        x = self.embed(tokens)
        if len(self.cycles):
            # Token t predicts token t + 1, whose place in the music is t + 1 - lead.
            places = torch.arange(first, first + tokens.shape[1], device=tokens.device)
            for cycle in self.cycles:
                x = x + cycle((places + 1 - self.lead) % cycle.num_embeddings)
        return x

    def forward(
        self, tokens: Tensor, state: State | None = None, *, cache: bool | None = None
    ) -> tuple[Tensor, State | None]:
        """Score every possible next token after each token.

        Parameters
        ----------
        tokens : (batch, time) int64
        state : optional
            What the call before returned, to go on from there.
        cache : bool, optional
            Whether to return a state; by default in eval mode alone, as training has no use for
            it.

        Returns
        -------
        logits : (batch, time, vocabulary)
            ``logits[:, t]`` are for token t + 1: they depend on tokens 0 to t alone.
        state
            After the last token, or None.

        Raises
        ------
        ValueError
            If ``tokens`` hasn't two axes, no step, isn't of whole numbers, or is longer with what
            came before than the context.
        """
        if tokens.ndim != 2 or tokens.shape[1] == 0 or tokens.dtype != torch.int64:
            raise ValueError(
                f"tokens must be int64 of shape (batch, time) with a step, not {tokens.dtype} of"
                f" shape {tuple(tokens.shape)}"
            )
        first = 0 if state is None else state[0].length
        if first + tokens.shape[1] > self.context:
            raise ValueError(
                f"{first + tokens.shape[1]} tokens are more than the {self.context} that this"
                " model can look at"
            )
        if state is None and (not self.training if cache is None else cache):
            state = self.trunk.caches()
        x, state = self.trunk(self.dropout(self.embedded(tokens, first)), state)
        return self.scores(x), state

    def weights(self, tokens: Tensor) -> Tensor:
        """Return who looks where: (layers, batch, heads, time, time), each row adding up to 1.

        Of the model in eval mode; row t, column s is how much token t's position takes from s.
        """
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                return torch.stack(self.trunk.weights(self.embedded(tokens)))
        finally:
            self.train(training)
