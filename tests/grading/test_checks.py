"""Each check lets a right function pass and tells in words what wrong ones do."""

import numpy as np
import pytest
import torch

from mlmusic import Score
from mlmusic.grading import checks
from mlmusic.score import HOLD, REST

TUNE = Score([(0, 1, 60), (1, 1, 64, 90), (2, 2, 67)], programs={0: 73})
PITCHES = np.array([60, 64, 67])


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def fails(message, check, *args, **kwargs):
    with pytest.raises(AssertionError) as caught:
        check(*args, **kwargs)
    assert str(caught.value) == message


# close ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (440.0, 440.0),
        (440, 440.0),
        (np.float32(440), 440.0),
        (torch.tensor(440.0, requires_grad=True), 440.0),
        (torch.tensor([1.0, 2.0], dtype=torch.bfloat16), [1.0, 2.0]),
        ([440.0, 880.0 * (1 + 1e-8)], [440, 880.0]),
        ([-np.inf, np.nan, 0.0], [-np.inf, np.nan, 0.0]),
        (np.uint8([3]), [3]),
        ([True, False], [True, False]),
        ([1, 2j], [1, 2j]),
        ([], np.zeros(0)),
    ],
)
def test_close_numbers_pass(found, expected):
    assert checks.close(found, expected, "f") is None


@pytest.mark.parametrize(
    ("found", "expected", "message"),
    [
        (None, 440.0, "f(69) is None: did you forget `return`?"),
        (439.0, 440.0, "f(69) is 439.0, not 440.0"),
        ([], 440.0, "f(69) must be one number, not an array of shape (0,)"),
        ([440.0], [440.0, 880.0], "f(69) has 1 entry, not 2"),
        ([[1.0]], [1.0], "f(69) has shape (1, 1), not (1,)"),
        ([1.0, np.nan], [1.0, 2.0], "f(69)[1] is nan: it must be a finite number"),
        (np.inf, 440.0, "f(69) is inf: it must be a finite number"),
        ([1.0, 2.0], [1.0, np.inf], "f(69)[1] is 2.0, not inf"),
        ([1.0, -np.inf], [1.0, np.inf], "f(69)[1] is -inf, not inf"),
        ("440", 440.0, "f(69) must be numbers, not '440'"),
        (["440"], [440.0], "f(69) must be numbers, not ['440']"),
        (60.0, 60, "f(69) must be whole numbers, not 60.0"),
        (1, True, "f(69) must be True or False, not 1"),
        (True, 1.0, "f(69) must be numbers, not True"),
        (1j, 1.0, "f(69) must be numbers, not 1j"),
        ([[1], [1, 2]], [1.0], "f(69) must be numbers, in rows of the same length"),
        (TUNE, 1.0, "f(69) must be numbers, not a Score"),
        (object(), 1.0, "f(69) must be numbers, not an object"),
        ([[1.0, 2.0], [3.0, 5.0]], [[1.0, 2.0], [3.0, 4.0]], "f(69)[1, 1] is 5.0, not 4.0"),
    ],
)
def test_close_says_what_is_wrong(found, expected, message):
    fails(message, checks.close, found, expected, "f(69)")


def test_the_tolerance_of_close_is_a_share_above_1_and_absolute_below():
    checks.close(1000.9, 1000.0, tolerance=1e-3)
    fails("the result is 1001.1, not 1000.0", checks.close, 1001.1, 1000.0, tolerance=1e-3)
    checks.close(0.0009, 0.0, tolerance=1e-3)
    fails("the result is 0.0011, not 0.0", checks.close, 0.0011, 0.0, tolerance=1e-3)
    checks.close(np.uint8(3), 3)
    fails("the result is 2, not 3", checks.close, np.uint8(2), 3)


# same -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (TUNE, Score(TUNE.notes, programs={0: 73})),
        ([(60, 3), (REST, 1)], [[60, 3], (REST, 1)]),
        (np.array([1, 2]), [1, 2]),
        ([1, 2], np.array([1, 2])),
        (np.array(["C", "D"]), np.array(["C", "D"])),
        (TUNE.notes, TUNE.notes),
        ({"C": [1], "D": 2.0}, {"C": (1,), "D": 2.0}),
        (np.int64(3), 3),
        (torch.tensor([1, 2]), [1, 2]),
        ("C", "C"),
        (None, None),
        ({1, 2}, {2, 1}),
        (np.array([np.nan, 1]), np.array([np.nan, 1])),
    ],
)
def test_same_values_pass(found, expected):
    assert checks.same(found, expected) is None


def moved(**changes):
    notes = TUNE.notes.copy()
    for name, value in changes.items():
        notes[name][1] = value
    return Score(notes, programs={0: 73})


@pytest.mark.parametrize(
    ("found", "expected", "message"),
    [
        (moved(pitch=63), TUNE, "it: the pitch of note 2 is 63, not 64"),
        (moved(velocity=80), TUNE, "it: the velocity of note 2 is 80, not 90"),
        (moved(duration=0.5), TUNE, "it: the duration of note 2 is 0.5, not 1.0"),
        (Score(TUNE.notes[:1]), TUNE, "it has 1 note, not 3"),
        (Score(TUNE.notes), TUNE, "it: its programs is {}, not {0: 73}"),
        (TUNE.notes, TUNE, "it must be a Score, not a ndarray"),
        (None, TUNE, "it is None: did you forget `return`?"),
        ([(60, 3), (62, 2)], [(60, 3), (62, 1)], "it[1][1] is 2, not 1"),
        ([(60, 3)], [(60, 3), (62, 1)], "it has 1 entry, not 2"),
        (60, [60], "it must be a list, not 60"),
        (np.array(60), [60], "it must be a list, not a ndarray"),
        ({"C": 1}, {"C": 1, "D": 2}, "it lacks 'D'"),
        ({"C": 1, "E": 3}, {"C": 1}, "it has 'E', which doesn't belong there"),
        ([1], {"C": 1}, "it must be a dictionary, not a list"),
        ({"C": 3}, {"C": 1}, "it['C'] is 3, not 1"),
        ("D", "C", "it is 'D', not 'C'"),
        (1, "C", "it is 1, not 'C'"),
        (1, None, "it is 1, not None"),
        (2.0, 2, "it must be whole numbers, not 2.0"),
        (0, False, "it must be True or False, not 0"),
        (np.array([1.5, 2]), np.array([1, 2]), "it must be whole numbers, not array([1.5, 2. ])"),
        (np.array([1, 3]), np.array([1, 2]), "it[1] is 3, not 2"),
        (np.array([1]), np.array(["C"]), "it has dtype int64, not <U1"),
        ("C", np.array(["C"]), "it must be an array, not 'C'"),
        ({1, 2}, {1}, "it is {1, 2}, not {1}"),
    ],
)
def test_same_names_the_first_difference(found, expected, message):
    fails(message, checks.same, found, expected, "it")


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(AssertionError) as caught:
        checks.same("la" * 999, "C")
    assert len(str(caught.value)) < 120


def test_probabilities():
    checks.probabilities([[0.5, 0.5], [1, 0]])
    checks.probabilities(torch.softmax(torch.ones(3, 4), 0), axis=0)
    fails("p add up to 1.5: probabilities add up to 1", checks.probabilities, [1, 0.5], "p")
    fails("p[1] is -0.5: none may be below 0", checks.probabilities, [1.5, -0.5], "p")
    fails("p[0] is nan: it must be a finite number", checks.probabilities, [np.nan, 1], "p")
    fails("p must be several numbers, not []", checks.probabilities, [], "p")
    fails("p must be several numbers, not 1.0", checks.probabilities, 1.0, "p")
    fails("p is None: did you forget `return`?", checks.probabilities, None, "p")


# transposition ----------------------------------------------------------------------------


def test_transposes():
    checks.transposes(lambda score, k: score.transpose(k), TUNE, TUNE.transpose(3))
    checks.transposes(lambda pitches, k: pitches + k, PITCHES, by=[2])
    checks.transposes(lambda pitches, k: [p + k for p in pitches], [60, 64])
    fails(
        "transposed by -5 semitones, the pitch of note 1 is 60, not 55",
        checks.transposes,
        lambda score, k: score,
        TUNE,
    )
    fails(
        "transposed by 1 semitone, it has 2 notes, not 3",
        checks.transposes,
        lambda pitches, k: pitches[1:] + k,
        PITCHES,
        by=[1],
    )
    fails(
        "transposed by -5 semitones, its programs lacks 0",
        checks.transposes,
        lambda score, k: Score(score.transpose(k).notes),
        TUNE,
    )
    fails(
        "transposed by -5 semitones, the tune is None: did you forget `return`?",
        checks.transposes,
        lambda score, k: None,
        TUNE,
        what="the tune",
    )
    fails(
        "transposed by -5 semitones, it must be a Score",
        checks.transposes,
        lambda score, k: score.notes,
        TUNE,
    )
    with pytest.raises(ValueError, match="0–127"):
        checks.transposes(lambda pitches, k: pitches + k, PITCHES, by=[100])


def test_invariant_to_transposition():
    checks.invariant_to_transposition(lambda score: np.diff(score.notes["pitch"]), TUNE)
    checks.invariant_to_transposition(lambda pitches: float(np.std(pitches)), PITCHES)
    fails(
        "-5 semitones higher or lower changes nothing: the interval is 55, not 60",
        checks.invariant_to_transposition,
        lambda pitches: int(pitches[0]),
        PITCHES,
        what="the interval",
    )
    fails(
        "12 semitones higher or lower changes nothing: the result is 2.0, not 3.0",
        checks.invariant_to_transposition,
        lambda pitches: 3.0 if pitches[0] == 60 else 2.0,
        PITCHES,
        by=[12],
    )
    fails(
        "12 semitones higher or lower changes nothing: it is None: did you forget `return`?",
        checks.invariant_to_transposition,
        lambda pitches: None,
        PITCHES,
        by=[12],
        what="it",
    )


def test_equivariant_to_transposition():
    checks.equivariant_to_transposition(lambda score: score.select(0), TUNE)
    checks.equivariant_to_transposition(lambda pitches: pitches[::-1], PITCHES)
    fails(
        "the music moved by -5 semitones, and the tune must move along, the pitch of note 1 "
        "is 60, not 55",
        checks.equivariant_to_transposition,
        lambda pitches: [60],
        PITCHES,
        what="the tune",
    )
    fails(
        "the music moved by 1 semitone, and the result must move along, it has 1 note, not 3",
        checks.equivariant_to_transposition,
        lambda score: Score(score.notes[:1]) if score.notes["pitch"][0] == 61 else score,
        TUNE,
        by=[1],
    )
    fails(
        "the result is None: did you forget `return`?",
        checks.equivariant_to_transposition,
        lambda pitches: None,
        PITCHES,
    )


# there and back ---------------------------------------------------------------------------


def test_round_trip(rng):
    scores = [checks.draw_score(rng) for _ in range(3)]
    checks.round_trip(lambda score: score.midi_bytes(), Score.from_midi, [TUNE])
    checks.round_trip(vars, lambda fields: Score(**fields), scores, "the score")
    rows = [checks.draw_tokens(rng, 9, 30) for _ in range(3)]
    checks.round_trip(list, np.array, rows, vocabulary=30)
    fails(
        "after encoding and decoding, the tune[0] is 60, not 62",
        checks.round_trip,
        sorted,
        list,
        [[62, 60]],
        "the tune",
    )
    fails(
        "after encoding and decoding, what was encoded has 1 entry, not 2",
        checks.round_trip,
        lambda row: row[:1],
        list,
        [[62, 60]],
    )
    fails("the code is None: did you forget `return`?", checks.round_trip, print, list, [[62]])
    fails(
        "the code must be whole numbers, not a Score",
        checks.round_trip,
        lambda score: score,
        lambda score: score,
        [TUNE],
        vocabulary=30,
    )
    for wrong in (30, -1):
        fails(
            f"the code has token {wrong}: the vocabulary is 0 to 29",
            checks.round_trip,
            lambda row, wrong=wrong: [wrong],
            list,
            [[60]],
            vocabulary=30,
        )


# causality --------------------------------------------------------------------------------


def running_mean(tokens):
    return np.cumsum(tokens) / np.arange(1, len(tokens) + 1)


def test_causal(rng):
    tokens = checks.draw_tokens(rng, 12, 20)
    checks.causal(running_mean, tokens, checks.draw_tokens(rng, 2, 20), rng=rng, vocabulary=20)
    checks.causal(lambda x: list(running_mean(x)), tokens.tolist(), rng=rng, vocabulary=20)
    checks.causal(
        lambda x: torch.cumsum(x, 1)[..., None] * torch.ones(5),
        torch.as_tensor(np.stack([tokens, tokens[::-1]])),
        rng=rng,
        vocabulary=20,
        axis=1,
    )


def test_masked_logits_are_no_change(rng):
    def masked(tokens):
        logits = np.tile(running_mean(tokens)[:, None], 3)
        logits[:, 0] = -np.inf
        return logits

    checks.causal(masked, checks.draw_tokens(rng, 12, 20), rng=rng, vocabulary=20)


NOISE = np.random.default_rng(3)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (
            lambda x: x[::-1],
            "y at position 0 changes with notes that come later: only look back",
        ),
        (
            lambda x: np.append(x[1:], 0),
            "y at position 0 changes with notes that come later: only look back",
        ),
        (
            lambda x: np.where(np.arange(12) == 10, x[11], x),
            "y at position 10 changes with notes that come later: only look back",
        ),
        (lambda x: np.zeros(12), "y is the same whatever the notes are: use the input"),
        (lambda x: x[1:], "y has shape (11,): 12 positions are needed on axis 0"),
        (lambda x: 3.0, "y has shape (): 12 positions are needed on axis 0"),
        (lambda x: None, "y is None: did you forget `return`?"),
        (lambda x: "la", "y must be numbers, not 'la'"),
    ],
)
def test_what_looks_ahead_is_not_causal(rng, f, message):
    tokens = np.arange(12)
    fails(message, checks.causal, f, tokens, rng=rng, vocabulary=20, what="y")


def test_an_output_that_changes_by_itself_is_told_apart(rng):
    with pytest.raises(AssertionError, match="for the same notes the output.0. is"):
        checks.causal(lambda x: NOISE.random(4), np.arange(4), rng=rng, vocabulary=20)


def test_causality_needs_something_to_replace(rng):
    with pytest.raises(ValueError, match="fewer than two tokens"):
        checks.causal(running_mean, np.arange(4), rng=rng, vocabulary=1)
    with pytest.raises(ValueError, match="at least two tokens"):
        checks.causal(running_mean, np.arange(1), rng=rng, vocabulary=5)


# permutation ------------------------------------------------------------------------------


def test_invariant_to_permutation(rng):
    items = rng.random((5, 2))
    checks.invariant_to_permutation(lambda x: x.mean(0), items, rng)
    checks.invariant_to_permutation(lambda x: sorted(x), ["D", "C"], rng)
    checks.invariant_to_permutation(lambda x: x.sum(), torch.arange(4), rng)
    fails(
        "in another order of the same items, the first is 4, not 3",
        checks.invariant_to_permutation,
        lambda x: x[0],
        [3, 4],
        rng,
        "the first",
    )
    fails(
        "in another order of the same items, the result[0] is 'C', not 'D'",
        checks.invariant_to_permutation,
        lambda x: x,
        ["D", "C"],
        rng,
    )
    with pytest.raises(ValueError, match="at least two items"):
        checks.invariant_to_permutation(sum, [1], rng)


def test_equivariant_to_permutation(rng):
    checks.equivariant_to_permutation(lambda x: x * 2, rng.random((5, 2)), rng)
    checks.equivariant_to_permutation(lambda x: [len(i) for i in x], ["D", "C♯"], rng)
    fails(
        "with the items in another order, so must be the ranks, but it[0] is 1, not 2",
        checks.equivariant_to_permutation,
        lambda x: [1, 2],
        ["D", "C"],
        rng,
        "the ranks",
    )
    fails(
        "the result must have an entry for each of the 2 items",
        checks.equivariant_to_permutation,
        lambda x: x[:1],
        ["D", "C"],
        rng,
    )
    fails(
        "the result must have an entry for each of the 2 items",
        checks.equivariant_to_permutation,
        len,
        ["D", "C"],
        rng,
    )


# calls ------------------------------------------------------------------------------------


def sort_in_place(pitches, *, names=()):
    pitches.sort()
    return pitches


def test_keeps_arguments():
    checks.keeps_arguments(sorted, [62, 60])
    checks.keeps_arguments(np.sort, np.array([62, 60]))
    checks.keeps_arguments(sort_in_place, [60, 62], names=["D", "C"])
    changed = "was changed in place: work on a copy: it"
    fails(f"argument 1 {changed}[0] is 60, not 62", checks.keeps_arguments, sort_in_place, [62, 60])
    fails(
        f"argument 1 {changed}[0] is 60, not 62",
        checks.keeps_arguments,
        sort_in_place,
        np.array([62, 60]),
    )
    fails(
        f"argument names {changed} has 2 entries, not 1",
        checks.keeps_arguments,
        lambda names: names.append("D"),
        names=["C"],
    )


def test_printed():
    assert checks.printed(print, "la", "la") == "la la\n"
    assert checks.printed(len, "la") == ""


def test_refuses():
    checks.refuses(int, "la")
    checks.refuses(int, "la", error=(TypeError, ValueError))
    fails(
        "an empty score must raise ValueError: say what is wrong with it",
        checks.refuses,
        len,
        [],
        what="an empty score",
    )
    fails("this input must raise ValueError, not TypeError", checks.refuses, len, 3)
    fails(
        "this input must raise KeyError or ValueError, not TypeError",
        checks.refuses,
        len,
        3,
        error=(KeyError, ValueError),
    )


def test_a_stub_refuses_nothing():
    def stub():
        raise NotImplementedError

    for error in (ValueError, Exception, RuntimeError):
        with pytest.raises(NotImplementedError):
            checks.refuses(stub, error=error)
    checks.refuses(stub, error=NotImplementedError)


# draws ------------------------------------------------------------------------------------


def test_draw_score_is_what_was_asked_for():
    for seed in range(30):
        score = checks.draw_score(np.random.default_rng(seed), 8, voices=3, low=50, high=60)
        assert score.voices == [0, 1, 2]
        assert score == checks.draw_score(np.random.default_rng(seed), 8, voices=3, low=50, high=60)
        assert set(score.programs) == {0, 1, 2}
        assert score.notes["onset"].min() == 0
        assert 50 <= score.notes["pitch"].min() <= score.notes["pitch"].max() <= 60
        for voice in range(3):
            notes = score.select(voice).notes
            assert len(notes) == 8
            assert (notes["onset"][1:] >= (notes["onset"] + notes["duration"])[:-1]).all()
            assert set(notes["duration"]) <= {0.5, 1.0, 1.5, 2.0}


def test_draw_score_without_rests_has_no_gaps(rng):
    notes = checks.draw_score(rng, 20, rests=False, step=0.25).notes
    assert np.array_equal(notes["onset"][1:], (notes["onset"] + notes["duration"])[:-1])


def test_draw_row_is_possible():
    drawn = set()
    for seed in range(50):
        row = checks.draw_row(np.random.default_rng(seed), 17, low=60, high=62)
        assert row.shape == (17,)
        assert row.dtype.kind == "i"
        assert row[0] != HOLD
        assert not ((row[1:] == HOLD) & (row[:-1] == REST)).any()
        drawn |= set(row.tolist())
    assert drawn == {HOLD, REST, 60, 61, 62}


def test_draw_tokens(rng):
    tokens = checks.draw_tokens(rng, 500, 6, first=3)
    assert set(tokens.tolist()) == {3, 4, 5}
    assert checks.draw_tokens(rng, 0, 6).shape == (0,)


@pytest.mark.parametrize(
    "call",
    [
        lambda rng: checks.draw_score(rng, 0),
        lambda rng: checks.draw_score(rng, low=90, high=80),
        lambda rng: checks.draw_score(rng, high=128),
        lambda rng: checks.draw_row(rng, 0),
        lambda rng: checks.draw_row(rng, low=-1),
        lambda rng: checks.draw_tokens(rng, 3, 5, first=5),
        lambda rng: checks.draw_tokens(rng, -1, 5),
    ],
)
def test_impossible_draws_are_refused(rng, call):
    with pytest.raises(ValueError, match=r"at least one|aren't within|no -?\d tokens"):
        call(rng)
