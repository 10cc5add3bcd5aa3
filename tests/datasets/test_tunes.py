"""The tunes: what COURSE's facts say of them, and that no melody stands in two splits."""

import importlib.util
import re
import sys
from collections import Counter, defaultdict

import pytest

from mlmusic import datasets
from mlmusic.datasets import base, cache, melodies
from mlmusic.score import Score

tunes_module = sys.modules["mlmusic.datasets.tunes"]  # the name itself is the function


@pytest.fixture(scope="module")
def tunes():
    return datasets.tunes()


@pytest.fixture(scope="module")
def folksongs():
    return datasets.folksongs()


def test_counts(tunes):
    assert len(tunes) == 4248
    assert [len(tunes[split]) for split in base.SPLITS] == [3353, 441, 454]
    books = Counter(score.meta["book"] for score in tunes.all)
    assert books == {"Ryan's": 1059, "O'Neill's": 2009, "Aird's": 1180}
    types = Counter(score.meta.get("type") for score in tunes.all)
    assert (types["reel"], types["jig"], types["hornpipe"]) == (715, 514, 464)
    assert types[None] == 2312
    assert sum(len(score.voices) > 1 for score in tunes.all) == 11


def test_titles(tunes):
    def name(score):  # without the type that Ryan's adds, an article, case and punctuation
        title = re.sub(r"^(the|an?) ", "", score.title.lower().split(" -- ")[0])
        return re.sub(r"[^a-z0-9]", "", title)

    books = defaultdict(set)
    for score in tunes.all:
        assert score.title
        books[name(score)].add(score.meta["book"])
    assert sum(len(found) > 1 for found in books.values()) == 108


def test_scores_are_valid_and_labelled(tunes):
    for score in tunes.all:
        fields = {name: getattr(score, name) for name in ("tempo", "metre", "key", "programs")}
        assert Score(score.notes, **fields, title=score.title, lyrics=score.lyrics) == score
        assert set(score.programs.values()) == {40}
        assert score.meta.keys() >= {"source", "book", "group", "split"}
        assert 30 <= score.tempo[0][1] <= 360
    assert len({score.meta["source"] for score in tunes.all}) == 4248


def test_no_melody_stands_in_two_splits(tunes, folksongs):
    scores = tunes.all + folksongs.all
    for key in (
        lambda score: score.meta["group"],
        lambda score: tuple(interval for interval, _ in melodies.steps(score)),
        lambda score: tuple(melodies.steps(score)),
    ):
        splits = defaultdict(set)
        for score in scores:
            splits[key(score)].add(score.meta["split"])
        assert all(len(found) == 1 for found in splits.values())


def test_duplicates_up_to_transposition(tunes, folksongs):
    same = Counter(
        tuple(interval for interval, _ in melodies.steps(score))
        for score in tunes.all + folksongs.all
    )
    assert sum(count for count in same.values() if count > 1) == 790
    groups = Counter(score.meta["group"] for score in tunes.all + folksongs.all)
    assert max(groups.values()) == 10
    assert sum(count for count in groups.values() if count > 1) == 2971


def test_splits_table_is_what_build_writes():
    path = base.shipped("tunes", "build.py")
    spec = importlib.util.spec_from_file_location("build_tunes", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, rows in module.tables().items():
        table = base.read_splits(name)
        assert [(row["source"], int(row["group"]), row["split"]) for row in table] == rows


def test_content_is_the_one_that_the_card_names_cached_or_built(tunes):
    built = list(tunes_module.build())
    assert cache.checksum(cache.pack(built)) == tunes_module.SHA256
    assert tunes_module.SHA256 in base.card("tunes")
    built = base.Dataset.from_scores("tunes", built)
    for ours, theirs in zip(tunes.all, built.all, strict=True):
        assert ours == theirs
        assert ours.meta == theirs.meta


# Melody groups ------------------------------------------------------------------------------


def _melody(pitches, length=0.5):
    return Score([(i * length, length, p) for i, p in enumerate(pitches)])


SONG = [60, 62, 64, 65, 67, 65, 64, 62, 60, 67, 72, 71, 69, 67, 65, 64, 62, 64, 60, 59, 60]


def test_steps_know_no_key_and_no_note_values():
    steps = melodies.steps(_melody(SONG))
    assert steps == melodies.steps(_melody([p + 5 for p in SONG], length=0.25))
    assert steps[:2] == [(2, 0), (2, 0)]
    assert melodies.steps(Score([(0, 1, 60), (1, 2, 62), (3, 1, 59)])) == [(2, 12), (-3, -12)]
    assert melodies.steps(Score([(0, 1, 60), (0, 1, 64), (1, 1, 65)])) == [(1, 0)]  # top of a chord
    assert melodies.steps(Score([(0, 1, 60)])) == []


def test_groups():
    other = [70, 69, 72, 60, 65, 64, 71, 60, 62, 60, 61, 62, 75, 62, 69, 60, 61, 62, 63, 71]
    trill = [60, 62] * 20
    found = [SONG, other, SONG[2:] + other[:3], [p + 7 for p in other], trill, trill[:30]]
    assert melodies.group([melodies.steps(_melody(song)) for song in found]) == [0, 1, 0, 1, 4, 5]
    assert melodies.group([]) == []


def test_chain_of_melodies_is_one_group():
    a, b = SONG, [p + (i % 3) * 2 for i, p in enumerate(SONG)]
    link = [*a, *b]
    assert melodies.group([melodies.steps(_melody(song)) for song in (a, b, link)]) == [0, 0, 0]


# Mends --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("K:C\nA=\nB =3DB|=20\n", "K:C\nAB =B|\n"),
        ("K:C\nA=>B", "K:C\nA>B"),
        ("K: Bn\nA", "K:Bm\nA"),
        ("K: Es\nA", "K:Eb\nA"),
        ("K: H\nA", "K:B\nA"),
        ("M: FREI4/4\nK:C\nA", "M: 4/4\nK:C\nA"),
        ("M: 2/2]\nK:C\nA", "M: 2/2\nK:C\nA"),
        ("no field\nT:t\nK:C\nA", "T:t\nK:C\nA"),
        ("K:C\n: A B|c :]", "K:C\n|: A B|c :|"),
        ("K:C\n|}A +Ce+ + B ,C ^3abc 2A|[A2z2]", "K:C\n|A [Ce] B C (3abc A|[A2]"),
        ('K:C\nA:"end"[|]|]', 'K:C\nA:|"end"'),
    ],
)
def test_mends(text, mended):
    assert melodies.mend(text) == mended


def test_a_tune_to_look_at(tunes):
    reel = tunes.piece("ryansMammoth/AcaciaReel#1")
    assert (reel.meta["type"], reel.metre[0][1:]) == ("reel", (2, 4))
    assert reel.title == "Acacia -- Reel"
