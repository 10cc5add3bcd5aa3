"""Several chorale models that vote, each in several keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mlmusic.models.transformer.attention import Cache
from mlmusic.models.transformer.chorale import ChoraleModel
from mlmusic.models.transformer.pieces import Past, transposed


class Committee(nn.Module):
    """The mean of what several models expect, each reading the piece in several keys.

    Every note's probability is the mean of what the members give it, in every key that is asked
    for: again an exact chain rule. The members err in different places, so the mean is less
    surprised than each (an ensemble); it takes as many times as long. `write` and the likelihoods
    take a committee as they take one model, and ``members[0]`` is one.

    Parameters
    ----------
    members : sequence of dict
        Keyword arguments of each `ChoraleModel`, all with the same range and bar.
    shifts : sequence of int
        By how many semitones the piece is also transposed; 0 must be among them.
    temperature : float
        What the votes' mean is sharpened (below 1) or softened by, before it adds up to 1 again:
        models that were trained for long are too sure of themselves. See `calibrated`.

    Attributes
    ----------
    members : nn.ModuleList

    Raises
    ------
    ValueError
        If there is no member, they differ in range or bar, 0 isn't among the shifts, or the
        temperature isn't above 0.
    """

    def __init__(
        self,
        *,
        members: Sequence[Mapping[str, Any]],
        shifts: Sequence[int] = (0,),
        temperature: float = 1.0,
    ):
        super().__init__()
        self.members = nn.ModuleList(ChoraleModel(**member) for member in members)
        frames = {tuple(m.config[name] for name in ("low", "high", "bar")) for m in self.members}
        if len(frames) != 1 or 0 not in shifts:
            raise ValueError("a committee needs members of one range and bar, and the shift 0")
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, not {temperature!r}")
        self.temperature = temperature
        first = self.members[0]
        self.low, self.bar = first.low, first.bar
        self.pitches, self.symbols = first.pitches, first.symbols
        self.context = min(member.context for member in self.members)
        self.shifts = list(shifts)
        self.widths = [m.config["width"] for m in self.members for _ in self.shifts]

    @property
    def config(self) -> dict[str, Any]:
        """The parameters above: ``Committee(**config)`` is the same architecture."""
        return {
            "members": [member.config for member in self.members],
            "shifts": self.shifts,
            "temperature": self.temperature,
        }

    @classmethod
    def of(
        cls,
        members: Sequence[ChoraleModel],
        shifts: Sequence[int] = (0,),
        temperature: float = 1.0,
    ) -> Committee:
        """Let trained models vote."""
        configs = [member.config for member in members]
        found = cls(members=configs, shifts=shifts, temperature=temperature)
        for mine, member in zip(found.members, members, strict=True):
            mine.load_state_dict(member.state_dict())
        return found.eval()

    def past(self, notes: Tensor) -> Past:
        """Tell what is known before each step of whole pieces."""
        return self.members[0].past(notes)

    def caches(self) -> list[list[Cache]]:
        """Return empty caches: for each member in each key those of its blocks."""
        return [member.caches() for member, _ in self._votes()]

    def look_back(
        self, seen: Past, caches: list[list[Cache]] | None = None
    ) -> tuple[Tensor, list[list[Cache]] | None]:
        """Sum up the past at each step: (batch, steps, sum of the votes' widths)."""
        summaries, grown = [], []
        for i, (member, shift) in enumerate(self._votes()):
            moved = seen._replace(previous=self._moved(seen.previous, shift))
            summary, kept = member.look_back(moved, None if caches is None else caches[i])
            summaries.append(summary)
            grown.append(kept)
        return torch.cat(summaries, -1), None if caches is None else grown

    def voice(self, v: int, summary: Tensor, previous: Tensor, notes: Tensor) -> Tensor:
        """Score the symbols of one voice, given the voices before it: log-probabilities."""
        votes = []
        for (member, shift), part in zip(
            self._votes(), summary.split(self.widths, -1), strict=True
        ):
            moved = self._moved(previous, shift), self._moved(notes, shift)
            votes.append(_moved_back(member.voice(v, part, *moved).log_softmax(-1), shift))
        mean = torch.stack(votes).logsumexp(0) - math.log(len(votes))
        return (mean / self.temperature).log_softmax(-1)

    def tell(self, v: int, summary: Tensor, previous: Tensor, notes: Tensor) -> Tensor:
        """Add a voice that has been drawn to what the next ones know."""
        told = []
        for (member, shift), part in zip(
            self._votes(), summary.split(self.widths, -1), strict=True
        ):
            moved = self._moved(previous, shift), self._moved(notes, shift)
            told.append(member.tell(v, part, *moved))
        return torch.cat(told, -1)

    forward = ChoraleModel.forward

    def _votes(self) -> list[tuple[ChoraleModel, int]]:
        return [(member, shift) for member in self.members for shift in self.shifts]

    def _moved(self, notes: Tensor, shift: int) -> Tensor:
        return transposed(notes, shift, self.pitches)


def calibrated(
    committee: Committee, score: Callable[[Committee], float], step: float = 0.05
) -> Committee:
    """Give a committee the temperature with the lowest score, such as nats on validation pieces.

    It goes up from 1 in steps, or down, for as long as that helps. Source: Guo et al., *On
    calibration of modern neural networks*, 2017.
    """
    committee.temperature = 1.0
    best, lowest = 1.0, score(committee)
    for direction in (step, -step):
        while best + direction > 0:
            committee.temperature = round(best + direction, 6)
            found = score(committee)
            if not found < lowest:
                break
            best, lowest = committee.temperature, found
        if best != 1.0:
            break
    committee.temperature = best
    return committee


def _moved_back(log_p: Tensor, shift: int) -> Tensor:
    """Read log-probabilities of transposed symbols as those of the symbols themselves."""
    if not shift:
        return log_p
    silence, pitches = log_p[..., :1], log_p[..., 1:]
    moved = torch.full_like(pitches, -torch.inf)  # pitches that left the range
    if shift > 0:
        moved[..., :-shift] = pitches[..., shift:]
    else:
        moved[..., -shift:] = pitches[..., :shift]
    return torch.cat([silence, moved], -1)
