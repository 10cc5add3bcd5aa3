"""Nothing that JSB tests or validates on is trained on: proved by hashes, without JSB's file.

`jsb_held_out.npy` holds for each of the 153 pieces of JSB's valid and test splits the 48 smallest
hashes of its passages of eight eighths, up to transposition: a sample by content (Broder, *On the
resemblance and containment of documents*, 1997). ``python -m tests.datasets.test_overlap`` writes
it anew from JSB's file.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from mlmusic import datasets
from mlmusic.datasets import download
from tests.datasets.test_chorales import sounding

TABLE = Path(__file__).with_name("jsb_held_out.npy")
KEPT = 48
SIXTEENTHS = "Jsb16thSeparated.json"


def hashes(pitches):
    """Hash all passages of eight eighths: pitches (4, sixteenths), -1 in silence."""
    eighths = pitches[:, ::2]
    found = set()
    for i in range(eighths.shape[1] - 7):
        passage = eighths[:, i : i + 8].astype(np.int16)
        if (passage >= 0).all():
            data = (passage - passage[0, 0]).tobytes()
            found.add(int.from_bytes(hashlib.sha256(data).digest()[:4], "big"))
    return found


def sketch(pitches):
    """Return the smallest hashes of a piece, filled up with zeros."""
    kept = sorted(hashes(pitches))[:KEPT]
    return np.array(kept + [0] * (KEPT - len(kept)), np.uint32)


def published(path):
    content = json.loads(path.read_bytes())
    return [np.array(steps).T for split in ("valid", "test") for steps in content[split]]


def shares(scores):
    """For each score, the largest share of a held-out piece's sample that stands in it."""
    held_out = np.load(TABLE)
    found = []
    for score in scores:
        pitches = sounding(score)
        ours = np.array(sorted(hashes(pitches) | hashes(pitches[:, 1:])), np.uint32)
        found.append((np.isin(held_out, ours) & (held_out > 0)).sum(1).max() / KEPT)
    return np.array(found)


@pytest.mark.parametrize("split", ["melody", "jsb"])
def test_no_training_piece_is_held_out_by_jsb(split):
    assert np.load(TABLE).shape == (153, KEPT)
    assert shares(datasets.chorales(split=split).train).max() < 0.35


def test_the_hashes_find_what_is_held_out():
    """The other way round: the pieces that were kept apart are found."""
    assert (shares(datasets.chorales(split="jsb").test) > 0.6).mean() > 0.9


@pytest.mark.skipif(download.find(SIXTEENTHS) is None, reason="needs JSB's file: MLMUSIC_DATA")
def test_the_hashes_are_those_of_the_published_file():
    rows = [sketch(piece) for piece in published(download.find(SIXTEENTHS))]
    assert np.array_equal(np.load(TABLE), np.stack(rows))


if __name__ == "__main__":
    np.save(TABLE, np.stack([sketch(piece) for piece in published(download.find(SIXTEENTHS))]))
