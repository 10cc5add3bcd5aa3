"""The recipe of chapter 08 and the weights that it made."""

import pytest
import torch

from mlmusic import cli, weights
from mlmusic.models.edit import MaskedChorale, fill, nll
from mlmusic.recipes import edit_chorale as recipe


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    few = {split: recipe.scores(split)[:3] for split in ("train", "valid", "test")}
    monkeypatch.setattr(recipe, "scores", few.__getitem__)
    small = {"width": 16, "layers": 1, "heads": 2, "context": 32}
    monkeypatch.setattr(recipe, "MODEL", recipe.MODEL | small)
    monkeypatch.setattr(recipe, "GAPS", recipe.GAPS | {"size": 2})
    monkeypatch.setattr(recipe, "SAMPLES", 2)
    monkeypatch.chdir(tmp_path)


def test_train_and_evaluate(tiny, tmp_path, capsys):
    assert cli.main("train edit/chorale --steps 3 -o mine.safetensors".split()) == 0
    card = weights.card(tmp_path / "mine.safetensors")
    assert card.model == "MaskedChorale"
    assert card.command == "mlmusic train edit/chorale --seed 0 --steps 3"
    assert list(card.scores) == [
        f"nats per note in {order}, course's chorales, {split}"
        for split in ("valid", "test")
        for order in ("any order", "chapter 06's order")
    ]
    assert "of 20 chorales of 64 from nothing" in card.memorisation
    assert cli.main("evaluate mine.safetensors".split()) == 0
    assert "agrees with the card" in capsys.readouterr().out
    again = recipe.train(seed=0, progress=False, steps=3)
    stored = weights.load(tmp_path / "mine.safetensors")
    for name, value in again.state_dict().items():  # in 8 bits
        assert (stored.state_dict()[name] - value).abs().max() <= value.abs().max() / 100, name


@pytest.fixture(scope="module")
def shipped():
    return weights.load("edit/chorale")


def test_the_card(shipped):
    card = weights.card("edit/chorale")
    assert isinstance(shipped, MaskedChorale)
    assert card.command.startswith("mlmusic train edit/chorale --seed 0")
    assert {name: value for name, value in shipped.config.items() if name in recipe.MODEL} == (
        recipe.MODEL
    )
    assert card.scores["nats per note in any order, course's chorales, test"] < 0.75
    assert card.scores["nats per note in chapter 06's order, course's chorales, test"] < 0.45


def test_it_fills_better_than_chance(shipped):
    """Given all else, a hidden bar is mostly in the right key and near its neighbours."""
    pieces, phases = recipe.grids(shipped, recipe.scores("valid")[:2])
    assert nll(shipped, pieces, phases, samples=2).per_note < 1.0
    grid, phase = pieces[0], phases[0]
    free = torch.zeros(grid.shape, dtype=torch.bool)
    free[:, 64:80] = True
    found = fill(shipped, grid, free, phase=phase, seed=0)
    assert torch.equal(found[~free], grid[~free])
    classes = {int(s) % 12 for s in grid[grid > 0]}
    share = sum(int(s) % 12 in classes for s in found[free]) / int(free.sum())
    assert share > 0.9
    leaps = (found[:, 1:] - found[:, :-1]).abs()[:3, 64:80]
    assert leaps.float().mean() < 2
