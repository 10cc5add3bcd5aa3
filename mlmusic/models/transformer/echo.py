"""What followed when the passage that was just heard stood earlier in the same piece.

Chorales repeat their phrases, often note by note. A small transformer that has seen 200 of them
doesn't learn to find such places. A program finds them, and what followed there is mixed into what
the models expect; how far to trust it are a few numbers, fitted on validation pieces. Nothing but
what has sounded in this piece is looked at, so the likelihood stays an exact chain rule.

Sources: Grave et al., *Improving neural language models with a continuous cache*, 2017; Merity et
al., *Pointer sentinel mixture models*, 2017.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

ORDER = (0, 3, 1, 2)
"""Inside a step: soprano, bass, alto, tenor. The outer voices frame the inner ones."""

OWN = (4, 6, 8, 12)
CHORD = (2, 3, 4, 6, 8, 12)
"""From how many beats on a passage counts as heard before, and as surer: of one voice, of all."""

TRUST = 1 + len(OWN) + len(CHORD)
"""How many grades of trust there are."""


class Memory:
    """All that has sounded in pieces, and where the last passage of each stood before.

    The longest passage that ends now and also ended earlier is looked up; of equals, the latest. If
    all four voices together were heard before, what followed is their echo; otherwise each voice
    has its own, from a longer passage.

    Parameters
    ----------
    beat : int
        Steps of a beat.
    """

    def __init__(self, beat: int = 4):
        self._own, self._chord = beat * np.array(OWN), beat * np.array(CHORD)
        self._notes: np.ndarray | None = None  # (…, room, 4)
        self._runs: np.ndarray | None = None  # (…, steps - 1, 5): of four voices, and of all
        self._steps = 0

    @classmethod
    def of(cls, notes: Tensor, beat: int = 4) -> Memory:
        """Remember pieces, (…, steps, 4)."""
        memory = cls(beat)
        for t in range(notes.shape[-2]):
            memory.add(notes[..., t, :])
        return memory

    def add(self, now: Tensor) -> tuple[Tensor, Tensor]:
        """Hear a step, and say what the next one may be.

        Parameters
        ----------
        now : (…, 4) int64
            Symbols, for the same number of pieces each time.

        Returns
        -------
        echo : (…, 4) int64
            What followed then, -1 for nothing.
        trust : (…, 4) int64
            0 for nothing; 1 to 4 for a passage of that voice, and 5 to 10 for one of all voices,
            the longer the higher.
        """
        device, now, steps = now.device, now.cpu().numpy(), self._steps
        if self._notes is None:
            self._notes = np.zeros((*now.shape[:-1], 64, 4), np.int64)
            self._runs = np.zeros((*now.shape[:-1], 0, 5), np.int64)
        elif steps == self._notes.shape[-2]:
            self._notes = np.concatenate([self._notes, np.zeros_like(self._notes)], -2)
        self._notes[..., steps, :] = now
        self._steps += 1
        if not steps:
            nothing = torch.zeros(now.shape, dtype=torch.int64, device=device)
            return nothing - 1, nothing
        # Place i: for how long the passage that ended with step i is the one that ends now.
        same = self._notes[..., :steps, :] == now[..., None, :]
        same = np.concatenate([same, same.all(-1, keepdims=True)], -1)
        before = np.zeros((*now.shape[:-1], steps, 5), np.int64)
        before[..., 1:, :] = self._runs
        self._runs = np.where(same, before + 1, 0)
        place = steps - 1 - self._runs[..., ::-1, :].argmax(-2)  # (…, 5)
        longest = np.take_along_axis(self._runs, place[..., None, :], -2)[..., 0, :]
        # What stood after it: each voice's own, and all voices' for the passage of all.
        own = np.take_along_axis(self._notes, place[..., None, :4] + 1, -2)[..., 0, :]
        chord = np.take_along_axis(self._notes, place[..., None, 4:] + 1, -2)[..., 0, :]
        alone = np.searchsorted(self._own, longest[..., :4], side="right")
        joint = np.searchsorted(self._chord, longest[..., 4:], side="right")
        trust = np.where(joint > 0, joint + len(OWN), alone)
        echo = np.where(trust > 0, np.where(joint > 0, chord, own), -1)
        return torch.from_numpy(echo).to(device), torch.from_numpy(trust).to(device)


def echoes(notes: Tensor, beat: int = 4) -> tuple[Tensor, Tensor]:
    """Return what `Memory` says before each step of whole pieces: (…, steps, 4) each."""
    memory, found = Memory(beat), [(torch.full_like(notes[..., 0, :], -1), 0 * notes[..., 0, :])]
    for t in range(notes.shape[-2] - 1):
        found.append(memory.add(notes[..., t, :]))
    echo, trust = (torch.stack(part, -2) for part in zip(*found, strict=True))
    return echo, trust


class Trust(nn.Module):
    """How likely an echo comes true: a few numbers that add up to its log-odds.

    They stand for the grade of trust, the voice, and the case: whether the voices of this step that
    are known already followed their echoes (they had none, all did, one didn't), and whether the
    echo is another note than the last.
    """

    def __init__(self):
        super().__init__()
        self.grade, self.voice, self.case = (
            nn.Parameter(torch.zeros(size)) for size in (TRUST, 4, 6)
        )

    def forward(
        self, v: int, echo: Tensor, trust: Tensor, previous: Tensor, notes: Tensor
    ) -> Tensor:
        """Return the log-odds for one voice, -inf where it has no echo.

        Parameters
        ----------
        v : int
        echo, trust, previous : (…, 4) int64
            As in `Past`.
        notes : (…, 4) int64
            This step, as far as it is known: the voices before ``v`` in `ORDER`.
        """
        earlier = list(ORDER[: ORDER.index(v)])
        heard = trust[..., earlier] > 0
        left = (heard & (notes[..., earlier] != echo[..., earlier])).any(-1)
        case = torch.where(left, 2, heard.any(-1).long())
        case = 2 * case + (echo[..., v] != previous[..., v]).long()
        odds = self.grade[trust[..., v]] + self.voice[v] + self.case[case]
        return torch.where(trust[..., v] > 0, odds, -torch.inf)


def mixed(log_p: Tensor, odds: Tensor, echo: Tensor) -> Tensor:
    """Give an echo the share of the probability that its log-odds say.

    Parameters
    ----------
    log_p : (…, symbols)
    odds : (…,)
    echo : (…,) int64
        Any symbol where the log-odds are -inf.

    Returns
    -------
    (…, symbols)
    """
    rest = log_p + functional.logsigmoid(-odds)[..., None]
    index = echo.clamp(0, log_p.shape[-1] - 1)[..., None]
    share = torch.logaddexp(rest.gather(-1, index), functional.logsigmoid(odds)[..., None])
    return rest.scatter(-1, index, share)
