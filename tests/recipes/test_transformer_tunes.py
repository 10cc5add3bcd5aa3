"""The recipe of transformer/tunes: controls, transposed tunes, and what counts in its scores."""

import numpy as np
import pytest
import torch

from mlmusic import cli, datasets
from mlmusic.metrics.control import Judge
from mlmusic.metrics.likelihood import token_nats
from mlmusic.models.transformer import Transformer
from mlmusic.recipes import rnn_gru
from mlmusic.recipes import transformer_tunes as recipe

VOCABULARY = recipe.VOCABULARY
LEAD = VOCABULARY.lead
SMALL = {"width": 16, "layers": 1, "heads": 2, "dropout": 0.0, "context": 512}


@pytest.fixture(scope="module")
def tunes():
    return datasets.tunes()


@pytest.fixture
def few(tunes, monkeypatch):
    """A recipe for a tiny model and a few tunes."""
    found = datasets.base.Dataset(
        "tunes", train=tunes.train[:40], valid=tunes.valid[:20], test=tunes.test[:40]
    )
    monkeypatch.setattr(recipe, "MODEL", SMALL)
    monkeypatch.setattr(recipe.datasets, "tunes", lambda: found)
    return found


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Transformer(VOCABULARY.size, **SMALL, lead=LEAD).eval()


def test_the_tokens_are_chapter_03s(tunes):
    assert VOCABULARY.music.names == rnn_gru.VOCABULARY.names == VOCABULARY.names[:410]
    rows, theirs = recipe.encoded(tunes.train), rnn_gru.encoded(tunes.train)
    assert len(rows) == len(theirs) == 3243 and "3,243" in recipe.DATA
    for row, other in zip(rows, theirs, strict=True):
        assert np.array_equal(row[LEAD - 1 :], other)
        assert (row[: LEAD - 1] >= 410).all()


def test_labels(tunes):
    score = next(s for s in tunes.train if s.meta.get("type") == "reel" and s.key[0][1] == 1)
    found = recipe.labels(score)
    assert found["key"] in ("G major", "E minor") and found["type"] == "reel"
    assert set(found) <= set(VOCABULARY.controls)
    assert VOCABULARY.controls["key"][1:5] == ("Eb major", "Bb major", "F major", "C major")


def test_batches_say_the_truth(tunes):
    """Each row is one of the tunes, transposed by what its key token says."""
    rows = recipe.encoded(tunes.train[:60])
    batches = recipe.Batches(rows, context=512, seed=1)
    steps = {
        np.diff(VOCABULARY.pitches[row][VOCABULARY.pitches[row] >= 0]).tobytes() for row in rows
    }
    known = {row[LEAD:].tobytes(): row for row in rows}
    moved = free = 0
    for step in range(40):
        batch = batches.batch(step)
        assert batch.shape[0] == recipe.TUNES and torch.equal(batch, batches.batch(step))
        for row in batch.numpy():
            row = row[: int(np.flatnonzero(row == VOCABULARY.end)[0]) + 1]
            pitches = VOCABULARY.pitches[row]
            assert np.diff(pitches[pitches >= 0]).tobytes() in steps
            if row[LEAD:].tobytes() in known:
                original = known[row[LEAD:].tobytes()]
                said = ["any" not in VOCABULARY.names[token] for token in row[: LEAD - 1]]
                assert np.array_equal(row[: LEAD - 1][said], original[: LEAD - 1][said])
                free += not any(said)
            else:
                moved += 1
                assert VOCABULARY.names[row[0]] != "key=any"
    assert 40 < moved < 240 and free > 20


def test_a_transposed_key():
    names = VOCABULARY.controls["key"][1:]
    batches = recipe.Batches([VOCABULARY.encode(_scale(), key="G major")], context=512)
    assert names[batches.moved[2][names.index("G major")] - 411] == "A major"
    assert names[batches.moved[10][names.index("E minor")] - 411] == "D minor"
    assert batches.moved[6][names.index("G major")] == -1  # D flat isn't among the keys
    seen = set()
    for step in range(30):
        for row in batches.batch(step).numpy():
            lowest = VOCABULARY.pitches[row][VOCABULARY.pitches[row] >= 0].min()
            if "any" not in VOCABULARY.names[row[0]]:
                seen.add((VOCABULARY.names[row[0]][4:], int(lowest)))
    assert {("G major", 67), ("A major", 69), ("F major", 65), ("D major", 62)} <= seen
    tonics = {name: pitch % 12 for name, pitch in seen}
    assert all((67 + shift) % 12 in tonics.values() for shift in (0, 2, 5, 7))


def _scale():
    from mlmusic import Score

    return Score([(i, 1, 67 + step) for i, step in enumerate((0, 2, 4, 5, 7, 9, 11, 12))])


def test_controls_and_filler_cost_nothing(model, tunes):
    rows = recipe.encoded(tunes.valid[:6])
    tokens = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(r) for r in rows], batch_first=True)
    total, count = recipe.tune_loss(model, tokens)
    nats = [each[LEAD - 1 :] for each in token_nats(model, rows)]
    assert int(count) == sum(map(len, nats)) == sum(len(row) - LEAD for row in rows)
    assert float(total.detach()) == pytest.approx(sum(n.sum() for n in nats), rel=1e-5)
    notes = sum(
        (rnn_gru.VOCABULARY.pitches[row] >= 0).sum() for row in rnn_gru.encoded(tunes.valid[:6])
    )
    assert recipe.nats_per_note(model, rows) == pytest.approx(float(total.detach()) / notes)


def test_freed_rows_say_nothing(tunes):
    for row, whole in zip(recipe.freed(some := recipe.encoded(tunes.valid[:6])), some, strict=True):
        assert VOCABULARY.text(row[:4]) == "key=any metre=any type=any length=any"
        assert np.array_equal(row[4:], whole[4:])


def test_writing(model):
    wishes = [{"key": "G major"}, {}]
    first, again = (recipe.written(model, wishes, seed=3) for _ in range(2))
    assert first == again and len(first) == 2
    with pytest.raises(ValueError, match="key can't be 'H major'"):
        recipe.written(model, [{"key": "H major"}])


def test_hit_rates(model, few, monkeypatch):
    monkeypatch.setattr(recipe, "ASKED", {"metre": ("6/8", "2/4"), "length": ("16",)})
    judge = Judge(few.train, ["reel", "hornpipe"])
    found = recipe.hit_rates(model, judge, each=2)
    assert set(found) == {"metre", "length"}
    for row in found.values():
        assert set(row) == {"asked", "not asked", "real"}
        assert all(0 <= share <= 1 for share in row.values())
    assert found["length"]["real"] == 1


def test_training_is_seeded_and_resumable(few, tmp_path):
    first, again, other = (recipe.train(seed, False, steps=3) for seed in (1, 1, 2))
    for name, value in first.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)
    assert not torch.equal(first.scores.weight, other.scores.weight)


def test_the_commands(few, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "transformer/tunes", "--steps", "2", "-o", "it.safetensors"]) == 0
    assert cli.main(["evaluate", "it.safetensors"]) == 0
    assert "agrees with the card" in capsys.readouterr().out
    ask = ["generate", "it.safetensors", "-o", "it.mid", "--steps", "40"]
    assert cli.main([*ask, "--control", "key=D major", "--control", "metre=6/8"]) == 0
    assert "by transformer/tunes" in capsys.readouterr().out
    for wish, message in (
        ("key=H major", "key can't be 'H major'"),
        ("mood=sad", "no control 'mood'"),
        ("key", "written NAME=VALUE"),
    ):
        assert cli.main([*ask, "--control", wish]) == 1
        assert message in capsys.readouterr().err
    assert cli.main(["generate", "rnn/gru", "-o", "it.mid", "--control", "key=D major"]) == 1
    assert "rnn/gru has no controls" in capsys.readouterr().err
