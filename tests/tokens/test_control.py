import pytest

from mlmusic import Score
from mlmusic.tokens import ControlVocabulary, MelodyVocabulary

VOCABULARY = ControlVocabulary(MelodyVocabulary(), key=("C major", "A minor"), length=("8",))
SCORE = Score([(0, 1, 60), (1, 3, 64)])


def test_what_stands_before_the_music():
    assert MelodyVocabulary().prefix() == [MelodyVocabulary.start]
    assert VOCABULARY.text(VOCABULARY.prefix(key="A minor")) == "key=A minor length=any START"
    assert len(VOCABULARY.prefix()) == VOCABULARY.lead == 3


def test_a_control_in_the_middle_is_refused_or_passed_over():
    tokens = VOCABULARY.encode(SCORE, length="8").tolist()
    assert VOCABULARY.decode(tokens) == SCORE
    tokens.insert(5, VOCABULARY.prefix(key="C major")[0])
    with pytest.raises(ValueError, match=r"key=C major at position 5 isn't in front"):
        VOCABULARY.decode(tokens)
    assert VOCABULARY.decode(tokens, repair=True) == SCORE
    assert VOCABULARY.decode(tokens, repair=True, title="It").title == "It"
