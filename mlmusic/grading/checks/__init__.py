"""Ready checks for the test cells of an assignment: they say in musical words what is wrong.

A check raises AssertionError, or returns nothing. It looks at shape, dtype and finiteness before
values, since ``np.allclose([], 440.0)`` is True. Checks that draw take a `numpy.random.Generator`.
They work on plain functions in a student's notebook, and in the grader on a student's function
that runs elsewhere.

=============  ===============================================================================
module         what it holds
=============  ===============================================================================
values         ``close``, ``same``, ``probabilities``: a value against the expected one
transposition  ``transposes``, ``invariant_to_transposition``, ``equivariant_to_transposition``
properties     ``round_trip``, ``causal``, ``invariant_to_permutation``,
               ``equivariant_to_permutation``: what holds for any music
calls          ``keeps_arguments``, ``printed``, ``refuses``: what a call does besides returning
draws          ``draw_score``, ``draw_row``, ``draw_tokens``: music drawn anew
=============  ===============================================================================
"""

from mlmusic.grading.checks.calls import keeps_arguments, printed, refuses
from mlmusic.grading.checks.draws import draw_row, draw_score, draw_tokens
from mlmusic.grading.checks.properties import (
    causal,
    equivariant_to_permutation,
    invariant_to_permutation,
    round_trip,
)
from mlmusic.grading.checks.transposition import (
    equivariant_to_transposition,
    invariant_to_transposition,
    transposes,
)
from mlmusic.grading.checks.values import close, probabilities, same

__all__ = [
    "causal",
    "close",
    "draw_row",
    "draw_score",
    "draw_tokens",
    "equivariant_to_permutation",
    "equivariant_to_transposition",
    "invariant_to_permutation",
    "invariant_to_transposition",
    "keeps_arguments",
    "printed",
    "probabilities",
    "refuses",
    "round_trip",
    "same",
    "transposes",
]
