"""The cache: exact, whole or absent, and honest about what it finds."""

import errno
import os
import re
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from mlmusic.datasets import cache
from mlmusic.score import Score

SCORES = [
    Score(
        [(0, 1, 60, 90, 0), (0.5, 1 / 3, 64, 80, 1)],
        tempo=[(0, 96), (2, 60.5)],
        metre=[(1, 3, 4)],
        key=[(0, -3, "minor")],
        programs={0: 52, 1: 128},
        title="Größe\n“ü”",
        lyrics={1: [(0.5, "Aus-")], 0: [(0.0, "me"), (0.25, "")]},
        meta={"source": "a/1", "fermatas": [0.5], "number": 3},
    ),
    Score([], meta={"source": "a/2", "only here": True}),
    Score([(0, 1, 60)], title="Größe\n“ü”", tempo=[(0, 96), (2, 60.5)], meta={"source": "a/3"}),
]
SHA256 = cache.checksum(cache.pack(SCORES))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MLMUSIC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def never():
    raise AssertionError("the cache should have been used")


def load(build=lambda: iter(SCORES), sha256=SHA256):
    return cache.load("made", build, sha256=sha256, total=len(SCORES))


def assert_same(scores):
    assert scores == SCORES
    assert [score.meta for score in scores] == [score.meta for score in SCORES]
    assert [list(score.lyrics) for score in scores] == [list(score.lyrics) for score in SCORES]


def test_all_fields_survive_and_the_second_load_builds_nothing(folder):
    built = load()
    assert_same(built)
    assert_same(load(never))
    assert [path.name for path in folder.iterdir()] == [f"made-{SHA256[:16]}.npz"]
    assert all(type(x) is tuple for x in built[0].tempo + built[0].metre + built[0].key)


def test_no_scores_at_all():
    assert cache.unpack(cache.pack([])) == []


def test_scores_share_nothing_that_can_change():
    first, _, third = load()
    first.tempo.append((9.0, 1.0))
    first.meta["fermatas"].append(9)
    assert third.tempo == SCORES[2].tempo
    with pytest.raises(ValueError, match="read-only"):
        first.notes["pitch"] = 0


def test_the_checksum_is_a_constant():
    """The format of the canonical arrays is part of every committed checksum."""
    expected = "2594acf72c31107a2bfd6b85470fccb6562c91857ab27001ec311c88321dd382"
    assert expected == SHA256


@pytest.mark.parametrize("change", ["notes", "labels", "lyrics", "order"])
def test_the_checksum_sees_every_change(change):
    arrays = {name: array.copy() for name, array in cache.pack(SCORES).items()}
    if change == "notes":
        arrays["notes"]["velocity"][0] += 1
    elif change == "labels":
        arrays["index"][0, 0] += 1
    elif change == "lyrics":
        arrays["lyric_onsets"][0] = np.nextafter(arrays["lyric_onsets"][0], 9)
    else:
        arrays = cache.pack(SCORES[::-1])
    assert cache.checksum(arrays) != SHA256


def flip_a_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_byte,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no zip"),
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: np.savez(path, other=np.zeros(3)),
    ],
)
def test_a_damaged_cache_is_built_again_and_says_so_once(folder, damage, capsys):
    load()
    (path,) = folder.iterdir()
    good = path.read_bytes()
    damage(path)
    # Some bits of a zip file say nothing; whatever was flipped, the scores are right.
    assert_same(load())
    said = [line for line in capsys.readouterr().err.splitlines() if "damaged" in line]
    if path.read_bytes() == good:
        assert said == [f"{path} is damaged: building it again"]
    assert_same(load(never))


def test_other_content_than_expected_is_reported_each_time():
    for build in (lambda: iter(SCORES), never):
        with pytest.warns(UserWarning, match=r"made: the content differs .* music21 9.9 or 10.5"):
            assert_same(load(build, sha256="0" * 64))


@pytest.mark.parametrize("where", ["savez", "replace", "mkdir"])
def test_a_full_disk_costs_no_scores_and_leaves_nothing(folder, monkeypatch, capsys, where):
    def full(*args, **kwargs):
        if where == "savez":
            args[0].write(b"half a fi")
        raise OSError(errno.ENOSPC, "No space left on device")

    target = {"savez": (np, "savez"), "replace": (os, "replace"), "mkdir": (cache.Path, "mkdir")}
    with monkeypatch.context() as patch:
        patch.setattr(*target[where], full)
        assert_same(load())
    assert "can't cache" in capsys.readouterr().err
    assert not folder.exists() or list(folder.iterdir()) == []
    assert_same(load())
    assert_same(load(never))


def test_an_interrupted_build_leaves_nothing(folder):
    def build():
        yield SCORES[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(build)
    assert not folder.exists() or list(folder.iterdir()) == []


BUILDER = textwrap.dedent("""
    import sys, time
    import numpy as np
    from mlmusic.datasets import cache
    from tests.datasets.test_cache import SCORES, SHA256
    save = np.savez
    def slowly(file, **arrays):
        file.write(b"half a file"); file.flush()
        print("writing", flush=True)
        time.sleep(float(sys.argv[1]))
        file.seek(0); save(file, **arrays)
    np.savez = slowly
    scores = cache.load("made", lambda: iter(SCORES), sha256=SHA256)
    print(len(scores), flush=True)
""")


def start_builder(seconds):
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(seconds)], stdout=subprocess.PIPE, text=True
    )


def test_a_build_killed_while_it_writes_leaves_nothing_broken(folder):
    process = start_builder(60)
    assert process.stdout.readline() == "writing\n"
    process.kill()
    process.communicate()
    (part,) = folder.iterdir()
    assert part.suffix == ".part"
    assert_same(load())
    assert_same(load(never))
    # What the killed build left is swept away by a later build, when it is surely abandoned.
    os.utime(part, (0, time.time() - 7200))
    next(folder.glob("*.npz")).unlink()
    load()
    assert not part.exists()


def test_two_builds_at_once(folder):
    processes = [start_builder(0.2), start_builder(0.2)]
    assert [p.communicate()[0].split()[-1] for p in processes] == ["3", "3"]
    assert_same(load(never))
    assert [re.sub("-.*", "", path.name) for path in folder.iterdir()] == ["made"]


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("MLMUSIC_CACHE", "~/somewhere")
    assert cache.folder() == cache.Path.home() / "somewhere"
    monkeypatch.delenv("MLMUSIC_CACHE")
    assert "mlmusic" in str(cache.folder())
