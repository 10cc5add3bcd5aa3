"""What the system says about a file, in words that tell what to do."""

import errno
import os
from pathlib import Path

import pytest

from mlmusic.grading import files
from mlmusic.grading.wording import check_folder, in_words


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOENT, "there is no file or folder a.csv: check the name"),
        (errno.EACCES, "you may not read or write a.csv: change its permissions or choose another"),
        (errno.EPERM, "you may not read or write a.csv"),
        (errno.ENOSPC, "the disk of a.csv is full: make room, then run the same command again"),
        (errno.EROFS, "the disk of a.csv can't be written to"),
        (errno.EIO, "a.csv: input/output error"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", b"a.csv", Path("a.csv")])
def test_errors_in_words(number, message, name):
    assert in_words(OSError(number, os.strerror(number), name)).startswith(message)


def test_other_errors_are_one_line():
    assert in_words(ValueError("two\n  lines")) == "two lines"
    assert in_words(FileNotFoundError("there is no source")) == "there is no source"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do all")
def test_a_folder_without_the_right_to_write(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ValueError, match="may not write into the folder .*: choose another -o"):
        check_folder(tmp_path / "new", "-o")


def test_a_folder_without_the_right_to_write_as_the_system_says(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ValueError) as error:
        check_folder(tmp_path / "new" / "folder", "-o")
    assert str(error.value) == f"you may not write into the folder {tmp_path}: choose another -o"


def test_a_file_that_cannot_be_written_is_named_by_its_own_name(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "none" / "file", tmp_path / ("x" * 300)):
        with pytest.raises(OSError) as error:
            files.write(path, b"")
        assert str(path) in in_words(error.value) and ".part" not in in_words(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
