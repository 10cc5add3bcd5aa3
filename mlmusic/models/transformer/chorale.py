"""Four voices in sixteenths: one position a step, and an exact chain rule inside the step.

A piece is a table of symbols, (steps, 4): soprano, alto, tenor, bass at each sixteenth. Symbol 0 is
silence, symbol s the MIDI pitch ``low + s - 1``. A note that sounds on is written again at each
step, as in the published JSB chorales, so a repeated note can't be told from a held one.

The trunk sees the steps before. Inside a step the voices are drawn one after the other, each given
those before it: ``p(step) = p(S) p(B | S) p(A | S, B) p(T | S, B, A)``, all given the past, too.
The product over all steps is an exact likelihood of the piece.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mlmusic.models.transformer.attention import Cache, Dropout, Trunk, start
from mlmusic.score import HOLD, REST, Score
from mlmusic.tokens.base import last_change, refuse_range

ORDER = (0, 3, 1, 2)
"""Inside a step: soprano, bass, alto, tenor. The outer voices frame the inner ones."""

OLDEST = 32
"""Notes held for longer count as held for so many steps: two bars."""

VOICES = ("soprano", "alto", "tenor", "bass")


class Past(NamedTuple):
    """What is known of the past at each step, (…, steps, 4) but for the last.

    Attributes
    ----------
    previous : int64
        Symbols of the step before; ``symbols`` (one more than the last) before the first.
    age : int64
        For how many steps these have sounded, 0 before the first, at most `OLDEST`.
    move : int64
        By how many semitones they were reached, plus ``pitches``; exactly that if from silence or
        nothing.
    phase : int64, (…, steps)
        Step of the bar, where the first step of a piece is 0.
    """

    previous: Tensor
    age: Tensor
    move: Tensor
    phase: Tensor

    def window(self, first: int, last: int) -> Past:
        """Cut out some steps."""
        return Past(
            *(part[..., first:last, :] for part in self[:3]), phase=self.phase[..., first:last]
        )


def following(seen: Past, notes: Tensor, pitches: int, bar: int = 16) -> Past:
    """Tell what is known before the next step: `past` of one step more, from that of the last.

    Parameters
    ----------
    seen : Past
        Of one step.
    notes : (…, 1, 4) int64
        Its symbols.
    """
    before = seen.previous
    same = notes == before
    reached = torch.where((notes > 0) & (before > 0) & (before <= pitches), notes - before, 0)
    return Past(
        notes,
        torch.where(same, seen.age + 1, 1).clamp(max=OLDEST),
        torch.where(same, seen.move, reached + pitches),
        (seen.phase + 1) % bar,
    )


def transposed(notes: Tensor, shift: int, pitches: int) -> Tensor:
    """Shift pitches by semitones, as far as they go; silence and "nothing yet" stay."""
    sounds = (notes > 0) & (notes <= pitches)
    return torch.where(sounds, (notes + shift).clamp(1, pitches), notes)


def symbols(score: Score, *, low: int = 36, high: int = 81) -> Tensor:
    """Write a chorale as symbols.

    Parameters
    ----------
    score : Score
        Voices 0 to 3, soprano to bass. Notes off the grid of sixteenths go to the nearest step.
    low, high : int
        MIDI range of the symbols.

    Returns
    -------
    (steps, 4) int64

    Raises
    ------
    ValueError
        If there is no note, a voice too many, or a pitch outside the range.
    """
    refuse_range(score.notes, low, high)
    if not len(score) or max(score.voices) > 3:
        raise ValueError(f"a chorale has notes in voices 0–3, not in {score.voices}")
    grid = score.to_grid(4, quantize=True)
    whole = np.full((4, grid.shape[1]), REST, np.int64)
    whole[: len(grid)] = grid
    whole = np.take_along_axis(whole, last_change(whole), axis=1)  # what sounds
    return torch.from_numpy(np.where(whole >= 0, whole - low + 1, 0).T.copy())


def to_score(notes: Tensor | np.ndarray, *, low: int = 36, **fields: Any) -> Score:
    """Read a chorale from symbols: a pitch that goes on is one note.

    Parameters
    ----------
    notes : (steps, 4) int
    low : int
        As in `symbols`.
    **fields
        Tempo, metre, title … of the score.

    Raises
    ------
    ValueError
        If the shape is another, or a symbol is no pitch.
    """
    notes = np.asarray(notes)
    if notes.ndim != 2 or notes.shape[1] != 4 or notes.dtype.kind not in "iu":
        raise ValueError(f"symbols must be whole numbers of shape (steps, 4), not {notes.shape}")
    if notes.size and (notes.min() < 0 or notes.max() + low - 1 > 127):
        raise ValueError(f"symbols must be 0–{128 - low}, not {notes.min()}–{notes.max()}")
    grid = np.where(notes > 0, notes + low - 1, REST).T  # (4, steps)
    again = np.zeros(grid.shape, bool)
    again[:, 1:] = (grid[:, 1:] == grid[:, :-1]) & (grid[:, 1:] != REST)
    return Score.from_grid(np.where(again, HOLD, grid), **fields)


def past(notes: Tensor, pitches: int, bar: int = 16) -> Past:
    """Tell what is known before each step of whole pieces.

    Parameters
    ----------
    notes : (…, steps, 4) int64
        Symbols.
    pitches : int
        How many there are; ``pitches + 1`` symbols with silence.
    bar : int
        Steps of a bar.
    """
    steps = notes.shape[-2]
    place = torch.arange(steps, device=notes.device)[:, None]
    before = torch.cat([torch.full_like(notes[..., :1, :], pitches + 1), notes[..., :-1, :]], -2)
    changed = notes != before
    since = torch.where(changed, place, 0).cummax(dim=-2).values  # when the note began
    reached = torch.where((notes > 0) & (before > 0) & (before <= pitches), notes - before, 0)
    reached = reached.gather(-2, since)
    age = (place - since + 1).clamp(max=OLDEST)
    zeros = torch.zeros_like(notes[..., :1, :])
    return Past(
        before,
        torch.cat([zeros, age[..., :-1, :]], -2),
        torch.cat([zeros, reached[..., :-1, :]], -2) + pitches,
        (place[:, 0] % bar).expand(notes.shape[:-1]),
    )


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
    """

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
        self.think = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width, 2 * width),
                nn.GELU(),
                Dropout(dropout),
                nn.Linear(2 * width, width),
                nn.LayerNorm(width),
            )
            for _ in range(4)
        )
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
        parts = [seen.phase[..., None], seen.previous]
        if self.config["ages"]:
            parts.append(seen.age)
        if self.config["moves"]:
            below = seen.previous.roll(-1, dims=-1)  # of the bass, the soprano
            sound = (seen.previous > 0) & (seen.previous <= self.pitches)
            gap = torch.where(sound & sound.roll(-1, dims=-1), seen.previous - below, 0)
            parts += [seen.move, gap + self.pitches]
        rows = torch.cat(parts, -1) + self.offsets
        weight, shown = self.see.weight, None
        if self.training:
            shown = self.blank(weight.new_ones(rows.shape)).flatten(0, -2)
        x = nn.functional.embedding_bag(
            rows.flatten(0, -2), weight, mode="sum", per_sample_weights=shown
        )
        x = x.unflatten(0, rows.shape[:-1])
        return self.trunk(self.norm(self.dropout(x)), caches)

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
        symbols = torch.arange(1, self.symbols, device=x.device)
        sounds = (reference > 0) & (reference <= self.pitches)
        far = symbols - reference.clamp(1, self.pitches)[..., None] + self.pitches - 1
        scores = scores.gather(-1, far) * sounds[..., None]  # (…, references, pitches)
        return logits + nn.functional.pad(scores.sum(-2), (1, 0))

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
