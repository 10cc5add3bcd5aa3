"""The chorales: what COURSE's facts say of them, and that nothing leaks between splits."""

import importlib.util
import json
import sys
from collections import Counter, defaultdict

import numpy as np
import pytest

from mlmusic import datasets
from mlmusic.datasets import base, cache, download
from mlmusic.score import Score

chorales_module = sys.modules["mlmusic.datasets.chorales"]  # the name itself is the function


@pytest.fixture(scope="module")
def chorales():
    return datasets.chorales()


@pytest.fixture(scope="module")
def build():
    path = base.shipped("chorales", "build.py")
    spec = importlib.util.spec_from_file_location("build_chorales", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_counts(chorales):
    assert len(chorales) == len(chorales.all) == 365
    assert [len(chorales[split]) for split in base.SPLITS] == [127, 70, 168]
    assert sum(len(score) for score in chorales.all) == 84_910
    assert all(score.voices == [0, 1, 2, 3] for score in chorales.all)
    assert all(score.duration > 0 and score.title for score in chorales.all)


def test_facts(chorales):
    scores = chorales.all
    assert sum(bool(score.meta["fermatas"]) for score in scores) == 364
    assert sum(bool(score.lyrics) for score in scores) == 320
    assert {voice for score in scores for voice in score.lyrics} == {0}
    assert Counter(score.meta["mode"] for score in scores).keys() == {"major", "minor", ""}
    onsets = np.concatenate([score.notes["onset"] for score in scores])
    ends = onsets + np.concatenate([score.notes["duration"] for score in scores])
    off_grid = (onsets * 4 % 1 != 0) | (ends * 4 % 1 != 0)
    assert off_grid.sum() == 10


def test_voices_are_soprano_to_bass(chorales):
    means = np.array(
        [
            [score.notes["pitch"][score.notes["voice"] == voice].mean() for voice in range(4)]
            for score in chorales.all
        ]
    )
    assert (np.diff(means.mean(axis=0)) < -4).all()
    assert chorales.train[0].meta["parts"] == ["Soprano", "Alto", "Tenor", "Bass"]


def test_a_piece_that_one_can_check_on_paper(chorales):
    score = chorales.piece("bwv66.6")
    assert (score.meta["key"], score.meta["metre"]) == ("F# minor", "4/4")
    assert score.metre == [(1.0, 4, 4)]
    assert score.key == [(0.0, 3, "minor")]
    assert len(score.bar_lines) - 1 == 10  # the pickup and nine bars, the last of three beats
    assert score.meta["fermatas"][:3] == [3.0, 7.0, 11.0]


def test_phrases_end_on_bars_that_are_counted_right(chorales):
    """Every fermata's onset lies on the eighth-note grid counted from its own bar line."""
    for score in chorales.all:
        lines = score.bar_lines
        assert (np.diff(lines) > 0).all()
        for onset in score.meta["fermatas"]:
            assert (onset - lines[lines <= onset][-1]) % 0.5 == 0, score


def test_the_cached_scores_equal_the_files(chorales):
    corpus = base.corpus_folder()
    for score in chorales.all[::40]:
        read = chorales_module.read_one(corpus, score.meta["source"])
        assert read == score
        assert read.meta.items() <= score.meta.items()


def test_the_checksum_is_the_one_in_the_card():
    assert chorales_module.SHA256 in base.card("chorales")


def test_the_content_is_the_one_that_the_course_was_written_with(recwarn):
    datasets.chorales()
    assert [str(w.message) for w in recwarn if "content differs" in str(w.message)] == []


def test_loading_imports_neither_music21_nor_torch():
    import subprocess

    code = (
        "import sys; from mlmusic import datasets; assert len(datasets.chorales()) == 365; "
        "assert not {'music21', 'torch', 'pretty_midi', 'tqdm'} & set(sys.modules)"
    )
    datasets.chorales()
    subprocess.run([sys.executable, "-c", code], check=True)


# Splits ---------------------------------------------------------------------------------------


def test_no_melody_stands_in_two_splits(chorales):
    splits = defaultdict(set)
    for split in base.SPLITS:
        for score in chorales[split]:
            splits[score.meta["group"]].add(split)
    assert len(splits) == 205
    assert all(len(found) == 1 for found in splits.values())


def first_intervals(score, count=15):
    soprano = score.notes["pitch"][score.notes["voice"] == 0].astype(int)
    return tuple(np.diff(soprano[:count]))


def test_the_first_15_soprano_notes_never_return_in_another_split(chorales):
    splits = defaultdict(list)
    for split in base.SPLITS:
        for score in chorales[split]:
            splits[first_intervals(score)].append(split)
    assert sum(len(found) for found in splits.values() if len(found) > 1) == 138
    assert all(len(set(found)) == 1 for found in splits.values())


def test_settings_that_hide_their_melody_are_found(chorales):
    """The Passion chorale in five keys, and one with a walking soprano."""
    group = chorales.piece("bwv244.15").meta["group"]
    for source in ("bwv244.17", "bwv244.44", "bwv244.54", "bwv244.62", "bwv270", "bwv271"):
        assert chorales.piece(source).meta["group"] == group


def test_a_melody_is_the_same_in_another_key_and_rhythm_but_another_one_is_not(build):
    pitches = [60, 62, 64, 65, 67, 65, 64, 62, 60, 67, 65, 64, 62, 64, 60, 59, 60, 62]
    tune = Score([(i, 1, p) for i, p in enumerate(pitches)])
    slower = Score([(i * 1.5, 1.5, p) for i, p in enumerate(pitches)])
    other = Score([(i, 1, p) for i, p in enumerate(np.random.default_rng(0).integers(55, 75, 18))])
    assert build.melody_groups([tune, other, tune.transpose(5), slower]) == [0, 1, 0, 0]


def test_a_group_on_several_sides_is_held_out_as_a_whole(build):
    groups = [0, 0, 1, 1, 2, 2, 3]
    sides = ["train", "test", "valid", "train", "valid", "test", "train"]
    expected = ["test", "test", "valid", "valid", "test", "test", "train"]
    assert build.splits(groups, sides) == expected


needs_jsb = pytest.mark.skipif(
    download.find("Jsb16thSeparated.json") is None,
    reason="needs Jsb16thSeparated.json under MLMUSIC_DATA",
)


def bars(pitches):
    """All stretches of eight eighths in four voices, relative to the first soprano."""
    eighths = pitches[:, ::2]
    windows = [eighths[:, i : i + 8] for i in range(eighths.shape[1] - 7)]
    return {(window - window[0, 0]).tobytes() for window in windows if (window >= 0).all()}


@needs_jsb
@pytest.mark.parametrize("split", ["melody", "jsb"])
def test_no_training_piece_is_one_that_jsb_tests_or_validates_on(split):
    """A measure of its own, on eighths: pieces that are alike share nearly all of their bars."""
    published = json.loads(download.find("Jsb16thSeparated.json").read_bytes())
    held_out = []
    for steps in published["valid"] + published["test"]:
        pitches = np.array(steps).T
        held_out.append((bars(pitches) | bars(pitches[:, 1:]), len(bars(pitches))))
    highest = 0.0
    for score in datasets.chorales(split=split).train:
        ours = bars(sounding(score))
        for theirs, size in held_out:
            highest = max(highest, len(ours & theirs) / max(1, min(len(ours), size)))
    assert highest < 0.25


def sounding(score):
    """Pitches on every sixteenth, shape (4, steps)."""
    times = np.arange(0, score.duration, 0.25)
    pitches = np.full((4, len(times)), -1)
    for onset, duration, pitch, _, voice in score.notes.tolist():
        pitches[voice, (times >= onset) & (times < onset + duration)] = pitch
    return pitches


@needs_jsb
def test_the_table_is_rebuilt_bit_by_bit(build, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(build, "TABLE", tmp_path / "splits.csv")
    build.main()
    shipped = base.shipped("chorales", "splits.csv")
    assert (tmp_path / "splits.csv").read_bytes() == shipped.read_bytes()
    assert capsys.readouterr().out == f"SHA256 = {chorales_module.SHA256!r}\n"


def test_the_jsb_split_has_more_to_train_on():
    split = datasets.chorales(split="jsb")
    assert [len(split[name]) for name in base.SPLITS] == [224, 67, 74]
    assert all(score.meta["jsb"] == "test" for score in split.test)


# Errors and the card --------------------------------------------------------------------------


def test_unknown_names_are_named(chorales):
    with pytest.raises(ValueError, match="no split 'random' of the chorales"):
        datasets.chorales(split="random")
    with pytest.raises(KeyError, match="no split 'dev': chorales has train, valid, test"):
        chorales["dev"]
    with pytest.raises(
        KeyError, match="no piece 'bwv9999' in chorales; there is, for example, bach/bwv"
    ):
        chorales.piece("bwv9999")
    with pytest.raises(AttributeError, match=r"no data set 'nottingham'; .* has .*chorales"):
        datasets.nottingham  # noqa: B018


def test_a_corpus_without_the_file_says_what_to_do(tmp_path):
    (tmp_path / "bach").mkdir()
    with pytest.raises(FileNotFoundError, match=r"has no bach/bwv66.6: reinstall music21"):
        chorales_module.read_one(tmp_path, "bach/bwv66.6")


def test_no_music21(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install music21"):
        base.corpus_folder()


def test_describe_prints_the_card(chorales, capsys):
    chorales.describe()
    short = capsys.readouterr().out
    assert "Margaret Greentree" in short and "Known flaws" in short
    assert "Rebuild" not in short and "](" not in short
    chorales.describe(full=True)
    card = capsys.readouterr().out
    assert card.startswith("# Chorales")
    for word in ("Margaret Greentree", "127 train", "Known flaws", "Rebuild", "84,910"):
        assert word in card


def test_pieces_are_found_however_they_are_written(chorales):
    assert chorales.piece("BWV 359") is chorales.piece("bach/bwv359")


def test_a_loop_must_name_its_split(chorales):
    with pytest.raises(TypeError, match="loop over a split of chorales, such as .train"):
        list(chorales)


def test_repr(chorales):
    assert repr(chorales) == (
        "Dataset('chorales': 127 train, 70 valid, 168 test; .describe() shows the card)"
    )


def test_cards_are_found_in_a_wheel_too(tmp_path, monkeypatch):
    package = tmp_path / "mlmusic" / "datasets"
    package.mkdir(parents=True)
    monkeypatch.setattr(base, "__file__", str(package / "base.py"))
    with pytest.raises(FileNotFoundError, match="missing from this installation"):
        base.card("chorales")
    data = tmp_path / "mlmusic" / "_data" / "chorales"
    data.mkdir(parents=True)
    (data / "README.md").write_text("# Shipped")
    assert base.card("chorales") == "# Shipped"


def test_a_fresh_build_shows_progress(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLMUSIC_CACHE", str(tmp_path))
    rows = base.read_splits("chorales")[:3]
    with pytest.warns(UserWarning):
        scores = cache.load("few", lambda: chorales_module.read(rows), sha256="x", total=3)
    assert len(scores) == 3
    assert "Reading few, once: 100%" in capsys.readouterr().err
