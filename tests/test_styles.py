"""Dances on one grid, the rules between them, and what is kept of a melody."""

import numpy as np
import pytest

from mlmusic import Score, datasets, seed_everything
from mlmusic.models.vae import MelodyVAE
from mlmusic.styles import (
    KINDS,
    by_model,
    by_rule,
    dance_roll,
    dance_score,
    dances,
    dotted,
    doubled,
    gather,
    kept,
    kind_numbers,
    outline,
    spread,
)
from mlmusic.windows import FIRST, HOLD, to_score

A, B, C, D = 20, 22, 24, 25
REEL = [[A, 0, B, 0, C, 0, D, 0]]  # a beat
JIG = [[A, 0, B, 0, C, 0, 0, 0]]  # spread


def test_a_jig_spread_and_gathered():
    beats = [[A, 0, B, 0, C, 0, D, 0, 0, 0, C, 0]]
    assert spread(beats).tolist() == [[A, 0, B, 0, C, 0, 0, 0, D, 0, 0, 0, C, 0, 0, 0]]
    assert gather(spread(beats)).tolist() == beats
    with pytest.raises(ValueError, match=r"\(n, beats × 6\)"):
        spread([[A, 0]])


def test_2_4_is_written_as_2_2():
    tune = Score(
        [(0, 0.25, 60), (0.25, 0.75, 62)], metre=[(0, 2, 4)], tempo=[(0, 60)], meta={"a": 1}
    )
    found = doubled(tune)
    assert found.notes["onset"].tolist() == [0, 0.5]
    assert found.notes["duration"].tolist() == [0.5, 1.5]
    assert (found.metre, found.tempo, found.meta) == ([(0, 2, 2)], [(0, 120)], {"a": 1})
    other = Score([(0, 1, 60)], metre=[(0, 6, 8)])
    assert doubled(other) is other


@pytest.mark.parametrize(
    ("beat", "source", "target", "expected"),
    [
        (REEL, "reel", "jig", [[A, 0, B, 0, C, 0, 0, 0]]),
        ([[A, 0, B, 0, 0, 0, 0, 0]], "reel", "jig", [[A, 0, B, 0, 0, 0, 0, 0]]),
        ([[A, 0, 0, 0, 0, 0, 0, 0]], "reel", "jig", [[A, 0, 0, 0, 0, 0, 0, 0]]),
        ([[A, 0, 0, 0, 0, 0, D, 0]], "reel", "jig", [[A, 0, 0, 0, D, 0, 0, 0]]),
        ([[A, B, C, 0, D, 0, 0, 0]], "reel", "jig", [[A, 0, C, 0, D, 0, 0, 0]]),
        (REEL, "reel", "hornpipe", [[A, 0, 0, B, C, 0, 0, D]]),
        ([[A, 0, 0, 0, C, B, C, D]], "reel", "hornpipe", [[A, 0, 0, 0, C, B, C, D]]),
        ([[A, 0, 0, B, C, 0, 0, D]], "hornpipe", "reel", REEL),
        ([[A, 0, 0, B, C, 0, 0, D]], "hornpipe", "jig", [[A, 0, B, 0, C, 0, 0, 0]]),
        (JIG, "jig", "reel", JIG),
        (JIG, "jig", "hornpipe", [[A, 0, 0, B, C, 0, 0, 0]]),
        ([[A, 0, 0, 0, C, 0, 0, 0]], "jig", "reel", [[A, 0, 0, 0, C, 0, 0, 0]]),
        (JIG, "jig", "jig", JIG),
    ],
)
def test_rules(beat, source, target, expected):
    assert by_rule(beat, source, target).tolist() == expected
    assert by_rule(beat * 2, source, target).tolist() == expected * 2


def test_rules_know_their_kinds():
    with pytest.raises(ValueError, match="'polka' is none of the kinds"):
        by_rule(REEL, "polka", "jig")
    assert kind_numbers(["jig", "reel"]).tolist() == [1, 0]


def test_kept_by_hand():
    assert kept([60, 62, 64, 65], [60, 64, 65]) == 0.75
    assert kept([60, 62, 64], [64, 62, 60]) == pytest.approx(1 / 3)
    assert kept([60, 62], []) == 0
    assert kept([60, 60, 62], [60, 61, 62, 60]) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="not empty"):
        kept([], [60])


def test_kept_never_depends_on_key_or_grows_beyond_one():
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.integers(60, 65, 12), rng.integers(60, 65, 15)
        assert kept(a, b) == kept(a + 5, b + 5) <= 1
        assert kept(a, a) == 1


def test_a_dance_roll_has_two_ones_a_column():
    roll = dance_roll(Score([(0, 1, 60), (1, 2, 67), (3, 0.5, 60)]))
    assert roll.shape == (32, 2)
    assert roll.sum(axis=0).tolist() == [2, 2]
    assert np.argwhere(roll[:25].T)[:, 1].tolist() == [12 + 7, 12 - 7]
    assert np.argwhere(roll[25:].T)[:, 1].tolist() == [5, 0]  # twice as long; a quarter
    with pytest.raises(ValueError, match="fewer than two notes"):
        dance_roll(Score([(0, 1, 60)]))


def test_windows_of_all_dances():
    tunes = [t for t in datasets.tunes().valid if t.meta.get("type") in (*KINDS, "march")][:120]
    found = dances(tunes)
    assert found.symbols.shape[1] == 32
    assert set(found.kinds) <= set(KINDS)
    for kind in set(found.kinds):
        of_kind = found[found.kinds == kind]
        assert {tunes[i].meta["type"] for i in of_kind.tune} == {kind}
        if kind == "jig":
            assert (of_kind.symbols.reshape(-1, 8)[:, 6:] == HOLD).all()
    assert (found.symbols >= FIRST).any(axis=1).all()
    assert len(to_score(gather(found[found.kinds == "jig"].symbols[:1]), 12).bar_lines) == 3
    with pytest.raises(ValueError, match="there is no window"):
        dances([])


def test_an_outline_is_what_sounds_at_three_eighths():
    assert outline([[A, 0, B, 0, 0, 0, D, 0]], "reel").tolist() == [[A, 0, B, 0, B, 0, 0, 0]]
    assert outline([[A, 0, 0, 0, C, 0, 0, 0]], "jig").tolist() == [[A, 0, A, 0, C, 0, 0, 0]]
    # A hornpipe's dotted pair counts as two even eighths; silence stays silence.
    assert outline([[A, 0, 0, B, 1, 0, 0, 0]], "hornpipe").tolist() == [[A, 0, B, 0, 1, 0, 0, 0]]
    assert (
        outline([[A, 0, 0, B, C, 0, 0, D]], "hornpipe").tolist() == outline(REEL, "reel").tolist()
    )


def test_a_model_writes_the_other_dance():
    seed_everything(0)
    model = MelodyVAE(32, latent=4, embedding=4, channels=8, layers=1, kinds=3).eval()
    window = np.tile(REEL, 4)
    found = {kind: by_model(model, window, "reel", kind) for kind in KINDS}
    assert all(each.shape == (1, 32) for each in found.values())
    same = by_model(model, window, "reel", "jig")
    assert (same == found["jig"]).all()
    # Only the outline is read: the fourth eighth doesn't matter.
    other = np.where(window == D, A, window)
    assert (by_model(model, other, "reel", "jig") == same).all()
    with pytest.raises(ValueError, match="none of the kinds"):
        by_model(model, window, "reel", "polka")


def test_dances_as_scores():
    jig = dance_score(np.tile(JIG, (2, 4)), "jig", title="a jig")
    assert jig.metre == [(0, 6, 8)] and jig.duration == 12 and jig.title == "a jig"
    assert jig.notes["onset"][:4].tolist() == [0, 0.5, 1, 1.5]
    reel = dance_score(np.tile(REEL, (1, 4)), "reel")
    assert reel.duration == 8 and len(reel) == 16


def test_dotted_quarters_are_counted():
    assert dotted([[A, 0, 0, B, C, 0, D, 0], [A, 0, 0, B, C, 0, 0, D]]).tolist() == [0.5, 1]
