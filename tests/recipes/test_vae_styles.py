"""The recipe of vae/styles: its windows and excerpts, and what the shipped model does to a tune."""

import numpy as np
import pytest
import torch

from mlmusic import datasets, weights
from mlmusic.recipes import vae_styles
from mlmusic.styles import KINDS, by_model, dance_score, dotted


@pytest.fixture(scope="module")
def found():
    return vae_styles.excerpts("valid")


def test_hornpipes_are_the_dotted_ones():
    valid = vae_styles.split("valid")
    of_kind = valid.kinds == "hornpipe"
    assert of_kind.any() and (dotted(valid.symbols[of_kind]) >= vae_styles.DOTTED).all()
    known = {row.tobytes() for row in vae_styles.split("train").symbols}
    assert not any(row.tobytes() in known for row in valid.symbols)


def test_excerpts_are_eight_bars_of_different_tunes(found):
    assert {kind for kind, _ in found} == set(KINDS)
    assert all(symbols.shape == (4, 32) for _, symbols in found)
    jigs = [dance_score(symbols, kind) for kind, symbols in found if kind == "jig"]
    assert all(jig.metre == [(0, 6, 8)] and 22 < jig.duration <= 24 for jig in jigs)


def test_transfers_are_judged_in_both_ways(found):
    few = [each for each in found if each[0] == "reel"][:3]
    heard = []

    class Jig(torch.nn.Module):
        def forward(self, x):
            heard.append(x.shape[1])
            return torch.tensor([[0.0, 1.0, 0.0]])

    rows = vae_styles.transfers(lambda symbols, *_: symbols, few, Jig())
    assert [row["target"] for row in rows] == ["jig", "hornpipe"] * 3
    assert [row["hit"] for row in rows] == [True, False] * 3
    assert all(row["kept"] == 1 for row in rows[1::2])  # a hornpipe's grid is a reel's
    assert set(heard) == {32}


def test_the_shipped_model_keeps_much_and_follows_the_switch(found):
    model = weights.load("vae/styles")
    reels = [each for each in found if each[0] == "reel"][:20]
    shares = {
        kind: np.mean([dotted(by_model(model, rows, "reel", kind)).mean() for _, rows in reels])
        for kind in ("reel", "hornpipe")
    }
    assert shares["hornpipe"] > shares["reel"] + 0.2
    scores = weights.card("vae/styles").scores
    assert scores["melody kept, by model, test"] > 0.6


def test_training_is_seeded(monkeypatch):
    """Two trainings on a few tunes agree, another seed's doesn't; the weights move."""
    some = [t for t in datasets.tunes().train if t.meta.get("type") in KINDS][:60]
    monkeypatch.setattr(vae_styles, "EPOCHS", 1)
    few = datasets.base.Dataset("tunes", train=some)
    monkeypatch.setattr(vae_styles.datasets, "tunes", lambda: few)
    first, again, other = (vae_styles.train(seed, progress=False) for seed in (1, 1, 2))
    assert first.config == weights.card("vae/styles").config
    for name, value in first.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)
    assert not torch.equal(first.lift.weight, other.lift.weight)
