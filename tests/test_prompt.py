"""The course's opening: what it is made of, and that it is nobody else's."""

from mlmusic import datasets
from mlmusic.metrics.copying import Copies
from mlmusic.prompt import BARS, prompt


def test_the_opening():
    score = prompt()
    assert score == prompt() and score.bar_lines.tolist() == [0, 4, 8, 12, 16]
    assert len(score.bar_lines) - 1 == BARS and score.voices == [0]
    gaps = score.notes["onset"][1:] - (score.notes["onset"] + score.notes["duration"])[:-1]
    assert not gaps.any() and score.duration == 16
    assert {pitch % 12 for pitch in score.notes["pitch"].tolist()} <= {0, 2, 4, 6, 7, 9, 11}
    assert (score.notes["pitch"].min(), score.notes["pitch"].max()) == (62, 79)
    score.to_grid(2)  # nothing lies off the grid of eighths


def test_it_is_in_no_data_set():
    """It shares no longer run with any tune than any few notes do."""
    for tunes in (datasets.tunes().all, datasets.folksongs().all):
        assert Copies(tunes).longest(prompt()).notes < 12
