"""The JSB chorales in the published split, from two public files."""

from __future__ import annotations

import json

import numpy as np

from mlmusic.datasets import download as files
from mlmusic.datasets.base import SPLITS, Dataset
from mlmusic.score import REST, Score

SIXTEENTHS = "Jsb16thSeparated.json"
QUARTERS = "jsb-chorales-quarter.json"
ADDRESS = "https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/master/"
SHA256 = {
    SIXTEENTHS: "79294cc374f9252e95ef4b703161524c1c53dc1f712c236f00f1c1f5d54af5a7",
    QUARTERS: "2db9329f1881a1d3f49703ec556bf1d6f84b4f6c1d702c156536e93cf31e1c91",
}


def jsb(download: bool = False) -> Dataset:
    """Load the 382 JSB chorales, split 229/76/77 as by Boulanger-Lewandowski et al. (2012).

    Four voices on a grid of sixteenths: soprano is voice 0, bass 3. The file has no marks for
    held notes, so a pitch that is repeated is one long note here; the scores have no metre and
    no key either. ``meta["source"]`` is ``jsb/train/0`` and so on, ``meta["split"]`` the split.

    Parameters
    ----------
    download : bool
        Get the file if it isn't there. Nothing is downloaded without asking.

    Raises
    ------
    FileNotFoundError
        If the file isn't there; the message says where to get it and where to put it.
    ValueError
        If the file isn't the published one.
    """
    content = _load(SIXTEENTHS, download)
    splits: dict[str, list[Score]] = {split: [] for split in SPLITS}
    for split, scores in splits.items():
        for i, steps in enumerate(content[split]):
            meta = {"source": f"jsb/{split}/{i}", "split": split}
            scores.append(_score(np.array(steps, int).T, meta))
    return Dataset("jsb", **splits)


def jsb_frames(download: bool = False) -> dict[str, list[list[tuple[int, ...]]]]:
    """Load the JSB chorales as frames of a quarter note, in which results are published.

    Returns
    -------
    dict of split to pieces
        A piece is a list of frames, a frame the tuple of MIDI pitches that sound on the beat,
        ascending: one to four of them, or none.

    Raises
    ------
    FileNotFoundError, ValueError
        As `jsb` does.
    """
    content = _load(QUARTERS, download)
    return {split: [[tuple(f) for f in piece] for piece in content[split]] for split in SPLITS}


def _load(name: str, download: bool) -> dict[str, list]:
    path = files.find(name)
    if path is None:
        place = files.data_folder() / "jsb" / name
        if not download:
            raise FileNotFoundError(
                f"{name} isn't here. Download {ADDRESS + name} and put it at {place}, or call "
                "again with download=True. (MLMUSIC_DATA chooses the folder.)"
            )
        path = files.download(ADDRESS + name, place, SHA256[name])
    return json.loads(files.verified(path, SHA256[name]))


def _score(pitches: np.ndarray, meta: dict[str, str]) -> Score:
    """Turn sounding pitches, shape (4, sixteenths), -1 in silence, into notes."""
    changed = np.diff(pitches, axis=1, prepend=REST) != 0
    rows = []
    for voice in range(len(pitches)):
        starts = np.flatnonzero(changed[voice])
        ends = np.append(starts[1:], pitches.shape[1])
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            pitch = int(pitches[voice, start])
            if pitch >= 0:
                rows.append((start / 4, (end - start) / 4, pitch, 80, voice))
    return Score(rows, meta=meta)
