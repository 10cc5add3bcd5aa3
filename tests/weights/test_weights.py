"""Weights and cards: what is written comes back, and what is damaged is refused in one line."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from mlmusic import weights
from mlmusic.weights import Card, checkpoint
from tests.tiny_recipe import Tiny

CARD = Card(
    data="made up",
    command="mlmusic train tiny/note --seed 3",
    seed=3,
    cpu_seconds=1.5,
    scores={"error": 0.25},
    memorisation="writes nothing",
    licence="MIT",
)


class Pair(nn.Module):
    """Its config is a tuple, which JSON gives back as a list."""

    def __init__(self, *, shape=(2, 3)):
        super().__init__()
        self.config = {"shape": shape}
        self.one = nn.Parameter(torch.zeros(*shape))
        self.two = self.one  # tied
        if len(shape) > 2:
            raise ValueError("two numbers,\nplease")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Let the course have no weights, and two classes."""
    home = tmp_path / "weights"
    home.mkdir()
    monkeypatch.setattr(checkpoint, "FOLDER", home)
    for name, module in (("Tiny", "tests.tiny_recipe"), ("Pair", __name__)):
        monkeypatch.setitem(checkpoint.MODELS, name, module)
    return home


@pytest.fixture
def model():
    torch.manual_seed(1)
    return Tiny(width=5).train()


def edit(path, **entries):
    """Change entries of a card; ... takes one out."""
    card = json.loads(path.read_text("utf-8")) | entries
    path.write_text(json.dumps({k: v for k, v in card.items() if v is not ...}), "utf-8")


def put(folder, tensors):
    """Replace tiny/note's weights, with the sha256 that fits."""
    data = tensors if isinstance(tensors, bytes) else safetensors.torch.save(tensors)
    (folder / "tiny/note.safetensors").write_bytes(data)
    edit(folder / "tiny/note.json", sha256=hashlib.sha256(data).hexdigest())


def refused(message, name="tiny/note", error=ValueError):
    with pytest.raises(error) as told:
        weights.load(name)
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_what_is_saved_comes_back(model, folder):
    assert weights.names() == []
    written = weights.save(model, "tiny/note", CARD)
    assert weights.names() == ["tiny/note"]
    again = weights.load("tiny/note")
    assert type(again) is Tiny
    assert again.config == {"width": 5}
    assert not again.training
    for key, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key
    card = weights.card("tiny/note")
    assert card == written
    assert (
        card.sha256 == hashlib.sha256((folder / "tiny/note.safetensors").read_bytes()).hexdigest()
    )
    expected = replace(
        CARD, name="tiny/note", model="Tiny", config={"width": 5}, parameters=10,
        made_with=card.made_with, sha256=card.sha256,
    )  # fmt: skip
    assert card == expected
    assert card.made_with == f"torch {torch.__version__}, numpy {np.__version__}, 1 thread"


def test_a_card_tells_a_reader_what_matters():
    card = replace(
        CARD,
        data=" ".join(["tunes of 1700 to 1900,"] * 20) + " end",
        scores={"error": 0.25, "error, test": 12.5},
        name="tiny/note",
        model="Tiny",
        config={"members": [{"width": 5}] * 50},
        parameters=1234,
        sha256="f" * 64,
    )
    lines = str(card).splitlines()
    assert lines[0] == "tiny/note: Tiny, 1,234 parameters"
    assert max(map(len, lines)) <= 100
    found = " ".join(str(card).split())
    for wanted in (
        card.data,
        "command mlmusic train tiny/note --seed 3 cost 2 CPU seconds",
        "scores error 0.2500 error, test 12.5000",
        "memorisation writes nothing licence MIT",
    ):
        assert wanted in found
    assert "width" not in found and "ffff" not in found
    assert "'width': 5" in repr(card) and card.sha256 in repr(card)


@pytest.mark.parametrize(("bits", "kind"), [(16, torch.float16), (8, torch.int8)])
def test_less_room(model, folder, bits, kind):
    """Kept in fewer bits, given back in 32, rounded; what these can't hold isn't written."""
    weights.save(model, "tiny/note", CARD, bits=bits)
    kept = safetensors.torch.load_file(folder / "tiny/note.safetensors")
    assert kept["layer.weight"].dtype == kind
    assert kept["layer.bias"].dtype == torch.float16
    again = weights.load("tiny/note")
    for key, value in model.state_dict().items():
        found = again.state_dict()[key]
        assert found.dtype == value.dtype
        row = value.abs().amax(-1, keepdim=True) if value.ndim > 1 else value.abs()
        assert ((found - value).abs() <= row * (1 / 254 if bits == 8 else 1e-3) + 1e-7).all()
    # Rounding what is rounded changes nothing.
    weights.save(again, "tiny/note", CARD, bits=bits)
    for key, value in weights.load("tiny/note").state_dict().items():
        torch.testing.assert_close(value, again.state_dict()[key], rtol=1e-6, atol=0)
    with torch.no_grad():
        model.layer.bias[0] = 1e6
    with pytest.raises(ValueError, match=r"the weight layer\.bias isn't finite"):
        weights.save(model, "tiny/note", CARD, bits=bits)


def test_impossible_bits(model):
    with pytest.raises(ValueError, match="weights are kept in 32, 16 or 8 bits, not 4"):
        weights.save(model, "tiny/note", CARD, bits=4)


def test_the_same_weights_give_the_same_bytes(model, folder, tmp_path):
    weights.save(model, "tiny/note", CARD)
    weights.save(weights.load("tiny/note"), "tiny/note", CARD, path=tmp_path / "b.safetensors")
    assert (tmp_path / "b.safetensors").read_bytes() == (
        folder / "tiny/note.safetensors"
    ).read_bytes()
    assert (tmp_path / "b.json").read_bytes() == (folder / "tiny/note.json").read_bytes()


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_a_file_anywhere(model, tmp_path, kind):
    path = tmp_path / "mine.safetensors"
    weights.save(model, "tiny/note", CARD, path=kind(path))
    assert weights.names() == []
    assert torch.equal(weights.load(kind(path)).layer.weight, model.layer.weight)
    assert weights.card(kind(path)).name == "tiny/note"


def test_loading_draws_no_random_numbers(model):
    weights.save(model, "tiny/note", CARD)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    weights.load("tiny/note")
    assert torch.equal(torch.rand(1), expected)


def test_tied_weights_and_a_tuple(folder):
    weights.save(Pair(shape=(2, 1)), "tiny/pair", CARD)
    again = weights.load("tiny/pair")
    assert again.one is again.two
    assert weights.card("tiny/pair").config == {"shape": [2, 1]}


def test_a_card_can_be_read_in_full(model):
    text = repr(weights.save(model, "tiny/note", CARD))
    assert text.splitlines()[:3] == [
        "tiny/note",
        "  model         Tiny, 10 parameters",
        "  config        width=5",
    ]
    assert "  cost          2 CPU seconds (torch" in text
    assert "  error         0.2500" in text


def test_unknown_names(model, tmp_path):
    refused("there are no weights 'rnn/gru'; there are: none yet", "rnn/gru")
    weights.save(model, "tiny/note", CARD)
    refused("there are no weights '../tiny/note'; there are: tiny/note", "../tiny/note")
    missing = tmp_path / "absent.safetensors"
    refused(f"there is no file {missing}", missing, FileNotFoundError)
    refused("ending in .safetensors, not model.pt", tmp_path / "model.pt")
    with pytest.raises(ValueError, match="there are no weights 'b'"):
        weights.card("b")


def test_missing_files(model, folder, tmp_path):
    path = tmp_path / "mine.safetensors"
    weights.save(model, "tiny/note", CARD, path=path)
    path.with_suffix(".json").unlink()
    refused("the weights have no card: there is no file", path, FileNotFoundError)
    weights.save(model, "tiny/note", CARD)
    (folder / "tiny/note.safetensors").unlink()
    refused(
        "reinstall mlmusic, or make it anew with `mlmusic train tiny/note --seed 3`",
        error=FileNotFoundError,
    )


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:-1] + b"\x7f", lambda b: b""])
def test_a_damaged_file(model, folder, damage):
    weights.save(model, "tiny/note", CARD)
    path = folder / "tiny/note.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    refused("tiny/note.safetensors is damaged (its sha256 is ")


def test_a_file_that_never_was_one(model, folder):
    weights.save(model, "tiny/note", CARD)
    put(folder, b"hello")
    refused("tiny/note.safetensors is no safetensors file: ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer.weight": torch.zeros(4, 1)}, "has shape (4, 1), Tiny needs (5, 1)"),
        ({"layer.weight": torch.zeros(5)}, "layer.weight has shape (5,), Tiny needs (5, 1)"),
        ({"layer.bias": None}, "has no weight layer.bias, which Tiny needs"),
        ({"other": torch.zeros(1)}, "has a weight other, which Tiny doesn't know"),
    ],
)
def test_weights_of_another_model(model, folder, change, message):
    weights.save(model, "tiny/note", CARD)
    tensors = model.state_dict() | change
    put(folder, {key: value for key, value in tensors.items() if value is not None})
    refused(message)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"model": "os.system"}, "'os.system' is none of the course's models: "),
        ({"model": "Card"}, "'Card' is none of the course's models: "),
        ({"config": {"width": -1}}, "its config doesn't build a Tiny: "),
        ({"config": {"depth": 1}}, "its config doesn't build a Tiny: "),
        ({"model": "Pair", "config": {"shape": [1, 1, 1]}}, "Pair: two numbers, please"),
        ({"sha256": ...}, "note.json is damaged: it has no sha256"),
        ({"color": 1}, "note.json is damaged: 'color' is unknown"),
        ({"seed": "0"}, "a card's seed must be of type int, not '0'"),
        ({"seed": True}, "a card's seed must be of type int, not True"),
        ({"config": []}, "a card's config must be of type dict, not []"),
        ({"scores": {"a": "b"}}, "the score 'a' must be a number, not 'b'"),
        ({"scores": {"a": float("nan")}}, "the score 'a' must be finite, not nan"),
    ],
)
def test_a_card_that_is_wrong(model, folder, entries, message):
    weights.save(model, "tiny/note", CARD)
    edit(folder / "tiny/note.json", **entries)
    refused(message)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]", b""])
def test_a_card_that_is_none(model, folder, content):
    weights.save(model, "tiny/note", CARD)
    (folder / "tiny/note.json").write_bytes(content)
    refused("note.json is damaged: ")


def test_what_is_not_saved(model, folder, tmp_path, monkeypatch):
    def fails(message, model=model, name="tiny/note", error=ValueError, **options):
        with pytest.raises(error) as told:
            weights.save(model, name, CARD, **options)
        assert message in str(told.value)
        assert "\n" not in str(told.value)
        assert not any(path.is_file() for path in tmp_path.rglob("*"))

    for name in ("gru", "../x", "rnn/", "RNN/gru", "a/b/c", "rnn/gru.safetensors", ""):
        fails(f"a name is written family/variant, like rnn/gru, not {name!r}", name=name)
    fails("ending in .safetensors, not x.pt", path=tmp_path / "x.pt")
    fails("there is no folder", path=tmp_path / "no/x.safetensors", error=FileNotFoundError)
    fails("Linear has no config", nn.Linear(1, 1))
    named = nn.Linear(1, 1)
    named.config = {}
    fails("'Linear' is none of the course's models: ", named)

    impostor = type("Tiny", (Tiny,), {})
    fails("isn't the Tiny of tests.tiny_recipe", impostor())
    model.config = {"width": {1, 2}}
    fails("Tiny.config can't be written as JSON: ")
    model.config = {"width": 6}
    fails("layer.bias has shape (5,), Tiny needs (6,)")
    model.config = {"width": 5}
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "MAX_BYTES", 100)
        fails("bytes, and weights may take 100: train a smaller model")
    model.layer.weight.data[0] = float("nan")
    fails("the weight layer.weight isn't finite: has training failed?")
