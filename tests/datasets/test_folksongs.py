"""The folk songs: what COURSE's facts say of them, and the labels read from German words."""

import sys
from collections import Counter

import pytest

from mlmusic import datasets
from mlmusic.datasets import base, cache
from mlmusic.score import Score

folksongs_module = sys.modules["mlmusic.datasets.folksongs"]  # the name itself is the function


@pytest.fixture(scope="module")
def folksongs():
    return datasets.folksongs()


def test_counts(folksongs):
    assert len(folksongs) == 8514
    assert [len(folksongs[split]) for split in base.SPLITS] == [6850, 840, 824]
    assert all(score.voices == [0] and score.title for score in folksongs.all)


def test_labels(folksongs):
    moods = Counter(score.meta.get("mood") for score in folksongs.all)
    assert (moods["lament"], moods["merry"]) == (1350, 948)
    regions = Counter(score.meta.get("region") for score in folksongs.all)
    assert regions["China"] == 1217
    assert regions.most_common(1)[0][0] == "Deutschland"
    collections = Counter(score.meta["collection"] for score in folksongs.all)
    assert len(collections) == 15
    assert (collections["erk"], collections["han"], collections["folkHaydn"]) == (1781, 1224, 50)
    assert sum("genre" in score.meta for score in folksongs.all) > 8400


def test_keys_name_no_mode(folksongs):
    assert all(mode == "" for score in folksongs.all for _, _, mode in score.key)
    assert all(-7 <= score.key[0][1] <= 7 for score in folksongs.all)


def test_scores_are_valid(folksongs):
    for score in folksongs.all:
        fields = {name: getattr(score, name) for name in ("tempo", "metre", "key", "programs")}
        assert Score(score.notes, **fields, title=score.title, lyrics=score.lyrics) == score


def test_free_metre_keeps_its_bars(folksongs):
    song = folksongs.piece("altdeu10#2")
    assert song.metre[:3] == [(0.0, 6, 4), (6.0, 12, 4), (18.0, 8, 4)]
    assert song.bar_lines[:4].tolist() == [0, 6, 18, 26]


def test_content_is_the_one_that_the_card_names():
    packed = cache.pack(folksongs_module.build())
    assert cache.checksum(packed) == folksongs_module.SHA256
    assert folksongs_module.SHA256 in base.card("folksongs")


@pytest.mark.parametrize(
    ("origin", "region"),
    [
        ("Europa, Mitteleuropa, Deutschland, Schwaben", "Deutschland"),
        ("Europa, Mitteleuropa, Deutschland; Frankreich, Elsass", "Deutschland"),
        ("Mitteleuropa, Deutschland / Polen, Schlesien", "Deutschland"),
        ("China, Shaanxi, Zizhou", "China"),
        ("Luxemburg", "Luxemburg"),
        ("Asien, Ostasien, China", "Ostasien"),
        ("Europa", ""),
        ("", ""),
    ],
)
def test_region(origin, region):
    assert folksongs_module.region(origin) == region


@pytest.mark.parametrize(
    ("genre", "mood"),
    [
        ("Liebes - Lied, Leid, Klage", "lament"),
        ("Tanz - Lied", "merry"),
        ("Scherz - Lied, Tod", None),
        ("Romanze", None),
        ("", None),
    ],
)
def test_mood(genre, mood):
    assert folksongs_module.mood(genre) == mood
