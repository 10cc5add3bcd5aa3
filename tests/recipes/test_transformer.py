"""The recipes of chapter 06: what they are trained on, what they reach, and their commands."""

import hashlib
import json
import sys

import numpy as np
import pytest
import torch

from mlmusic import cli, datasets, recipes, weights
from mlmusic.datasets import download
from mlmusic.metrics.chorales import nats_per_note
from mlmusic.models.transformer.frames import frame_symbols, frames_of
from mlmusic.models.transformer.pieces import symbols, to_score
from mlmusic.models.transformer.writing import RANGES, write
from mlmusic.recipes import transformer_chorale as recipe
from mlmusic.recipes import transformer_frames

jsb_module = sys.modules["mlmusic.datasets.jsb"]


def run(capsys, *arguments):
    status = cli.main([str(argument) for argument in arguments])
    told = capsys.readouterr()
    return status, told.out, told.err


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Files of the published form with a few chorales of the course, and small, short recipes."""
    songs = [score for score in datasets.chorales().train if score.duration <= 40][:6]
    grids = [np.where(p > 0, p + 32, -1).tolist() for p in map(_symbols, songs)]
    splits = {"train": slice(0, 3), "valid": slice(3, 5), "test": slice(5, 6)}
    sixteenths = {name: grids[part] for name, part in splits.items()}
    quarters = {name: [frames_of(s) for s in songs[part]] for name, part in splits.items()}
    for name, content in ((jsb_module.SIXTEENTHS, sixteenths), (jsb_module.QUARTERS, quarters)):
        data = json.dumps(content).encode()
        (tmp_path / name).write_bytes(data)
        monkeypatch.setitem(jsb_module.SHA256, name, hashlib.sha256(data).hexdigest())
    monkeypatch.setenv("MLMUSIC_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for module in (recipe, transformer_frames):
        small = {"width": 16, "layers": 1, "heads": 2}
        members = ((small, {"steps": 3, "lr": 1e-3}),) * 2
        monkeypatch.setattr(module, "MODEL", module.MODEL | {"context": 32})
        monkeypatch.setattr(module, "MEMBERS", members)
        monkeypatch.setattr(module, "WINDOWS", module.WINDOWS | {"size": 2})
        monkeypatch.delitem(module.TRAINING, "steps", raising=False)
    return sixteenths


def _symbols(score):
    return symbols(score, low=33, high=84).numpy()


def test_pieces(tiny):
    for split in ("train", "valid", "test"):
        for piece, grid in zip(recipe.pieces(split), tiny[split], strict=True):
            pitches = np.where(piece.numpy() > 0, piece.numpy() + 32, -1)
            assert pitches.tolist() == grid
    assert len(recipe.pieces("test", "chorales")) == 74
    with pytest.raises(ValueError, match="there are no data 'bach': choose from jsb, chorales"):
        recipe.pieces("test", "bach")


def test_train_and_evaluate(tiny, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(recipe, "memorisation", lambda model: "nothing")
    status, out, _ = run(capsys, "train", "transformer", "--steps", 2, "--device", "cpu")
    assert status == 0, out
    path = tmp_path / "transformer-chorale.safetensors"
    card = weights.card(path)
    assert card.command == "mlmusic train transformer/chorale --seed 0 --steps 2"
    assert (card.name, card.model) == ("transformer/chorale", "Committee")
    assert card.cpu_seconds > 0
    model = weights.load(path)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    # Kept in 8 bits, and scored as they are loaded.
    assert path.stat().st_size < 1.6 * card.parameters + 40_000
    key = "nats per note, JSB, test"
    assert card.scores[key] == pytest.approx(nats_per_note(model, recipe.pieces("test")), abs=1e-9)
    assert not list(tmp_path.glob("*.checkpoint"))
    assert len((tmp_path / "transformer-chorale.1.csv").read_text().splitlines()) == 2

    assert run(capsys, "train", "transformer/frames", "--minutes", 0.001)[0] == 0
    frames = weights.load("transformer-frames.safetensors")
    monkeypatch.setattr(weights, "load", lambda name: frames if "frames" in str(name) else model)
    command = ("evaluate", path, "--data", "jsb", "--split", "test")
    status, out, _ = run(capsys, *command, "--json")
    assert status == 0
    found = json.loads(out)
    assert list(found) == ["data", "split", "nats_per_note", "frame_nll", "n"]
    assert (found["data"], found["split"], found["n"]) == ("jsb", "test", 1)
    assert found["nats_per_note"] == pytest.approx(card.scores[key], abs=1e-9)
    quarters = [frame_symbols(piece) for piece in datasets.jsb_frames()["test"]]
    assert found["frame_nll"] == pytest.approx(recipe.frame_nll(frames, quarters), abs=1e-9)
    status, out, _ = run(capsys, *command)
    assert out.splitlines()[0].split() == ["data", "jsb"]
    assert run(capsys, *command[:3], "bach")[2].startswith(
        "mlmusic evaluate: there are no data 'bach'"
    )


def test_an_interrupted_command_goes_on(tiny, tmp_path, capsys, monkeypatch):
    """The second member is stopped; the same command ends with what an undisturbed one writes."""
    monkeypatch.setattr(recipe, "memorisation", lambda model: "nothing")
    assert run(capsys, "train", "transformer", "-o", "whole.safetensors")[0] == 0
    batch = recipe.Windows.batch
    monkeypatch.setattr(
        recipe.Trainer.__init__,
        "__kwdefaults__",
        {**recipe.Trainer.__init__.__kwdefaults__, "every": 1},
    )

    def stopping(self, step, rank=0, world=1):
        if self.seed == 1 and step == 2:
            raise KeyboardInterrupt
        return batch(self, step, rank, world)

    monkeypatch.setattr(recipe.Windows, "batch", stopping)
    with pytest.raises(KeyboardInterrupt):
        recipe.train(progress=False, checkpoint="it.checkpoint", log="it.csv")
    assert sorted(p.name for p in tmp_path.glob("it.*")) == [
        f"it.{i}.{end}" for i in range(2) for end in ("checkpoint", "csv")
    ]
    monkeypatch.setattr(recipe.Windows, "batch", batch)
    assert run(capsys, "train", "transformer", "-o", "it.safetensors")[0] == 0
    assert weights.card("it.safetensors").sha256 == weights.card("whole.safetensors").sha256
    assert not list(tmp_path.glob("*.checkpoint"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "rnn/gru", "--steps", 3], "the recipe rnn/gru takes no --steps"),
        (["train", "rnn/gru", "--device", "cpu"], "the recipe rnn/gru takes no --device"),
        (["train", "transformer", "--device", "abacus"], "there is no device 'abacus' here"),
        (["evaluate", "rnn/gru", "--data", "jsb"], "rnn/gru is scored on its own data alone"),
        (["evaluate", "rnn/gru", "--split", "test"], "--split is of the data that --data names"),
    ],
)
def test_refusals_in_one_line(tiny, capsys, arguments, message):
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "options",
    [
        ["--steps", "0"],
        ["--steps", "x"],
        ["--minutes", "-1"],
        ["--minutes", "inf"],
        ["--steps", "2", "--minutes", "1"],
    ],
)
def test_impossible_budgets(capsys, options):
    with pytest.raises(SystemExit) as stop:
        run(capsys, "train", "transformer", *options)
    assert stop.value.code == 2


def test_without_the_file_it_is_said_where_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLMUSIC_DATA", str(tmp_path))
    status, out, err = run(capsys, "train", "transformer", "-o", tmp_path / "x.safetensors")
    assert (status, out) == (1, "")
    assert "Jsb16thSeparated.json isn't here. Download https://" in err


def test_the_longest_copy_on_paper():
    tune = torch.tensor([[30 + i % 5, 20, 15, 5 + i % 3] for i in range(12)])
    other = torch.tensor([[9, 8, 7, 6]] * 4)
    higher = torch.cat([other, tune[3:9] + 2])
    assert recipe.longest_copy(higher, [tune]) == 5  # six chords, five steps between them
    assert recipe.longest_copy(tune, [other]) == 0
    assert recipe.longest_copy(other, [other]) == 0  # nothing moves


# The shipped weights ------------------------------------------------------------------------


def test_names():
    assert recipes.get("transformer") is recipe
    assert {"transformer/chorale", "transformer/frames"} <= set(recipes.names())


@pytest.fixture(scope="module")
def shipped():
    return weights.load("transformer/chorale")


def test_the_shipped_model_on_the_course_s_own_chorales(shipped):
    """Half of the notes that change would be guessed by no rule of thumb: beat repeating by far."""
    pieces = recipe.pieces("test", "chorales")[::8]
    assert nats_per_note(shipped, pieces) < 0.42


def test_a_hundred_chorales(shipped):
    """Eight bars each: no unknown symbol, every voice in its range, notes that end."""
    found = write(shipped.members[0], 128, count=100, seed=0)
    assert found.shape == (100, 128, 4)
    for v, (low, high) in enumerate(RANGES):
        sung = found[..., v][found[..., v] > 0] + shipped.low - 1
        assert low <= int(sung.min()) <= int(sung.max()) <= high
    for piece in found:
        score = to_score(piece, low=shipped.low)
        assert score.duration <= 32
        assert torch.equal(symbols(score, low=33, high=84), piece[: len(symbols(score))])


def test_the_card_s_figure(shipped):
    if download.find(jsb_module.SIXTEENTHS) is None:
        pytest.skip("needs JSB's file: MLMUSIC_DATA")
    score = nats_per_note(shipped, recipe.pieces("test"))
    card = weights.card("transformer/chorale")
    assert score == pytest.approx(card.scores["nats per note, JSB, test"], abs=1e-4)
