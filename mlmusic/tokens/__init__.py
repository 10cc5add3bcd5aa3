"""Scores as sequences of integers: the vocabularies that n-grams, RNNs and transformers share.

====================  ===================================  =========================================
vocabulary            one token is                         for
====================  ===================================  =========================================
``MelodyVocabulary``  a note or rest with its duration,    tunes of any length: one token a note, so
                      or a bar line                        that loss comes in nats per note
``GridVocabulary``    what one voice does in one step      melodies of a fixed number of steps
``SATBVocabulary``    the same, S, A, T, B in turn         chorales
``ControlVocabulary`` as in one of these, or a control     music on request: key, metre, type
====================  ===================================  =========================================

In all of them ``decode(encode(score))`` has the notes of ``score`` exactly; each class says what
else it keeps. What a vocabulary can't hold is a ValueError that names the note.
"""

from mlmusic.tokens.base import NONE, Vocabulary, pitch_name
from mlmusic.tokens.control import ControlVocabulary
from mlmusic.tokens.grid import GridVocabulary, SATBVocabulary
from mlmusic.tokens.melody import DURATIONS, METRES, MelodyVocabulary

__all__ = [
    "DURATIONS",
    "METRES",
    "NONE",
    "ControlVocabulary",
    "GridVocabulary",
    "MelodyVocabulary",
    "SATBVocabulary",
    "Vocabulary",
    "pitch_name",
]
