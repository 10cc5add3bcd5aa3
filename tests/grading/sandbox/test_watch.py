"""What a student's processes use is seen, and their files are wiped whatever they look like."""

import os
import sys
import threading

import pytest

from mlmusic.grading.sandbox import watch

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def test_wiping_leaves_nothing_and_touches_nothing_else(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("precious")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("x")
    (folder / "lifted-0").mkdir()  # a name that wiping itself would use
    (folder / "lifted-1").write_text("x")
    (folder / "a\nb ü").mkdir()
    (folder / "link").symlink_to(outside)
    (folder / "dangling").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    (folder / "closed" / "inner").mkdir(parents=True)
    (folder / "closed" / "inner" / "link").symlink_to(outside)
    os.link(outside / "kept", folder / "closed" / "hard")
    (folder / "closed" / "inner").chmod(0)
    (folder / "closed").chmod(0)
    watch.wipe(str(folder))
    assert os.listdir(folder) == []
    assert (outside / "kept").read_text() == "precious"
    assert os.listdir(outside) == ["kept"]


def test_wiping_is_not_stopped_by_depth(tmp_path):
    before = os.getcwd()
    try:
        os.chdir(tmp_path)
        for _ in range(30):  # 7,500 characters: no path reaches the end
            os.mkdir("d" * 250)
            os.chdir("d" * 250)
    finally:
        os.chdir(before)
    assert watch.files(str(tmp_path))[0] > 1 << 60  # too deep to be counted
    watch.wipe(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_files_are_counted(tmp_path):
    assert watch.files(str(tmp_path)) == (0, 0)
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "big").write_bytes(os.urandom(100_000))
    (tmp_path / "link").symlink_to("/usr")
    size, count = watch.files(str(tmp_path))
    assert count == 4 and 100_000 <= size < 130_000
    if os.geteuid() != 0:  # root looks into everything
        (tmp_path / "a").chmod(0)
        assert watch.files(str(tmp_path))[0] > 1 << 60
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0
        (tmp_path / "a").chmod(0o700)
    assert watch.files(str(tmp_path / "missing")) == (0, 0)


def test_a_snapshot_comes_back(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    (first / "data" / "empty").mkdir(parents=True)
    (first / "data" / "a.npy").write_bytes(bytes(range(256)))
    (first / "b.txt").write_text("x")
    (first / "link").symlink_to("/etc")
    second.mkdir()
    watch.restore(str(second), watch.snapshot(str(first)))
    assert sorted(str(p.relative_to(second)) for p in second.rglob("*")) == [
        "b.txt",
        "data",
        "data/a.npy",
        "data/empty",
    ]
    assert (second / "data" / "a.npy").read_bytes() == bytes(range(256))


@linux_only
def test_removed_files_that_are_still_held_count(tmp_path):
    import mmap

    me, folder = os.getpid(), str(tmp_path)
    assert watch.unlinked(me, folder, 1000) == 0
    path = tmp_path / "gone"
    with path.open("w+b") as file:
        file.write(bytes(50_000))
        file.flush()
        mapped = mmap.mmap(file.fileno(), 4096)
        assert watch.unlinked(me, folder, 1000) == 0
        path.unlink()
        assert watch.unlinked(me, folder, 1000) >= 50_000
    for name in os.listdir("/proc/self/fd"):  # mmap has kept one
        if os.path.realpath(f"/proc/self/fd/{name}").startswith(folder):
            os.close(int(name))
    assert watch.unlinked(me, folder, 1000) == 1000  # only mapped: its size can't be seen
    mapped.close()
    assert watch.unlinked(me, folder, 1000) == 0


@linux_only
def test_processes_threads_and_memory_are_seen():
    me = os.getpid()
    child = os.fork()
    if child == 0:
        threading.Event().wait(30)
        os._exit(0)
    try:
        assert child in watch.children(me) and me not in watch.children(me)
        assert child in watch.everybody() and me not in watch.everybody()
        assert watch.threads([child]) == 1
        before = watch.memory([me])
        block = bytearray(b"x") * (50 << 20)
        assert (45 << 20) < watch.memory([me]) - before < (60 << 20)
        del block
        both = watch.memory([me, child])
        shared = watch.memory([me, child], shared_once=True)
        assert shared < 0.8 * both  # a fork shares nearly everything
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert watch.memory([child]) == watch.threads([child]) == 0
    assert child not in watch.children(me)
