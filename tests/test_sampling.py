"""Sampling: what is left of a distribution, the repetition guard, constraints, seeds."""

import numpy as np
import pytest
import torch

from mlmusic import Score
from mlmusic.models.rnn import MelodyModel
from mlmusic.sampling import (
    _drawn,
    distribution,
    every,
    full_bars,
    generate,
    in_key,
    in_range,
)
from mlmusic.tokens import MelodyVocabulary

VOCABULARY = MelodyVocabulary()
LOGITS = torch.log(torch.tensor([0.5, 0.25, 0.15, 0.1]))


def always(*scores):
    """A model that gives every next token the same logits."""

    def model(tokens, state):
        return torch.tensor(scores).expand(*tokens.shape, len(scores)), state

    return model


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, [0.5, 0.25, 0.15, 0.1]),
        ({"temperature": 0}, [1, 0, 0, 0]),
        ({"temperature": 0.5}, [0.25 / 0.345, 0.0625 / 0.345, 0.0225 / 0.345, 0.01 / 0.345]),
        ({"top_k": 2}, [2 / 3, 1 / 3, 0, 0]),
        ({"top_k": 9}, [0.5, 0.25, 0.15, 0.1]),
        ({"nucleus": 0.5}, [1, 0, 0, 0]),
        ({"nucleus": 0.51}, [2 / 3, 1 / 3, 0, 0]),
        ({"nucleus": 0.01}, [1, 0, 0, 0]),
        ({"allowed": np.array([False, True, False, True])}, [0, 5 / 7, 0, 2 / 7]),
        ({"allowed": np.array([False, True, True, True]), "top_k": 1}, [0, 1, 0, 0]),
        ({"top_k": 3, "nucleus": 0.6}, [2 / 3, 1 / 3, 0, 0]),
    ],
)
def test_distribution_by_hand(options, expected):
    found = distribution(LOGITS, **options)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-7)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"temperature": -1}, "temperature must be 0 or more"),
        ({"temperature": float("nan")}, "temperature must be 0 or more"),
        ({"top_k": 0}, "top_k must be at least 1"),
        ({"nucleus": 0.0}, "nucleus must be above 0"),
        ({"nucleus": 1.1}, "nucleus must be above 0"),
        ({"allowed": np.ones(3, bool)}, "allowed must be 4 times"),
        ({"allowed": np.ones(4)}, "allowed must be 4 times"),
        ({"allowed": np.zeros(4, bool)}, "no token is allowed here"),
    ],
)
def test_impossible_wishes(options, message):
    with pytest.raises(ValueError, match=message):
        distribution(LOGITS, **options)
    with pytest.raises(ValueError, match="one row of numbers"):
        distribution(torch.tensor([1.0, float("nan")]))


def test_frequencies_follow_the_distribution():
    drawn = np.array(generate(always(*LOGITS.tolist()), [0], 4000, seed=1)[1:])
    # Four standard deviations of a share of 4,000 draws are at most 0.032.
    np.testing.assert_allclose(np.bincount(drawn) / 4000, [0.5, 0.25, 0.15, 0.1], atol=0.032)


def test_draws_are_those_of_multinomial():
    probabilities = distribution(LOGITS)
    ours, theirs = (torch.Generator().manual_seed(5) for _ in range(2))
    for _ in range(200):
        wanted = torch.multinomial(probabilities, 1, generator=theirs)
        assert torch.equal(_drawn(probabilities, ours), wanted)


def test_seeds():
    torch.manual_seed(0)
    model = MelodyModel(20, embedding=4, hidden=8)
    assert generate(model, [1], 30, seed=3) == generate(model, [1], 30, seed=3)
    assert generate(model, [1], 30, seed=3) != generate(model, [1], 30, seed=4)
    assert model.training  # as it was before


def test_states_are_carried_along():
    """Going on token by token gives what reading everything anew each time would give."""
    torch.manual_seed(0)
    model = MelodyModel(20, embedding=4, hidden=8).eval()
    found = generate(model, [1, 5, 7], 12, temperature=0, seed=0)
    slow = [1, 5, 7]
    for _ in range(12):
        slow.append(int(model(torch.tensor([slow]))[0][0, -1].argmax()))
    assert found == slow


def test_the_guard_forbids_a_run_to_return():
    stubborn = always(0.0, 5.0, *[0.0] * 20)
    assert generate(stubborn, [1], 6, temperature=0, seed=0) == [1] * 7
    assert generate(stubborn, [1], 5, temperature=0, repetition=2, seed=0) == [1, 1, 0, 1, 2, 1]
    found = generate(stubborn, [1], 30, repetition=3, seed=0)
    runs = [tuple(found[i : i + 3]) for i in range(len(found) - 2)]
    assert len(runs) == len(set(runs))
    # With two tokens no more than four pairs exist: then the guard gives way instead of failing.
    assert len(generate(always(0.0, 1.0), [0], 9, repetition=2, seed=0)) == 10


def test_stop_and_no_steps():
    assert generate(always(0.0, 9.0), [0], 5, temperature=0, stop=1, seed=0) == [0, 1]
    assert generate(always(0.0, 9.0), np.array([0, 1]), 0, seed=0) == [0, 1]
    with pytest.raises(ValueError, match="the prompt needs a token"):
        generate(always(0.0), [], 5, seed=0)
    with pytest.raises(ValueError, match="steps must be 0 or more"):
        generate(always(0.0), [0], -1, seed=0)


def test_key_and_range():
    names = {name.split(":")[0] for name in np.array(VOCABULARY.names)[in_key(VOCABULARY, 1)]}
    assert {"G4", "F♯5", "REST", "HOLD", "BAR", "END"} <= names
    assert not names & {"F4", "G♯4", "A♯4", "C♯5", "D♯5"}
    low = in_range(VOCABULARY, 60, 62)
    pitches = VOCABULARY.pitches[low]
    assert set(pitches[pitches >= 0].tolist()) == {60, 61, 62} and low[VOCABULARY.bar]
    with pytest.raises(ValueError, match="no pitch from 20 to 30"):
        in_range(VOCABULARY, 20, 30)


@pytest.mark.parametrize("metre, beats", [("4/4", 4), ("6/8", 3)])
def test_constraints_together(metre, beats):
    """Whatever the model says, bars are full and the notes are in the key."""
    torch.manual_seed(0)
    model = MelodyModel(VOCABULARY.size, embedding=4, hidden=8)
    rules = every(in_key(VOCABULARY, 2), in_range(VOCABULARY, 62, 83), full_bars(VOCABULARY, beats))
    prompt = [VOCABULARY.start, VOCABULARY.names.index(metre)]
    tokens = generate(model, prompt, 120, allowed=rules, seed=5)
    score = VOCABULARY.decode(tokens, repair=True)
    assert isinstance(score, Score) and len(score.metre) == 1
    assert {pitch % 12 for pitch in score.notes["pitch"].tolist()} <= {2, 4, 6, 7, 9, 11, 1}
    assert 62 <= score.notes["pitch"].min() and score.notes["pitch"].max() <= 83
    lengths = VOCABULARY.durations[np.array(tokens)]
    lines = np.flatnonzero(np.array(tokens) == VOCABULARY.bar)
    bars = np.split(lengths, lines)
    assert len(bars) > 2
    np.testing.assert_allclose([bar.sum() for bar in bars[:-1]], beats)
