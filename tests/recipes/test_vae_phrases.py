"""The recipe of vae/phrases: four bars, as vae/dances has two."""

import pytest
import torch

from mlmusic import weights
from mlmusic.metrics.reconstruction import recovered
from mlmusic.recipes import vae_dances, vae_phrases


def test_the_shipped_model_copies_held_out_phrases():
    model, scores = weights.load("vae/phrases"), weights.card("vae/phrases").scores
    valid = vae_dances.split("valid", vae_phrases.BARS)
    assert valid.symbols.shape[1] == model.config["steps"] == 64
    with torch.no_grad():
        written = model.write(model.encode(torch.from_numpy(valid.symbols))[0]).numpy()
    found = recovered(valid.symbols, written)
    assert found.onset == pytest.approx(scores["per onset, decoding freely, valid"], abs=1e-3)
    assert found.exact == pytest.approx(scores["windows exact, valid"], abs=1e-3)


def test_only_length_and_channels_differ_from_two_bars(monkeypatch):
    asked = []
    monkeypatch.setattr(vae_dances, "trained", lambda *given: asked.append(given))
    vae_dances.train(3, False)
    vae_phrases.train(3, False)
    assert asked == [(2, 192, 3, False), (4, 160, 3, False)]
    two, four = (weights.card(f"vae/{name}").config for name in ("dances", "phrases"))
    assert four == two | {"steps": 64, "channels": 160}
