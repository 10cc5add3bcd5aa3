"""Round trips over all the course's music, and what exactly can't be held."""

import re
from collections import Counter

import numpy as np
import pytest

from mlmusic import datasets
from mlmusic.tokens import GridVocabulary, MelodyVocabulary, SATBVocabulary

NOTE = ["onset", "duration", "pitch"]
REASONS = {
    "lies off the grid": "off the grid",
    "lies between ticks": "between ticks",
    "no note values add up": "no note values",
    "starts while the note before it sounds": "chord",
    "two notes of voice": "chord",
    "a melody has one voice": "voices",
    "is of voice": "voices",
    r"metre \d+/\d+ at onset": "metre",
}


def refused(vocabulary, scores, keep=NOTE):
    """Round-trip what the vocabulary holds; count the others by reason."""
    why = Counter()
    for score in scores:
        try:
            tokens = vocabulary.encode(score)
        except ValueError as error:
            why[
                next(name for reason, name in REASONS.items() if re.search(reason, str(error)))
            ] += 1
            continue
        back = vocabulary.decode(tokens)
        assert len(back) == len(score), score
        assert all(np.array_equal(back.notes[name], score.notes[name]) for name in keep), score
        if isinstance(vocabulary, MelodyVocabulary):
            assert back.metre == [m for m in score.metre if m[0] < score.duration], score
    return why


def test_chorales():
    scores = datasets.chorales().all
    # Their ten notes off the grid of sixteenths stand in three pieces.
    assert refused(SATBVocabulary(), scores, [*NOTE, "voice"]) == {"off the grid": 3}
    assert refused(SATBVocabulary(steps_per_quarter=8), scores, [*NOTE, "voice"]) == {}
    assert refused(MelodyVocabulary(), [score.select(0) for score in scores]) == {}


def test_jsb_in_its_own_way_of_writing():
    try:
        scores = datasets.jsb().all
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert refused(SATBVocabulary(lossless=False), scores, [*NOTE, "voice"]) == {}


def test_tunes():
    scores = datasets.tunes().all
    why = refused(MelodyVocabulary(), scores)
    # Mostly double stops; also tunes in parts, and the note values of a few odd tuplets.
    assert set(why) <= {"chord", "voices", "between ticks", "no note values", "metre"}
    assert why.total() < 0.035 * len(scores)
    # Sixteenths alone leave out triplets and broken rhythms, a third of all tunes.
    assert 0.2 < refused(GridVocabulary(), scores).total() / len(scores) < 0.4
    assert refused(GridVocabulary(steps_per_quarter=24), scores).total() < 0.035 * len(scores)


def test_folksongs():
    scores = datasets.folksongs().all
    why = refused(MelodyVocabulary(), scores)
    assert set(why) <= {"metre", "between ticks", "no note values"}
    assert why.total() < 0.02 * len(scores)
    assert refused(GridVocabulary(), scores).total() < 0.02 * len(scores)
    assert refused(GridVocabulary(steps_per_quarter=24), scores).total() < 0.001 * len(scores)
