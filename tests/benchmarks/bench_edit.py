"""Editing: two bars filled by chapter 08's model against chapter 06's with rejection sampling."""

from __future__ import annotations

import itertools
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mlmusic import partwriting, weights
from mlmusic.metrics.chorales import note_nats
from mlmusic.models.edit import MaskedChorale, fill, gibbs, rewritten
from mlmusic.models.transformer.chorale import ChoraleModel
from mlmusic.models.transformer.writing import write
from mlmusic.recipes.edit_chorale import scores
from mlmusic.score import Score

OWN, PEER = "chapter 08, the best of many", "chapter 06, the best of many"

SECONDS = 1.0
"""CPU time that each way has for one gap: it draws candidates for as long as there is time."""

FOLLOWING = 16
"""Steps after the gap by which the baseline judges whether a candidate leads there."""

WAYS = {
    "from left to right": (fill, {"order": "time"}),
    "from left to right, temperature 0.85": (fill, {"order": "time", "temperature": 0.85}),
    "in random order, 24 passes": (fill, {"order": "random", "steps": 24}),
    "most certain first, 24 passes": (fill, {"order": "certain", "steps": 24}),
    "cosine, 12 passes": (fill, {"order": "cosine"}),
    "at once": (fill, {"order": "at once"}),
    "blocked Gibbs, 24 sweeps": (gibbs, {"sweeps": 24}),
}
"""Of these the chosen one stands against chapter 06's model."""

CHOSEN = "from left to right, temperature 0.85"
"""Fewest rules broken and closest to Bach's distributions on the validation pieces."""

FORWARD = 0.92
"""The baseline's temperature, chosen among 0.85, 0.92 and 1 in the same way."""

DRAWS = 200
"""How often gaps are drawn with replacement for an interval."""

LOW = 33
"""MIDI pitch of symbol 1, in both models."""


@dataclass
class Gap:
    """Two bars in the middle of a chorale that are to be filled."""

    score: Score
    grid: Tensor
    phase: Tensor
    free: Tensor
    bars: tuple[int, int]
    first: int
    last: int

    def filled(self, grid: Tensor) -> Score:
        """Write a filled grid into the score."""
        new, free = grid.numpy(), self.free.numpy()
        return rewritten(self.score, self.grid.numpy(), new, free, LOW)

    def faults(self, grid: Tensor) -> int:
        """Count the broken rules in the two bars and where the next one begins."""
        first, last = self.bars
        around = self.filled(grid).bars(first - 1, last + 1)
        # The first of these bars is number 1, whatever it was in the piece.
        return sum(
            remark.bar in (2, 3) or (remark.bar == 4 and remark.beat == 1)
            for remark in partwriting.remarks(around)
        )


def gaps(model: MaskedChorale, pieces: Sequence[Score]) -> list[Gap]:
    """Open two bars after a third and two after two thirds of each piece of eight bars or more."""
    found = []
    for score in pieces:
        grid, phase = model.grid(score)
        lines = np.rint(4 * score.bar_lines).astype(int)
        if len(lines) < 9 or len(score.metre) > 1:
            continue
        for bar in (len(lines) // 3, 2 * len(lines) // 3):
            first, last = int(lines[bar - 1]), int(lines[bar + 1])
            free = torch.zeros(grid.shape, dtype=torch.bool)
            free[:, first:last] = True
            lowest = 0 if score.has_pickup else 1
            bars = (lowest + bar - 1, lowest + bar)
            found.append(Gap(score, grid, phase, free, bars, first, last))
    return found


Draw = Callable[[Gap, int], Tensor]
"""Draw candidates for a gap by a seed, the best first where they're ranked: (count, 4, time)."""


def best(gap: Gap, draw: Draw, seconds: float | None) -> tuple[Tensor, int, float]:
    """Draw candidates while there's time for more, and keep the one that breaks fewest rules.

    Without ``seconds`` the first one is taken. Returns it, how many there were and the time.
    """
    began, count, lowest, kept = time.process_time(), 0, None, None
    for seed in itertools.count():
        for candidate in draw(gap, seed):
            count += 1
            if seconds is None:
                return candidate, count, time.process_time() - began
            faults = gap.faults(candidate)
            if lowest is None or faults < lowest:
                lowest, kept = faults, candidate
        spent = time.process_time() - began
        if spent * (seed + 2) / (seed + 1) > seconds:  # so long it would be after another round
            return kept, count, spent


def masked(model: MaskedChorale, way: Callable, options: dict, count: int) -> Draw:
    """Let chapter 08's model fill."""

    def draw(gap: Gap, seed: int) -> Tensor:
        many = gap.grid.expand(count, -1, -1)
        return way(model, many, gap.free, phase=gap.phase, seed=seed, **options)

    return draw


def forward(model: ChoraleModel, count: int, temperature: float = 1.0) -> Draw:
    """Let chapter 06's model write on from the past, and rank by how likely the following is."""

    def draw(gap: Gap, seed: int) -> Tensor:
        steps = gap.last - gap.first
        stop = min(gap.grid.shape[1], gap.last + FOLLOWING)
        room = model.context - steps - (stop - gap.last)
        # It has learnt to count bars of 16 steps from a piece's beginning.
        begin = 16 * max(0, -(-(gap.first - room) // 16))
        before = gap.grid.T[begin : gap.first]
        new = write(
            model,
            steps,
            prompt=before,
            count=count,
            rests=False,
            seed=seed,
            temperature=temperature,
        )
        whole = torch.cat([new, gap.grid.T[gap.last : stop].expand(count, -1, -1)], 1)
        nats = np.stack(note_nats(model, list(whole), batch=count))[:, new.shape[1] :]
        many = gap.grid.expand(count, -1, -1).clone()
        many[:, :, gap.first : gap.last] = new[:, -steps:].transpose(1, 2)
        return many[np.argsort(nats.sum((1, 2)), kind="stable")]

    return draw


def held(gap: Gap, seed: int) -> Tensor:
    """Hold each voice's last note."""
    grid = gap.grid.clone()
    grid[:, gap.first : gap.last] = 0
    grid[:, gap.first : gap.last] = gap.grid[:, gap.first - 1 : gap.first]
    return grid[None]


# What is measured -------------------------------------------------------------------------------


def features(gaps: Sequence[Gap], filled: Sequence[Tensor]) -> dict[str, Counter]:
    """Count what the gaps hold: chords (pitch classes above the bass), intervals, durations."""
    found = {"chords": Counter(), "intervals": Counter(), "durations": Counter()}
    for gap, grid in zip(gaps, filled, strict=True):
        inside = grid[:, gap.first : gap.last].numpy()
        for column in inside.T:
            bass = column[3]
            found["chords"][tuple(sorted({int(s - bass) % 12 for s in column if s}))] += 1
        notes = gap.filled(grid).notes
        first, last = gap.first / 4, gap.last / 4
        for voice in range(4):
            mine = notes[notes["voice"] == voice]
            mine = mine[(mine["onset"] + mine["duration"] > first) & (mine["onset"] <= last)]
            steps = np.diff(mine["pitch"].astype(int))
            found["intervals"].update((voice == 3, int(step)) for step in steps)
            begun = mine[(mine["onset"] >= first) & (mine["onset"] < last)]
            found["durations"].update((4 * begun["duration"]).tolist())
    return found


def distance(one: Counter, other: Counter) -> float:
    """Total variation between two distributions: 0 if they are the same, 1 if nothing is shared."""
    total, all_ = one.total(), other.total()
    return sum(abs(one[key] / total - other[key] / all_) for key in one | other) / 2


def judged(judge: torch.nn.Module, gaps: Sequence[Gap], filled: Sequence[Tensor]) -> float:
    """Nats per note of the gaps and two bars after them, as chapter 06 reads it."""
    windows, parts = [], []
    for gap, grid in zip(gaps, filled, strict=True):
        begin = 16 * max(0, (gap.first - 48) // 16)
        stop = min(grid.shape[1], gap.last + 32)
        windows.append(grid.T[begin:stop].contiguous())
        parts.append(slice(gap.first - begin, stop - begin))
    nats = note_nats(judge, windows, batch=8)
    return float(
        np.concatenate([n[part].ravel() for n, part in zip(nats, parts, strict=True)]).mean()
    )


def measured(
    gaps: Sequence[Gap], draw: Draw, seconds: float | None, judge: torch.nn.Module | None
) -> tuple[dict[str, float], list[Tensor]]:
    """Fill all gaps in one way and measure; return also what fills them."""
    results = [best(gap, draw, seconds) for gap in gaps]
    filled = [grid for grid, _, _ in results]
    truth = features(gaps, [gap.grid for gap in gaps])
    found = features(gaps, filled)
    same = [
        (grid == gap.grid)[gap.free].float().mean() for gap, grid in zip(gaps, filled, strict=True)
    ]
    row = {
        "seconds": float(np.mean([spent for _, _, spent in results])),
        "candidates": float(np.mean([count for _, count, _ in results])),
        "faults": sum(map(Gap.faults, gaps, filled)) / (2 * len(gaps)),
        **{name: distance(truth[name], found[name]) for name in truth},
        "same": float(np.mean(same)),
    }
    row["distance"] = float(np.mean([row[name] for name in truth]))
    if judge is not None:
        row["nats"] = judged(judge, gaps, filled)
    return row, filled


def behind(
    gaps: Sequence[Gap], own: Sequence[Tensor], peer: Sequence[Tensor], seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return 95 % intervals of the peer's faults and distance less our own, gaps drawn anew."""
    one_by_one = [
        [features([gap], [grid]) for gap, grid in zip(gaps, grids, strict=True)]
        for grids in ([gap.grid for gap in gaps], own, peer)
    ]
    faults = np.array([list(map(Gap.faults, gaps, grids)) for grids in (own, peer)]) / 2
    rng, found = np.random.default_rng(seed), {"faults": [], "distance": []}
    for _ in range(DRAWS):
        chosen = rng.integers(len(gaps), size=len(gaps))
        found["faults"].append(np.subtract(*faults[::-1, chosen].mean(1)))
        sums = [{} for _ in one_by_one]
        for total, each in zip(sums, one_by_one, strict=True):
            for name in each[0]:
                total[name] = Counter()
                for i in chosen:
                    total[name].update(each[i][name])
        ours, theirs = (
            np.mean([distance(sums[0][name], other[name]) for name in other]) for other in sums[1:]
        )
        found["distance"].append(theirs - ours)
    return {name: tuple(np.quantile(values, (0.025, 0.975))) for name, values in found.items()}


def compare(split: str, limit: int | None = None) -> tuple[dict[str, dict], dict]:
    """Measure all ways on a split, and how far apart the two that matter are."""
    torch.set_num_threads(1)
    model = weights.load("edit/chorale")
    committee = weights.load("transformer/chorale")
    some = gaps(model, scores(split)[:limit])
    own = masked(model, *WAYS[CHOSEN], 24)
    first = committee.members[0]
    ways: dict[str, tuple[Draw, float | None]] = {
        "Bach": (lambda gap, seed: gap.grid[None], None),
        "hold the last notes": (held, None),
    }
    ways |= {name: (masked(model, *way, 1), None) for name, way in WAYS.items()}
    ways |= {
        OWN: (own, SECONDS),
        "chapter 06, one": (forward(first, 1, FORWARD), None),
        PEER: (forward(first, 8, FORWARD), SECONDS),
    }
    found = {name: measured(some, *way, committee) for name, way in ways.items()}
    apart = behind(some, found[OWN][1], found[PEER][1])
    return {name: row for name, (row, _) in found.items()}, apart


def run() -> list[dict]:
    """Compare on the test split at equal CPU time; the ways of filling one by one."""
    found, apart = compare("test")
    own, peer = found[OWN], found[PEER]
    rows = []
    for name, what in (("faults", "rules broken per bar"), ("distance", "distance from Bach's")):
        low, high = apart[name]
        rows.append(
            {
                "row": f"edit: {what}, against chapter 06 with rejection",
                "ours": f"{own[name]:.3f}",
                "peer": f"{peer[name]:.3f}",
                "ratio": peer[name] / own[name],
                "note": f"two bars of all voices, {own['seconds']:.2f} and {peer['seconds']:.2f}"
                f" CPU s each: {own['candidates']:.0f} and {peer['candidates']:.0f} candidates;"
                f" the difference lies in {low:.3f} to {high:.3f} (95 %)",
            }
        )
    return rows + [
        {"row": f"edit: {name}", "ours": told(row), "note": "test split, two gaps a piece"}
        for name, row in found.items()
    ]


def told(row: dict[str, float]) -> str:
    """Tell a row in words."""
    return (
        f"{row['faults']:.2f} rules broken per bar; distances of chords {row['chords']:.2f},"
        f" intervals {row['intervals']:.2f}, durations {row['durations']:.2f};"
        f" {row.get('nats', np.nan):.3f} nats per note for chapter 06's committee;"
        f" {row['same']:.2f} as Bach; {row['seconds']:.2f} CPU s"
    )


if __name__ == "__main__":  # python tests/benchmarks/bench_edit.py valid 20
    split, *limit = sys.argv[1:] or ["valid"]
    rows, apart = compare(split, *map(int, limit))
    for name, row in rows.items():
        print(f"{name}: {told(row)}, distance {row['distance']:.3f}, {row['candidates']:.0f} drawn")
    print("less rules broken, and closer, by:", apart)
