"""What the course ships: every file whole, small, loadable, and with a recipe."""

from pathlib import Path

import pytest

from mlmusic import recipes, weights

FOLDER = Path(weights.__file__).parent
SHIPPED = weights.names()


def test_every_file_belongs_to_a_checkpoint():
    found = {path.relative_to(FOLDER) for path in FOLDER.glob("*/*") if path.suffix != ".pyc"}
    assert found == {Path(name + end) for name in SHIPPED for end in (".json", ".safetensors")}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_checkpoint(name):
    card = weights.card(name)
    assert (FOLDER / f"{name}.safetensors").stat().st_size <= weights.MAX_BYTES == 8_000_000
    assert card.name == name
    assert card.command == f"mlmusic train {name} --seed {card.seed}"
    assert card.scores
    assert all((card.data, card.memorisation, card.licence, card.cpu_seconds > 0))
    assert recipes.get(name).DATA == card.data
    model = weights.load(name)
    assert not model.training
    assert sum(parameter.numel() for parameter in model.parameters()) == card.parameters
