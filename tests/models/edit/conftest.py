"""A tiny model with weights drawn at random, and a short chorale to edit."""

import copy
from typing import NamedTuple

import pytest
import torch

from mlmusic.models.edit import MaskedChorale
from mlmusic.score import Score


@pytest.fixture(scope="package")
def model():
    torch.manual_seed(0)
    found = MaskedChorale(low=36, high=84, width=16, layers=1, heads=2, dropout=0.1, context=48)
    for parameter in found.parameters():  # otherwise all symbols are about as likely
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return found.eval()


class Pass(NamedTuple):
    """What a model was asked in one pass, and what it said."""

    grid: torch.Tensor
    phase: torch.Tensor
    cells: torch.Tensor
    logits: torch.Tensor


@pytest.fixture
def asked(model):
    """The model, and a list to which it adds each of its passes."""
    passes, listened = [], copy.deepcopy(model)

    def forward(grid, phase, cells):
        logits = model(grid, phase, cells)
        passes.append(Pass(grid.clone(), phase, cells.clone(), logits))
        return logits

    listened.forward = forward
    return listened, passes


@pytest.fixture(scope="package")
def chorale():
    """Four bars after a pickup, with repeated notes, notes held over bar lines, and a rest."""
    lines = {
        0: [(0, 1, 72), (1, 1, 72), (2, 1, 74), (3, 2, 76), (5, 1, 76), (6, 3, 77), (9, 8, 76)],
        1: [(0, 1, 67), (1, 4, 67), (5, 4, 69), (9, 4, 67), (14, 3, 67)],
        2: [(0, 1, 64), (1, 2, 64), (3, 2, 60), (5, 3.5, 60), (8.5, 4.5, 62), (13, 4, 60)],
        3: [(i, 1, 48 + (i % 3)) for i in range(17)],
    }
    notes = [(*note, 70 + voice, voice) for voice, line in lines.items() for note in line]
    return Score(
        notes,
        metre=[(1.0, 4, 4)],
        key=[(0.0, 0, "major")],
        lyrics={0: [(0.0, "Lo-"), (1.0, "be"), (3.0, "den"), (9.0, "Herrn")]},
        title="A chorale",
    )
