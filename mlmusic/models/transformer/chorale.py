"""Four voices in sixteenths: one position a step, and an exact chain rule inside the step.

The trunk sees the steps before. Inside a step the voices are drawn one after the other, each given
those before it: ``p(step) = p(S) p(B | S) p(A | S, B) p(T | S, B, A)``, all given the past, too.
The product over all steps is an exact likelihood of the piece.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mlmusic.models.transformer.attention import Cache, Dropout, Trunk, start
from mlmusic.models.transformer.echo import ORDER
from mlmusic.models.transformer.heads import added_up, by_distance, thinkers
from mlmusic.models.transformer.pieces import OLDEST, Past, past


class ChoraleModel(nn.Module):
    """A transformer over sixteenths with a small head for each voice.

    Parameters
    ----------
    low, high : int
        MIDI range of all voices.
    width, layers, heads : int
        Of the trunk.
    dropout : float
    blank : float
        Share of what is seen at a step (a note, an age …) that training hides.
    context : int
        How many steps it was trained to look back.
    bar : int
        Steps of a bar.
    ages, moves : bool
        Whether it sees for how long the notes have been held, and how they were reached and
        how far the voices are apart.
    relative : {"none", "own", "chord"}
        Score pitches also by their distance from the voice's last one, or from that and the
        notes of this step that are known already.

    Attributes
    ----------
    config : dict
        The parameters above: ``ChoraleModel(**config)`` is the same architecture.
    low, pitches, symbols : int
        Lowest MIDI pitch; how many there are; how many symbols: pitches and silence.
    listens : bool
        False: it looks for no echoes, as a `Committee` may.
    """

    listens = False

    def __init__(
        self,
        *,
        low: int = 36,
        high: int = 81,
        width: int = 192,
        layers: int = 4,
        heads: int = 6,
        dropout: float = 0.15,
        blank: float = 0.0,
        context: int = 256,
        bar: int = 16,
        ages: bool = True,
        moves: bool = True,
        relative: str = "chord",
    ):
        super().__init__()
        if relative not in ("none", "own", "chord"):
            raise ValueError(f"relative must be none, own or chord, not {relative!r}")
        if not 0 <= low <= high <= 127:
            raise ValueError(f"pitches must run from low to high within 0–127, not {low}–{high}")
        self.config = {
            "low": low,
            "high": high,
            "width": width,
            "layers": layers,
            "heads": heads,
            "dropout": dropout,
            "blank": blank,
            "context": context,
            "bar": bar,
            "ages": ages,
            "moves": moves,
            "relative": relative,
        }
        self.low, self.bar, self.context = low, bar, context
        self.pitches = high - low + 1
        self.symbols = self.pitches + 1

        def table(rows: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Embedding(rows, width) for _ in range(4))

        # One table for all that is seen: bar phase; previous notes; ages; moves and chord.
        sizes = [bar] + 4 * [self.symbols + 1]
        sizes += 4 * [OLDEST + 1] if ages else []
        sizes += 8 * [2 * self.pitches + 1] if moves else []
        self.see = nn.Embedding(sum(sizes), width)
        offsets = torch.tensor([0, *sizes[:-1]]).cumsum(0)
        self.register_buffer("offsets", offsets, persistent=False)
        self.blank, self.dropout, self.norm = Dropout(blank), Dropout(dropout), nn.LayerNorm(width)
        self.trunk = Trunk(width, layers, heads, dropout=dropout)

        # Inside the step: what each voice adds to what the next ones know, and how it's drawn.
        self.known, self.moved = table(self.symbols), table(2)
        self.think = thinkers(width, dropout)
        self.score = nn.ModuleList(nn.Linear(width, self.symbols) for _ in range(4))
        self.distance = None
        if relative != "none":
            known = [ORDER.index(v) if relative == "chord" else 0 for v in range(4)]
            self.distance = nn.ModuleList(
                nn.Linear(width, (1 + n) * (2 * self.pitches - 1)) for n in known
            )
        self.apply(start)

    def past(self, notes: Tensor) -> Past:
        """Tell what is known before each step of whole pieces; see `past`."""
        return past(notes, self.pitches, self.bar)

    def caches(self) -> list[Cache]:
        """Return empty caches, one a block, to go on with from step to step."""
        return self.trunk.caches()

    def look_back(
        self, seen: Past, caches: list[Cache] | None = None
    ) -> tuple[Tensor, list[Cache] | None]:
        """Sum up the past at each step: (batch, steps, width)."""
        return self.trunk(self.norm(self.dropout(self.embedded(seen))), caches)

    def weights(self, notes: Tensor) -> Tensor:
        """Return which step looks at which: (layers, batch, heads, steps, steps).

        Of the model in eval mode, on whole pieces (batch, steps, 4). Row t is who is asked when
        step t is to be predicted; position s holds what is known before step s, so that column s
        stands for the notes of step s - 1.
        """
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                return torch.stack(self.trunk.weights(self.norm(self.embedded(self.past(notes)))))
        finally:
            self.train(training)

    def embedded(self, seen: Past) -> Tensor:
        """Add up what is seen at each step: (batch, steps, width)."""
        parts = [seen.phase[..., None], seen.previous]
        if self.config["ages"]:
            parts.append(seen.age)
        if self.config["moves"]:
            below = seen.previous.roll(-1, dims=-1)  # of the bass, the soprano
            sound = (seen.previous > 0) & (seen.previous <= self.pitches)
            gap = torch.where(sound & sound.roll(-1, dims=-1), seen.previous - below, 0)
            parts += [seen.move, gap + self.pitches]
        return added_up(self.see, torch.cat(parts, -1) + self.offsets, self.blank)

    def voice(self, v: int, summary: Tensor, previous: Tensor, notes: Tensor) -> Tensor:
        """Score the symbols of one voice, given the voices before it in `ORDER`.

        Parameters
        ----------
        v : int
        summary : (…, width)
            Of the past and those voices: see `tell`.
        previous, notes : (…, 4) int64
            The step before, and this one, as far as it is known.

        Returns
        -------
        (…, symbols)
        """
        x = self.think[v](summary)
        logits = self.score[v](x)
        if self.distance is None:
            return logits
        references = [previous[..., v]]
        if self.config["relative"] == "chord":
            references += [notes[..., u] for u in ORDER[: ORDER.index(v)]]
        reference = torch.stack(references, -1)  # (…, references)
        scores = self.distance[v](x).unflatten(-1, (len(references), -1))
        return logits + by_distance(scores, reference, self.pitches)

    def tell(self, v: int, summary: Tensor, previous: Tensor, notes: Tensor) -> Tensor:
        """Add a voice that has been drawn to what the next ones know."""
        note = notes[..., v]
        return summary + self.known[v](note) + self.moved[v]((note != previous[..., v]).long())

    def forward(self, notes: Tensor, seen: Past | None = None) -> Tensor:
        """Score every note of a piece, given all before it.

        Parameters
        ----------
        notes : (batch, steps, 4) int64
            Symbols.
        seen : Past, optional
            What is known at each step; by default these are whole pieces, from their beginning.

        Returns
        -------
        logits : (batch, steps, 4, symbols)
            ``logits[:, t, v]`` are for ``notes[:, t, v]``: they depend on the steps before t and
            on the voices before v in `ORDER`.
        """
        seen = self.past(notes) if seen is None else seen
        summary, _ = self.look_back(seen)
        logits = [summary] * 4
        for v in ORDER:
            logits[v] = self.voice(v, summary, seen.previous, notes)
            summary = self.tell(v, summary, seen.previous, notes)
        return torch.stack(logits, -2)
