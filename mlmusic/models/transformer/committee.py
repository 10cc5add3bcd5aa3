"""Several chorale models that vote, each in several keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mlmusic.models.transformer.attention import Cache
from mlmusic.models.transformer.chorale import ChoraleModel
from mlmusic.models.transformer.echo import ORDER, Trust, mixed
from mlmusic.models.transformer.pieces import Past, past, transposed


class Committee(nn.Module):
    """The mean of what several models expect, each reading the piece in several keys.

    Every note's probability is the mean of what the members give it, in every key that is asked
    for: again an exact chain rule. The members err in different places, so the mean is less
    surprised than each (an ensemble); it takes as many times as long. `write` and the likelihoods
    take a committee as they take one model, and ``members[0]`` is one.

    It may also listen: where the last passage was heard before in the piece, what followed then
    takes a share of the probability. See `mlmusic.models.transformer.echo`.

    Parameters
    ----------
    members : sequence of dict
        Keyword arguments of each `ChoraleModel`, all with the same range and bar.
    shifts : sequence of int
        By how many semitones the piece is also transposed; 0 must be among them.
    temperature : float
        What the votes' mean is sharpened (below 1) or softened by, before it adds up to 1 again:
        models that were trained for long are too sure of themselves. See `calibrated`.
    listens : bool
        Whether it listens for echoes. How far it trusts them is fitted by `attuned`.

    Attributes
    ----------
    members : nn.ModuleList
    trust : Trust or None

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
        listens: bool = False,
    ):
        super().__init__()
        self.members = nn.ModuleList(ChoraleModel(**member) for member in members)
        frames = {tuple(m.config[name] for name in ("low", "high", "bar")) for m in self.members}
        if len(frames) != 1 or 0 not in shifts:
            raise ValueError("a committee needs members of one range and bar, and the shift 0")
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, not {temperature!r}")
        self.temperature, self.listens = temperature, listens
        self.trust = Trust() if listens else None
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
            "listens": self.listens,
        }

    @classmethod
    def of(
        cls,
        members: Sequence[ChoraleModel],
        shifts: Sequence[int] = (0,),
        temperature: float = 1.0,
        listens: bool = False,
    ) -> Committee:
        """Let trained models vote."""
        configs = [member.config for member in members]
        found = cls(members=configs, shifts=shifts, temperature=temperature, listens=listens)
        for mine, member in zip(found.members, members, strict=True):
            mine.load_state_dict(member.state_dict())
        return found.eval()

    def past(self, notes: Tensor) -> Past:
        """Tell what is known before each step of whole pieces."""
        return past(notes, self.pitches, self.bar, echo=self.listens)

    def caches(self) -> list[list[Cache]]:
        """Return empty caches: for each member in each key those of its blocks."""
        return [member.caches() for member, _ in self._votes()]

    def look_back(
        self, seen: Past, caches: list[list[Cache]] | None = None
    ) -> tuple[Tensor, list[list[Cache]] | None]:
        """Sum up the past at each step: (batch, steps, sum of the votes' widths).

        One that listens puts echoes and their grades of trust after that.
        """
        summaries, grown = [], []
        for i, (member, shift) in enumerate(self._votes()):
            moved = seen.transposed(shift, self.pitches)
            summary, kept = member.look_back(moved, None if caches is None else caches[i])
            summaries.append(summary)
            grown.append(kept)
        if self.listens:
            summaries += [part.to(summary.dtype) for part in (seen.echo, seen.trust)]
        return torch.cat(summaries, -1), None if caches is None else grown

    def voice(self, v: int, summary: Tensor, previous: Tensor, notes: Tensor) -> Tensor:
        """Score the symbols of one voice, given the voices before it: log-probabilities."""
        votes, (parts, heard) = [], self._parts(summary)
        for (member, shift), part in zip(self._votes(), parts, strict=True):
            moved = self._moved(previous, shift), self._moved(notes, shift)
            votes.append(_moved_back(member.voice(v, part, *moved).log_softmax(-1), shift))
        mean = torch.stack(votes).logsumexp(0) - math.log(len(votes))
        found = (mean / self.temperature).log_softmax(-1)
        if self.listens:
            echo, trust = (part.long() for part in heard)
            found = mixed(found, self.trust(v, echo, trust, previous, notes), echo[..., v])
        return found

    def tell(self, v: int, summary: Tensor, previous: Tensor, notes: Tensor) -> Tensor:
        """Add a voice that has been drawn to what the next ones know."""
        told, (parts, heard) = [], self._parts(summary)
        for (member, shift), part in zip(self._votes(), parts, strict=True):
            moved = self._moved(previous, shift), self._moved(notes, shift)
            told.append(member.tell(v, part, *moved))
        return torch.cat([*told, *heard], -1)

    forward = ChoraleModel.forward

    def _parts(self, summary: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Cut a summary into those of the votes, and what was heard: echoes and trust."""
        parts = summary.split(self.widths + [4, 4] * self.listens, -1)
        return parts[: len(self.widths)], parts[len(self.widths) :]

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


def attuned(
    committee: Committee,
    pieces: Sequence[Tensor],
    nats: Callable[[Committee, Sequence[Tensor]], list[np.ndarray]],
    *,
    steps: int = 200,
) -> Committee:
    """Fit how far a committee that listens trusts echoes: the likelihood of pieces is highest.

    Parameters
    ----------
    committee : Committee
        Changed in place: its ``trust``, a score of numbers.
    pieces : sequence of (steps, 4) int64
        Symbols of pieces that its members weren't trained on: they would trust themselves too much.
    nats : function (model, pieces) -> list of (steps, 4) arrays
        `mlmusic.metrics.chorales.note_nats`.
    steps : int
        At most so many of L-BFGS.

    Raises
    ------
    ValueError
        If it doesn't listen.
    """
    if not committee.listens:
        raise ValueError("this committee doesn't listen: build it with listens=True")
    seen = [past(piece, committee.pitches, committee.bar, echo=True) for piece in pieces]
    notes, seen = torch.cat(list(pieces)), Past(*map(torch.cat, zip(*seen, strict=True)))
    committee.listens = False
    try:
        own = -torch.from_numpy(np.concatenate(nats(committee, pieces)))  # log p of each note
    finally:
        committee.listens = True
    trust = committee.trust
    optimizer = torch.optim.LBFGS(trust.parameters(), max_iter=steps, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        total = 0.0
        for v in ORDER:
            heard = seen.trust[:, v] > 0
            known = seen.echo, seen.trust, seen.previous, notes
            odds = trust(v, *(part[heard] for part in known)).double()
            right = (notes == seen.echo)[heard, v]
            rest = own[heard, v] + functional.logsigmoid(-odds)
            both = torch.logaddexp(rest, functional.logsigmoid(odds))
            total = total - torch.where(right, both, rest).sum()
        total = total / max(1, int((seen.trust > 0).sum()))
        total = total + 1e-4 * sum(p.double().square().sum() for p in trust.parameters())
        total.backward()
        return total

    optimizer.step(loss)
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
