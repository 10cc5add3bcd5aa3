"""Recipes, and the commands that train and evaluate by them."""

import json
import shutil
import signal
import sys
from pathlib import Path

import pytest
import torch

from mlmusic import cli, recipes, weights
from mlmusic.weights import checkpoint

SOURCE = Path(__file__).parents[1] / "tiny_recipe.py"


@pytest.fixture(autouse=True)
def tiny(tmp_path, monkeypatch):
    """Add the recipe tiny/note to the course's, and its model to those that cards may name."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    shutil.copy(SOURCE, folder / "tiny_note.py")
    monkeypatch.setattr(recipes, "__path__", [*recipes.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, "mlmusic.recipes.tiny_note", raising=False)
    monkeypatch.setitem(checkpoint.MODELS, "Tiny", "mlmusic.recipes.tiny_note")
    monkeypatch.chdir(tmp_path)
    return recipes.get("tiny/note")


def run(capsys, *arguments):
    status = cli.main([str(argument) for argument in arguments])
    told = capsys.readouterr()
    return status, told.out, told.err


def test_names_and_get(tiny):
    assert "tiny/note" in recipes.names()
    assert tiny.__name__ == "mlmusic.recipes.tiny_note"
    assert torch.equal(tiny.train(seed=1).layer.weight, tiny.train(seed=1).layer.weight)


@pytest.mark.parametrize("name", ["tiny/tune", "tiny", "", "os/path", "tiny_note", "../tiny/note"])
def test_unknown_recipes(name):
    with pytest.raises(ValueError, match=rf"there is no recipe '{name}'; there are: .*tiny/note"):
        recipes.get(name)


def test_a_recipe_that_lacks_parts(tmp_path):
    (tmp_path / "recipes/half_done.py").write_text("def train(): ...\nDATA = ''\n")
    with pytest.raises(
        ValueError, match="the recipe half/done lacks evaluate, memorisation, LICENCE"
    ):
        recipes.get("half/done")


@pytest.mark.parametrize("name", [name for name in recipes.names() if name != "tiny/note"])
def test_the_course_s_recipes_are_whole(name):
    assert recipes.get(name).__doc__


def test_train_and_evaluate(tiny, tmp_path, capsys):
    status, out, _ = run(capsys, "train", "tiny/note", "--seed", 4, "-o", "mine.safetensors")
    assert status == 0
    card = weights.card(tmp_path / "mine.safetensors")
    assert card.command == "mlmusic train tiny/note --seed 4"
    assert (card.seed, card.name, card.model) == (4, "tiny/note", "Tiny")
    assert (card.data, card.licence, card.memorisation) == (
        "the notes 0 to 7, made up",
        "MIT; no data of others",
        "writes nothing",
    )
    assert card.cpu_seconds >= 0
    assert card.scores == tiny.evaluate(tiny.train(seed=4))
    assert out.splitlines()[0] == "tiny/note: Tiny, 4 parameters"
    assert "wrote mine.safetensors (" in out

    status, out, _ = run(capsys, "evaluate", "mine.safetensors")
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == "tiny/note: Tiny, 4 parameters; mlmusic train tiny/note --seed 4"
    score = f"{card.scores['squared error of note 8']:12.6f}"
    assert lines[2] == f"squared error of note 8  {score}  {score}"
    assert lines[3] == "agrees with the card within 0.0001"


def test_the_default_file(tmp_path, capsys):
    assert run(capsys, "train", "tiny/note")[0] == 0
    assert (tmp_path / "tiny-note.safetensors").is_file()
    assert weights.card("tiny-note.safetensors").seed == 0


def test_evaluate_by_name(tiny, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(checkpoint, "FOLDER", tmp_path)
    (tmp_path / "tiny").mkdir()
    assert run(capsys, "train", "tiny/note", "-o", "tiny/note.safetensors")[0] == 0
    assert weights.names() == ["tiny/note"]
    assert run(capsys, "evaluate", "tiny/note")[0] == 0


def changed(path, change):
    card = json.loads(path.read_text("utf-8"))
    change(card["scores"])
    path.write_text(json.dumps(card), "utf-8")


@pytest.mark.parametrize(
    ("change", "status", "last"),
    [
        (lambda s: s.update({k: v + 9e-5 for k, v in s.items()}), 0, "agrees with the card"),
        (lambda s: s.update({k: v + 1.1e-4 for k, v in s.items()}), 1, "squared error of note 8"),
        (lambda s: s.update({k: v - 1.1e-4 for k, v in s.items()}), 1, "squared error of note 8"),
        (lambda s: s.update(more=1.0), 1, "differs by more than 0.0001: more"),
        (lambda s: s.clear(), 1, "squared error of note 8"),
    ],
)
def test_scores_that_differ_from_the_card(capsys, tmp_path, change, status, last):
    run(capsys, "train", "tiny/note")
    changed(tmp_path / "tiny-note.json", change)
    found, out, _ = run(capsys, "evaluate", "tiny-note.safetensors")
    assert found == status
    assert last in out.splitlines()[-1]
    assert ("differs" in out) == bool(status)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "rnn/gruu"], "mlmusic train: there is no recipe 'rnn/gruu'; there are: "),
        (["train", "tiny/note", "-o", "x.pt"], "a file ending in .safetensors, not x.pt"),
        (["train", "tiny/note", "-o", "no/x.safetensors"], "there is no folder no"),
        (["evaluate", "rnn/gruu"], "mlmusic evaluate: there are no weights 'rnn/gruu'"),
        (["evaluate", "x.safetensors"], "mlmusic evaluate: there is no file x.safetensors"),
    ],
)
def test_refusals_in_one_line(capsys, tiny, monkeypatch, arguments, message):
    # Refused before the work, not after.
    monkeypatch.setattr(tiny, "train", lambda **options: pytest.fail("it trained"))
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("seed", ["-1", "4294967296", "one", "1.5", ""])
@pytest.mark.parametrize("command", [["train", "x"], ["generate", "x", "-o", "x.mid"]])
def test_impossible_seeds(capsys, command, seed):
    with pytest.raises(SystemExit) as stop:
        run(capsys, *command, "--seed", seed)
    assert stop.value.code == 2
    assert "--seed: a seed is a whole number from 0 to 2**32 - 1" in capsys.readouterr().err


@pytest.mark.parametrize("caught", [False, True])
def test_an_interrupted_training_is_not_written(tiny, capsys, monkeypatch, tmp_path, caught):
    def train(seed, progress):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:  # as `fit` does
            if not caught:
                raise
        return tiny.Tiny()

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(tiny, "train", train)
    status, _, err = run(capsys, "train", "tiny/note")
    assert status == 1
    assert "interrupted, so tiny-note.safetensors isn't written" in err
    assert not (tmp_path / "tiny-note.safetensors").exists()
    assert signal.getsignal(signal.SIGINT) is before
