"""The reader of Last.fm 2k, on files of our own in its format, whole and damaged."""

import numpy as np
import pytest

from mlmusic import datasets

HEADER = "userID\tartistID\tweight\n"


def written(path, text, newline="\n"):
    path.write_bytes(text.replace("\n", newline).encode())
    return path


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_file(tmp_path, newline, mark):
    text = mark + HEADER + "9\t52\t13883\n2\t51\t11690\n\n2\t52\t1\n"
    plays = datasets.lastfm(written(tmp_path / "user_artists.dat", text, newline))
    assert plays.users == [2, 9] and plays.items == [51, 52]
    assert plays.matrix("count").toarray().tolist() == [[11690, 1], [0, 13883]]
    assert plays.time is None


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["\t", " ", "\t\t ", "\r"])
def test_blanks_at_the_end_of_a_line(tmp_path, newline, end):
    text = HEADER.replace("\n", "\t\n") + f"9\t52\t13883{end}\n2\t51\t11690{end}"
    plays = datasets.lastfm(written(tmp_path / "f.dat", text, newline))
    assert plays.matrix("count").toarray().tolist() == [[11690, 0], [0, 13883]]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "row", ["4\t5", "4\t5\t", "4\t5\t\t", "4\t\t5", "4\t5\t6\t7\t", "\t4\t5\t6"]
)
def test_a_damaged_row_stays_damaged_whatever_the_line_end(tmp_path, newline, row):
    text = HEADER + f"1\t2\t3\t\n\n{row}\n"
    with pytest.raises(ValueError, match="f.dat, line 4: .* isn't three whole numbers"):
        datasets.lastfm(written(tmp_path / "f.dat", text, newline))


def test_only_a_header(tmp_path):
    assert len(datasets.lastfm(written(tmp_path / "f.dat", HEADER))) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.dat doesn't begin with the header"),
        ("1\t2\t3\n", "header userID<tab>artistID<tab>weight"),
        (HEADER.replace("\t", ","), "doesn't begin with the header"),
        (HEADER + "1\t2\t3\n4\t5\n", r"line 3: '4\\t5' isn't three whole numbers"),
        (HEADER + "1\t2\t3\t4\n", "line 2: .* isn't three whole numbers"),
        (HEADER + "1 2 3\n", "line 2"),
        (HEADER + "1\t2\tmany\n", "line 2"),
        (HEADER + "1\t2\t1.5\n", "line 2"),
        (HEADER + "1\t2\t0\n", "line 2: .* the weight at least 1"),
        (HEADER + "1\t-2\t5\n", "line 2: numbers must be at least 0"),
        (HEADER + "1\t2\t5\n3\t2\t5\n1\t2\t6\n", "line 4: user 1 and artist 2 stand in line 2"),
        (HEADER + "1\t2\t\x00\n", "line 2"),
        (HEADER + "1\t2\t3\n1\t3\t99999999999999999999\n", "line 3: a number is too large"),
    ],
)
def test_damaged_files_are_refused_with_the_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        datasets.lastfm(written(tmp_path / "f.dat", text))


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nothing.dat: user_artists"):
        datasets.lastfm(tmp_path / "nothing.dat")


def test_large_numbers_stay_exact(tmp_path):
    plays = datasets.lastfm(written(tmp_path / "f.dat", HEADER + "1\t2\t352698\n"))
    assert np.array_equal(plays.count, [352698])
