"""Judges of what music is, and how often it is what was asked for."""

import pytest

from mlmusic import Score
from mlmusic.metrics.control import Judge, bars, hit_rate, kept_metre, rhythms, stated


def tune(rhythm, count, metre=(0, 4, 4), **fields):
    """Bars of one rhythm, given as lengths in quarter notes."""
    notes, onset = [], 0.0
    for _ in range(count):
        for i, length in enumerate(rhythm):
            notes.append((onset, length, (60, 64, 67, 72)[i % 4]))
            onset += length
    return Score(notes, metre=[metre], **fields)


REEL = (0.5,) * 8
HORNPIPE = (0.75, 0.25) * 4


def test_bars_are_counted_by_time():
    assert bars(tune(REEL, 8)) == 8
    assert bars(tune((0.5,) * 6, 8, (0, 6, 8))) == 8
    # A pickup, and a last bar that is shorter by it.
    assert bars(Score([(0, 1, 60), (1, 4, 60), (5, 3, 60)], metre=[(1, 4, 4)])) == 2


def test_a_metre_is_kept_if_most_bars_are_full():
    assert kept_metre(tune(REEL, 8)) == "4/4"
    assert kept_metre(tune((0.5,) * 6, 8, (0, 6, 8))) == "6/8"
    notes = tune(REEL, 8).notes
    # A count that begins anew after three beats each time: no bar is full.
    broken = Score(notes, metre=[(3.0 * i, 4, 4) for i in range(11)])
    assert kept_metre(broken) is None
    # One bar of three beats before eight full ones.
    short = Score(tune(REEL, 9).notes[:70], metre=[(0, 4, 4), (3, 4, 4)])
    assert kept_metre(short) == "4/4"
    assert kept_metre(short, share=0.99) is None


def test_the_metre_that_most_of_the_time_stands_in():
    both = Score(tune(REEL, 8).notes, metre=[(0, 2, 4), (4, 4, 4)])
    assert kept_metre(both) == "4/4"


def test_what_a_source_states():
    score = tune(REEL, 8, key=[(0, 1, "major")], title="It")
    score.meta = {"type": "reel"}
    assert stated(score) == {"key": "G major", "metre": "4/4", "type": "reel", "length": "8"}
    score.key = [(0, 1, "dorian")]
    score.meta = {}
    assert stated(score) == {"metre": "4/4", "length": "8"}
    score.key = [(0, 1, "major"), (4, 2, "major")]
    assert "key" not in stated(score)


def test_rhythms_of_bars():
    assert rhythms(tune((1, 0.5, 0.5, 2), 1)) == ["96:0,24,36,48"]
    assert rhythms(Score([(0, 1, 60), (1, 3, 60)], metre=[(1, 3, 4)])) == ["24:0", "72:0"]


@pytest.fixture
def judge():
    rows = []
    for kind, rhythm in (("reel", REEL), ("hornpipe", HORNPIPE)):
        for count in (4, 8):
            rows.append(tune(rhythm, count))
            rows[-1].meta = {"type": kind}
    return Judge([*rows, tune(REEL, 2)], ["reel", "hornpipe"])


def test_the_judge_tells_types_by_rhythm(judge):
    assert judge.types == ["hornpipe", "reel"]
    assert judge.type_of(tune(REEL, 3)) == "reel"
    assert judge.type_of(tune(HORNPIPE, 3)) == "hornpipe"
    # Five bars against three, and rhythms that nobody knows say nothing.
    mixed = Score.concatenate([tune(HORNPIPE, 5), tune(REEL, 3), tune((1,) * 4, 20)])
    assert judge.type_of(mixed) == "hornpipe"


def test_the_judge_hears_everything(judge):
    heard = judge(tune(REEL, 8))
    assert heard == {"key": "C major", "type": "reel", "length": "8", "metre": "4/4"}
    assert judge(Score([])) == {}


def test_hit_rates():
    heard = [{"key": "G major", "metre": "6/8"}, {"key": "D major"}, {}, {"key": "G major"}]
    assert hit_rate(heard, {"key": "G major"}) == {"key": 0.5}
    wanted = [{"metre": "6/8"}, {"metre": "6/8", "key": "D major"}, {}, {"key": "A minor"}]
    assert hit_rate(heard, wanted) == {"metre": 0.5, "key": 0.5}
    assert hit_rate([{}], [{}]) == {}


def test_bad_input():
    with pytest.raises(ValueError, match="without notes"):
        bars(Score([]))
    with pytest.raises(ValueError, match="must be one for each"):
        hit_rate([{}, {}], [{}])
    with pytest.raises(ValueError, match="must be one for each"):
        hit_rate([], {"key": "G major"})
    with pytest.raises(ValueError, match="type polka"):
        Judge([tune(REEL, 4)], ["polka"])
    with pytest.raises(ValueError, match="at least 20"):
        Judge([tune(REEL, 4)])
