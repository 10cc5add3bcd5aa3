"""Mutated notebooks: no crash, no hang, and no points that the notebook didn't have before."""

import os
from random import Random

import pytest

from mlmusic.grading.marking.answers import Finder
from mlmusic.grading.marking.worker import Worker
from mlmusic.grading.source.assignment import Assignment
from mlmusic.grading.source.notebook import UnreadableNotebook, read_notebook

from . import assignment, mutating
from .building import Notebook, answer, dump, empty, find, get, right
from .conftest import KINDS, works

# All of them end to end takes many minutes: MLMUSIC_FUZZ=5000.
END_TO_END = int(os.environ.get("MLMUSIC_FUZZ", "100"))
READ = 5_000


def half() -> bytes:
    """Return a notebook with two right answers, and nothing else."""
    notebook = empty()
    for task in ("transpose", "scale"):
        answer(notebook, task, assignment.right_answer(task))
    notebook["cells"] = [get(notebook, name) for name in ("title", "transpose", "scale")]
    return dump(notebook)


def short(notebook: Notebook) -> bytes:
    """Return a notebook's first half: every kind of cell is there, and it's read in no time."""
    return dump({**notebook, "cells": notebook["cells"][: find(notebook, "select")]})


ORIGINALS = {
    "empty": (short(empty()), 0.0),
    "half": (half(), 6.0),
    "right": (short(right()), 9.0),
}


def mutated(number: int) -> tuple[str, bytes]:
    """Return one of the mutated notebooks, and which original it was made from."""
    name = list(ORIGINALS)[number % len(ORIGINALS)]
    return name, mutating.notebook(ORIGINALS[name][0], number)


def test_mutations_are_seeded_and_change_something():
    for number in range(60):
        name, data = mutated(number)
        assert mutated(number) == (name, data)
    same = sum(mutated(number)[1] == ORIGINALS[mutated(number)[0]][0] for number in range(60))
    assert same < 6


def test_reading_and_finding_never_fails():
    finder = Finder(Assignment.from_bytes(assignment.source_bytes(), assignment.NAME))
    readable = 0
    for number in range(READ):
        data = mutated(number)[1]
        try:
            notebook = read_notebook(data)
        except UnreadableNotebook as error:
            assert len(str(error).splitlines()) == 1
            continue
        finder.find(notebook)
        readable += 1
    assert READ // 2 < readable < READ, "some mutations must be survivable, and some not"


@pytest.fixture(scope="module")
def worker():
    kind = next((kind for kind in KINDS if works(kind) is None), None)
    if kind is None:
        pytest.skip("no sandbox works here")
    with Worker(assignment.source_bytes(), assignment.NAME, sandbox=kind) as made:
        yield made


def test_grading_gains_nothing(worker):
    """The numbers are drawn from all that are read above, so that both see the same kinds."""
    chosen = Random(3).sample(range(READ), min(END_TO_END, READ))
    lost = {name: 0 for name in ORIGINALS}
    for number in chosen:
        name, data = mutated(number)
        result = worker.mark(data, seed=1)
        most = ORIGINALS[name][1]
        assert 0 <= result["score"] <= most, f"mutation {number} of the {name} notebook"
        assert result["points"] == assignment.POINTS
        lost[name] += result["score"] < most
    assert lost["right"] and not lost["empty"]
    for name, (data, points) in ORIGINALS.items():
        assert worker.mark(data, seed=1)["score"] == points, f"the {name} notebook, afterwards"
