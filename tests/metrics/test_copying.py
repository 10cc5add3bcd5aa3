"""Copied passages: by hand, against a search that tries everything, and in odd cases."""

import numpy as np
import pytest

from mlmusic import Score
from mlmusic.datasets.melodies import steps
from mlmusic.metrics.copying import Copies, Run


def melody(pitches, lengths=None):
    lengths = [1.0] * len(pitches) if lengths is None else lengths
    onsets = np.cumsum([0, *lengths[:-1]])
    return Score(list(zip(onsets.tolist(), lengths, pitches, strict=True)))


def test_by_hand():
    tunes = [melody([60, 62, 64, 65, 67]), melody([72, 71, 69, 74, 60])]
    copies = Copies(tunes)
    assert copies.longest(melody([80, 66, 68, 70, 71, 60])) == Run(4, 1, 0, 0)
    assert copies.longest(melody([50, 49, 47, 52])) == Run(4, 0, 1, 0)
    assert copies.longest(tunes[0]) == Run(5, 0, 0, 0)
    assert copies.longest(tunes[0], leave_out=0).notes == 0  # the second tune has no step up
    assert copies.longest(melody([60, 100, 20])).notes == 0


def test_speed_doesnt_matter_but_rhythm_does():
    copies = Copies([melody([60, 62, 64, 65], [1.0, 0.5, 0.5, 1.0])])
    assert copies.longest(melody([70, 72, 74, 75], [2.0, 1.0, 1.0, 2.0])).notes == 4
    assert copies.longest(melody([70, 72, 74, 75], [0.5, 1.0, 1.0, 0.5])).notes == 2


def test_equal_to_trying_everything():
    rng = np.random.default_rng(0)
    tunes = [
        melody(
            (60 + rng.integers(0, 4, 40)).tolist(),
            rng.choice([0.5, 1.0], 40, p=[0.8, 0.2]).tolist(),
        )
        for _ in range(12)
    ]
    lines, copies = [steps(tune) for tune in tunes], Copies(tunes)
    for i, tune in enumerate(tunes):
        found = copies.longest(tune, leave_out=i)
        others = [line for j, line in enumerate(lines) if j != i]
        longest = max(
            length
            for length in range(1, 40)
            if {tuple(lines[i][k : k + length]) for k in range(40 - length)}
            & {tuple(line[k : k + length]) for line in others for k in range(40 - length)}
        )
        assert found.notes == longest + 1 and found.tune != i
        source = lines[found.tune][found.tune_start : found.tune_start + longest]
        assert source == lines[i][found.start : found.start + longest]


def test_odd_cases():
    with pytest.raises(ValueError, match="no training tunes"):
        Copies([])
    copies = Copies([melody([60]), Score([])])
    assert copies.longest(melody([60, 62])) == Run(0)
    assert copies.longest(Score([])) == Run(0)
