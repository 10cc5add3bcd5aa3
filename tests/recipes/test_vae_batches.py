"""What the shipped autoencoders write, checked note by note; and that broken files are refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mlmusic import weights
from mlmusic.windows import HIGHEST, HOLD, LOWEST, REST, faults, repair, to_score

NAMES = ("vae/dances", "vae/phrases", "vae/styles")
FOLDER = Path(weights.__file__).parent


def drawn(name):
    model = weights.load(name)
    kind = torch.arange(300) % 3 if model.config["kinds"] else None
    return model.sample(300, seed=5, kind=kind).numpy()


def copy(name, folder):
    """Copy a checkpoint with its card, and return the path of its weights."""
    for end in (".json", ".safetensors"):
        shutil.copy(FOLDER / (name + end), folder / ("mine" + end))
    return folder / "mine.safetensors"


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_has_no_fault_that_isnt_reported(name):
    rows = drawn(name)
    loose = 0
    for row in rows:  # told once more, symbol by symbol
        sounding = False
        for symbol in row:
            loose += symbol == HOLD and not sounding
            sounding = symbol != REST and (sounding or symbol != HOLD)
    assert faults(rows, 16)["holds nothing"] == loose
    assert faults(rows, 16)["outside the range"] == 0
    mended = repair(rows)
    assert faults(mended, 16)["holds nothing"] == 0
    score = to_score(mended, 16)
    pitches, ends = score.notes["pitch"], score.notes["onset"] + score.notes["duration"]
    assert LOWEST <= pitches.min() and pitches.max() <= HIGHEST
    assert ends.max() <= mended.size / 4
    sounds = np.zeros(mended.size // 16, bool)
    for onset, end in zip(score.notes["onset"], ends, strict=True):
        sounds[int(onset // 4) : int(np.ceil(end / 4))] = True
    assert faults(rows, 16)["empty bars"] == (~sounds).sum()


@pytest.mark.parametrize("name", NAMES)
def test_other_bytes_are_refused(name, tmp_path):
    path = copy(name, tmp_path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"is damaged \(its sha256 is ") as told:
        weights.load(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", NAMES)
def test_another_shape_is_refused(name, tmp_path):
    path = copy(name, tmp_path)
    card = json.loads(path.with_suffix(".json").read_text("utf-8"))
    card["config"]["latent"] = 32
    path.with_suffix(".json").write_text(json.dumps(card), "utf-8")
    with pytest.raises(ValueError, match=r"has shape \(128,\), MelodyVAE needs \(64,\)") as told:
        weights.load(path)
    assert "\n" not in str(told.value)
