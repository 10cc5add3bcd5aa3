"""Windows: cut from hand-made tunes and from the real ones, read back, faults counted."""

import numpy as np
import pytest

from mlmusic import Score, datasets
from mlmusic.windows import (
    FIRST,
    HIGHEST,
    HOLD,
    LOWEST,
    REST,
    SYMBOLS,
    Windows,
    faults,
    from_roll,
    markov,
    repair,
    to_roll,
    to_score,
    transposable,
    transpose,
    windows,
    without,
)

G, A, B = (FIRST + pitch - LOWEST for pitch in (67, 69, 71))
QUARTERS = [(i, 1.0, 67 + i) for i in range(8)]  # two bars of 4/4


def tune(notes, metre=((0.0, 4, 4),), **meta):
    return Score(notes, metre=list(metre), meta=meta)


def test_symbols_by_hand():
    score = tune([(0, 0.5, 67), (1, 1.25, 69), (2.25, 0.25, 71), (3, 2, 67)], type="reel")
    found = windows([score], 1, 16)
    assert found.symbols.tolist() == [
        [G, HOLD, REST, REST, A, HOLD, HOLD, HOLD, HOLD, B, REST, REST, G, HOLD, HOLD, HOLD]
    ]
    assert found.symbols.dtype == np.int64 and found.tune.dtype == np.int64
    assert found.kinds.tolist() == ["reel"] and found.steps_per_bar == 16
    # The second bar begins in the G that sounds on: nobody would see it begin.
    assert found.dropped == {"begins in a held note": 1}


def test_windows_overlap_by_hop():
    score = tune(QUARTERS + [(8 + i, 1.0, 60 + i) for i in range(8)])
    assert len(windows([score], 2, 16)) == 3
    assert len(windows([score], 2, 16, hop=2)) == 2
    assert len(windows([score], 4, 16)) == 1 and len(windows([score], 5, 16)) == 0
    bars = windows([score], 2, 16, hop=2).bars
    np.testing.assert_array_equal(bars, windows([score], 1, 16).symbols)


def test_what_is_left_out_is_counted():
    def dropped(notes, **options):
        found = windows([tune(notes, **options)], 1, 16)
        assert len(found) == 0
        return found.dropped

    assert dropped([(0, 1, 54), (1, 3, 67)]) == {"outside the range": 1}
    assert dropped([(0, 1, 89), (1, 3, 67)]) == {"outside the range": 1}
    assert dropped([(0, 1 / 3, 67), (1, 3, 67)]) == {"off the grid": 1}
    assert dropped([(0, 4, 67), (1, 3, 69)]) == {"two notes at once": 1}
    # A long note under two short ones: the last one overlaps it, too.
    assert dropped([(0, 4, 67), (1, 0.5, 69), (3, 1, 69)]) == {"two notes at once": 1}
    other = "other metre, or a bar that isn't full"
    assert dropped([(0, 3, 67)], metre=[(0, 3, 4)]) == {other: 1}
    assert windows([tune([(4, 1, 67)])], 1, 16).dropped == {"silent": 1}


def test_only_the_bars_of_the_fault_are_lost():
    found = windows([tune([*QUARTERS[:4], (4, 1 / 3, 67), (8, 4, 60)])], 1, 16)
    assert len(found) == 2 and found.dropped == {"off the grid": 1}


def test_pickups_and_changes_of_metre():
    score = tune(
        [(0, 1, 67), *((1 + i, 1.0, 69) for i in range(4)), (5, 3, 71), (8, 4, 60)],
        metre=[(1.0, 4, 4), (5.0, 3, 4), (8.0, 2, 2)],
    )
    found = windows([score], 1, 16)
    assert found.symbols[:, 0].tolist() == [A, FIRST + 60 - LOWEST]
    jig = tune([(i / 2, 0.5, 67) for i in range(6)], metre=[(0.0, 6, 8)])
    assert windows([jig], 1, 12).symbols.tolist() == [[G, HOLD] * 6]
    assert len(windows([jig], 1, 16)) == 0
    waltz = tune([(0, 3, 67)], metre=[(0.0, 3, 4)])
    assert len(windows([waltz], 1, 12)) == 0


def test_no_window_twice():
    found = windows([tune(QUARTERS), tune(QUARTERS[:4])], 1, 16)
    assert len(found) == 2 and found.dropped == {"stands here already": 1}
    assert found.tune.tolist() == [0, 0]
    other = windows([tune(QUARTERS[4:])], 1, 16)  # its first bar is silent
    kept = without(found, other)
    assert kept.symbols.tolist() == found.symbols[:1].tolist()
    assert kept.dropped["stands in another split"] == 1
    assert found.dropped == {"stands here already": 1}
    with pytest.raises(ValueError, match="16 steps can't stand among others of shape"):
        without(found, np.zeros((2, 12), int))


def test_choosing_windows():
    found = windows([tune(QUARTERS, type="reel")], 1, 16)
    assert found[1:].symbols.tolist() == found.symbols[1:].tolist()
    assert found[found.kinds == "jig"].symbols.shape == (0, 16)
    assert isinstance(found[:1], Windows) and len(found[:1]) == 1


def test_a_last_bar_that_ends_early_is_silent_there():
    found = windows([tune([(0, 1, 67)])], 1, 16)
    assert found.symbols.tolist() == [[G, HOLD, HOLD, HOLD, *[REST] * 12]]


def test_real_tunes_round_trip_and_have_no_faults():
    found = windows(datasets.tunes().valid, 2, 16)
    assert len(found) > 1000
    assert faults(found.symbols, 16) == {
        "outside the range": 0,
        "holds nothing": 0,
        "empty bars": 0,
    }
    assert len(np.unique(found.symbols, axis=0)) == len(found)
    np.testing.assert_array_equal(from_roll(to_roll(found.symbols)), found.symbols)
    for row in found.symbols[::40]:
        score = to_score(row, 16)
        again = windows([score], 2, 16)
        if again.symbols.size:  # a second bar of silence isn't part of a Score
            np.testing.assert_array_equal(again.symbols[0], row)
        assert score.metre == [(0.0, 4, 4)] and score.programs == {0: 40}


def test_cut_from_the_tune_that_is_named():
    tunes = datasets.tunes().valid[:60]
    found = windows(tunes, 2, 16)
    for row, number, kind in zip(
        found.symbols[::9], found.tune[::9], found.kinds[::9], strict=True
    ):
        assert tunes[number].meta.get("type", "") == kind
        text = "".join(map(chr, tunes[number].notes["pitch"]))
        own = "".join(chr(symbol - FIRST + LOWEST) for symbol in row if symbol >= FIRST)
        assert own in text


def test_to_score():
    score = to_score([[G, HOLD, A, REST], [B, HOLD, HOLD, HOLD]] * 2, 16, tempo=80, title="two")
    assert score.notes["pitch"].tolist() == [67, 69, 71] * 2
    assert score.notes["onset"].tolist() == [0, 0.5, 1, 2, 2.5, 3]
    assert score.notes["duration"].tolist() == [0.5, 0.25, 1] * 2
    assert score.tempo == [(0.0, 80.0)] and score.title == "two"
    assert to_score([G] * 12, 12).metre == [(0.0, 6, 8)]
    with pytest.raises(ValueError, match="window 0 holds nothing at step 2: repair"):
        to_score([REST, REST, HOLD, G], 16)
    # A window's first hold may not reach back into the window before.
    with pytest.raises(ValueError, match="window 1 holds nothing at step 0"):
        to_score([[G, HOLD], [HOLD, G]], 16)


def test_faults_and_repair():
    loose = np.array([[HOLD, HOLD, G, HOLD], [G, REST, HOLD, HOLD], [REST] * 4])
    assert repair(loose).tolist() == [[REST, REST, G, HOLD], [G, REST, REST, REST], [REST] * 4]
    wide = np.tile(loose, (1, 4))
    assert faults(wide, 16)["empty bars"] == 1
    # In the first row the first two steps hold nothing; from then on there is a note to hold.
    assert faults(wide, 16)["holds nothing"] == 2 + 8
    assert faults([[REST] * 15 + [SYMBOLS], [-1] * 15 + [G]], 16) == {
        "outside the range": 16,
        "holds nothing": 0,
        "empty bars": 1,
    }
    assert faults([[G] * 16 + [HOLD] * 16], 16)["empty bars"] == 0  # it still sounds
    with pytest.raises(ValueError, match=r"bars × 16\), not int64 \(1, 12\)"):
        faults([[G] * 12], 16)
    with pytest.raises(ValueError, match="not float64"):
        faults(np.zeros((2, 16)), 16)


def test_transposing():
    rows = np.array([[G, HOLD, REST, B], [REST, HOLD, REST, REST]])
    np.testing.assert_array_equal(transpose(rows, 2), [[A, HOLD, REST, B + 2], rows[1]])
    np.testing.assert_array_equal(transpose(rows, np.array([-2, 30]))[1], rows[1])
    down, up = transposable(rows)
    assert down.tolist() == [LOWEST - 67, 0] and up.tolist() == [HIGHEST - 71, 0]
    assert transpose(rows, up)[0, 3] == SYMBOLS - 1 and transpose(rows, down)[0, 0] == FIRST
    for semitones in (up + 1, down - 1):
        with pytest.raises(ValueError, match="would leave the range of MIDI pitches 55–88"):
            transpose(rows[:1], semitones[:1])


def test_rolls():
    roll = to_roll([[G, HOLD, REST]])
    assert roll.shape == (1, SYMBOLS, 3) and roll.dtype == np.float32
    assert roll[0, G, 0] == roll[0, HOLD, 1] == roll[0, REST, 2] == 1 and roll.sum() == 3
    assert from_roll(np.log(roll + 0.1)).tolist() == [[G, HOLD, REST]]
    with pytest.raises(ValueError, match="shape"):
        from_roll(np.zeros((1, 3, SYMBOLS)))
    with pytest.raises(ValueError, match="finite"):
        from_roll(np.full((1, SYMBOLS, 3), np.nan))


def test_markov_follows_the_counts():
    rows = np.array([[G, A] * 8] * 9 + [[B, B] * 8])
    made = markov(rows, 3000, seed=1)
    assert made.shape == (3000, 16) and made.dtype == np.int64
    assert abs((made[:, 0] == G).mean() - 0.9) < 0.03
    after = made[:, 1:][made[:, :-1] == G]
    assert (after == A).mean() > 0.95
    np.testing.assert_array_equal(made, markov(rows, 3000, seed=1))
    assert (made != markov(rows, 3000, seed=2)).any()
    assert markov(rows, 0).shape == (0, 16)
    assert markov(rows, 5, order=0).shape == markov(rows, 5, order=3).shape == (5, 16)
    with pytest.raises(ValueError, match="n must be 0 or more"):
        markov(rows, -1)


def test_bad_input():
    with pytest.raises(ValueError, match="bars and hop must be at least 1"):
        windows([], 0, 16)
    with pytest.raises(ValueError, match="bars and hop must be at least 1"):
        windows([], 1, 16, hop=0)
    with pytest.raises(ValueError, match=r"must be one of \[8, 12, 16, 18\], not 7"):
        windows([], 1, 7)
    assert windows([], 2, 16).symbols.shape == (0, 32)
    for wrong in ([[SYMBOLS]], [[-1]]):
        with pytest.raises(ValueError, match="isn't a symbol: they are 0 to 35"):
            to_roll(wrong)
    with pytest.raises(ValueError, match="whole numbers, not float64"):
        repair([[0.5]])
