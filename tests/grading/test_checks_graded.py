"""The checks do the same in the grader, where a student's functions run elsewhere."""

import nbformat
import pytest

from mlmusic.grading.marking import mark as marking
from mlmusic.grading.sandbox import Sandbox, SandboxUnavailable
from mlmusic.grading.source.assignment import Assignment
from tests.grading.sources import answer, check, code, notebook

SETUP = code(
    """
    import numpy as np
    from mlmusic import Score
    from mlmusic.grading import checks
    tune = Score([(0, 1, 60), (1, 1, 64), (2, 2, 67)], programs={0: 73})
    rng = np.random.default_rng(1)
    """
)
RIGHT = """
def frequency(pitch):
    return 440 * 2 ** ((pitch - 69) / 12)

def shift(score, k):
    return score.transpose(k)

def intervals(score):
    return np.diff(score.notes["pitch"].astype(int))

def backwards(score):
    notes = score.notes.copy()
    notes["onset"] = score.duration - notes["onset"] - notes["duration"]
    return Score(notes, programs=score.programs)

def encode(row):
    return [x - 60 for x in row]

def decode(tokens):
    return [x + 60 for x in tokens]

def mean_so_far(tokens):
    return np.cumsum(tokens) / np.arange(1, len(tokens) + 1)

class Model:
    def __call__(self, tokens):
        return mean_so_far(tokens)

model = Model()

def average(items):
    return np.mean(items, 0)

def double(items):
    return items * 2

def ordered(pitches):
    return sorted(pitches)

def say(pitch):
    print("pitch", pitch)

def strict(score):
    if not len(score):
        raise ValueError("no notes")

def softmax(x):
    return np.exp(x) / np.exp(x).sum()
"""
WRONG = """
def frequency(pitch):
    return [440]

def shift(score, k):
    return score

def intervals(score):
    return score.notes["pitch"].astype(int)

def backwards(score):
    return Score([(0, 1, 60)])

def encode(row):
    return row

def decode(tokens):
    return sorted(tokens)

def mean_so_far(tokens):
    return tokens[::-1]

class Model:
    def __call__(self, tokens):
        return np.zeros(len(tokens))

model = Model()

def average(items):
    return items[0]

def double(items):
    return np.arange(len(items))

def ordered(pitches):
    pitches.sort()
    return pitches

def say(pitch):
    return f"pitch {pitch}"

def strict(score):
    raise TypeError("odd")

def softmax(x):
    return x
"""
CHECKS = [  # a test of the right answer, and what the wrong one is told
    (
        "checks.close(frequency(81), 880.0, 'frequency(81)')",
        "frequency(81) must be one number, not an array of shape (1,)",
    ),
    (
        "checks.transposes(shift, tune, checks.draw_score(rng))",
        "transposed by -5 semitones, the pitch of note 1 is 60, not 55",
    ),
    (
        "checks.invariant_to_transposition(intervals, tune, what='the first interval')",
        "-5 semitones higher or lower changes nothing: the first interval[0] is 55, not 60",
    ),
    (
        "checks.equivariant_to_transposition(backwards, tune, what='the canon')",
        "the music moved by -5 semitones, and the canon must move along, "
        "the pitch of note 1 is 60, not 55",
    ),
    (
        "checks.same(backwards(backwards(tune)), tune, 'twice backwards, the tune')",
        "twice backwards, the tune has 1 note, not 3",
    ),
    (
        "checks.round_trip(encode, decode, [[62, 60]], 'the row')",
        "after encoding and decoding, the row[0] is 60, not 62",
    ),
    (
        "checks.round_trip(encode, decode, [[62, 60]], vocabulary=9)",
        "the code has token 62: the vocabulary is 0 to 8",
    ),
    (
        "checks.causal(mean_so_far, np.arange(9), rng=rng, vocabulary=20)",
        "the output at position 0 changes with notes that come later: only look back",
    ),
    (
        "checks.causal(model, np.arange(9), rng=rng, vocabulary=20, what='the model')",
        "the model is the same whatever the notes are: use the input",
    ),
    (
        "checks.invariant_to_permutation(average, np.eye(3), rng)",
        "in another order of the same items, the result[0] is 0.0, not 1.0",
    ),
    (
        "checks.equivariant_to_permutation(double, np.arange(3), rng)",
        "with the items in another order, so must be the result, but it[0] is 0, not 2",
    ),
    (
        "checks.keeps_arguments(ordered, [62, 60])",
        "argument 1 was changed in place: work on a copy: it[0] is 60, not 62",
    ),
    (
        "checks.keeps_arguments(ordered, np.array([62, 60]))",
        "argument 1 was changed in place: work on a copy: it[0] is 60, not 62",
    ),
    (
        "checks.same(checks.printed(say, 60), 'pitch 60\\n', 'what is printed')",
        "what is printed is '', not 'pitch 60\\n'",
    ),
    (
        "checks.refuses(strict, Score([]), what='an empty score')",
        "an empty score must raise ValueError, not TypeError",
    ),
    (
        "checks.probabilities(softmax(np.array([1.0, 2.0])))",
        "the probabilities add up to 3: probabilities add up to 1",
    ),
]


@pytest.fixture(scope="module")
def marked():
    tests = [check(f"check-{i}", source) for i, (source, _) in enumerate(CHECKS)]
    solution = f"### BEGIN SOLUTION{RIGHT}### END SOLUTION"
    source = notebook(SETUP, answer("answer", solution), *tests)
    assignment = Assignment.from_bytes(nbformat.v4.writes(source).encode(), "checks.ipynb")
    try:
        sandbox = Sandbox("auto", **marking.sandbox_options(assignment))
    except SandboxUnavailable as error:
        pytest.skip(str(error))

    def mark(text):
        submission = notebook(SETUP, code(text))
        data = nbformat.v4.writes(submission).encode()
        (task,) = marking.mark(assignment, data, sandbox, 1)["tasks"]
        return task["tests"]

    yield {"right": mark(RIGHT), "wrong": mark(WRONG)}
    sandbox.close()


@pytest.mark.parametrize("i", range(len(CHECKS)), ids=lambda i: CHECKS[i][0][7:30])
def test_a_check_passes_and_fails_in_the_grader(marked, i):
    assert (marked["right"][i]["outcome"], marked["right"][i]["message"]) == ("passed", "")
    assert marked["wrong"][i]["outcome"] == "failed"
    assert marked["wrong"][i]["message"] == CHECKS[i][1].strip()
