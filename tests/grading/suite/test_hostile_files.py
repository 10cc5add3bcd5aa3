"""Files that attack: bombs, metadata, texts, names, links, and zips full of them."""

import os
import socket
import stat
import unicodedata
import zipfile

import pytest

from . import assignment
from .attacks_on_files import CASES
from .building import NOTHING, dump, empty, right
from .harmless import harm_in_page, harm_in_table
from .running import Run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows doesn't allow such names")

LINKS = ("the solution", "zero", "pipe", "folder", "loop", "socket")  # none is a notebook


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory):
    """All hostile files, odd things that aren't files, a hostile zip, and a right notebook."""
    folder = tmp_path_factory.mktemp("hostile")
    submissions = folder / "submissions"
    submissions.mkdir()
    for case in CASES:
        (submissions / case.file).write_bytes(case.make())
    (submissions / "zz right.ipynb").write_bytes(dump(right()))
    odd = dict(zip(LINKS, (submissions / f"{name}.ipynb" for name in LINKS), strict=True))
    odd["the solution"].symlink_to(folder / "source" / f"{assignment.NAME}.ipynb")
    odd["zero"].symlink_to("/dev/zero")
    os.mkfifo(odd["pipe"])
    odd["folder"].mkdir()
    odd["loop"].symlink_to(odd["loop"])
    here = os.getcwd()
    os.chdir(submissions)  # a socket's path must be short
    try:
        socket.socket(socket.AF_UNIX).bind("socket.ipynb")
    finally:
        os.chdir(here)
    write_zip(folder / "class.zip", folder)
    return Run(folder, submissions, str(folder / "class.zip"), "--jobs", "2").wait()


def write_zip(path, folder):
    """Write a zip in which nearly everything is wrong."""
    solved, unsolved = dump(right()), dump(empty())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("from the zip.ipynb", solved)
        made.writestr("../../out/grades.ipynb", unsolved)
        made.writestr("../up.ipynb", unsolved)
        made.writestr(f"{folder}/absolute.ipynb", unsolved)
        made.writestr("C:\\windows.ipynb", unsolved)
        made.writestr("twice.ipynb", unsolved)
        with pytest.warns(UserWarning, match="Duplicate name"):
            made.writestr("twice.ipynb", unsolved)
        link = zipfile.ZipInfo("link.ipynb")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(link, str(folder / "source" / f"{assignment.NAME}.ipynb"))
        with made.open("bomb.ipynb", "w", force_zip64=True) as bomb:
            for _ in range(1000):
                bomb.write(bytes(1_000_000))
        made.writestr("broken.ipynb", unsolved)
        made.writestr("inner.zip", b"PK\x03\x04 not really")
    data = bytearray(path.read_bytes())
    at = data.index(b"broken.ipynb") + len("broken.ipynb")
    data[at + 20 : at + 40] = bytes(20)  # inside of its compressed data
    path.write_bytes(data)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hostile_file_gains_nothing(hostile_run, case):
    submission = next(
        name for name, result in hostile_run.results.items() if is_of(result, case.submission)
    )
    assert hostile_run.scores(submission, case.scores) == dict(case.scores)
    assert sum(hostile_run.scores(submission, NOTHING).values()) == 0


def is_of(result, submission):
    """Tell whether a result belongs to a file; a name with control characters shows none."""
    shown = "".join("\ufffd" if unicodedata.category(c) == "Cc" else c for c in submission)
    return result["submission"] == shown


def test_right_notebooks_among_them_are_full(hostile_run):
    for name in ("zz right", "from the zip"):
        assert hostile_run.scores(name, assignment.FULL) == assignment.FULL, hostile_run.why(name)


def test_nobody_hands_in_a_link_to_the_solution(hostile_run):
    full = [name for name, row in hostile_run.rows.items() if float(row["score"]) > 0]
    assert sorted(full) == ["from the zip", "zz right"]


@pytest.mark.parametrize("name", ["twice", "bomb", "broken", "up", "absolute", *LINKS])
def test_what_is_no_notebook_is_no_more_than_a_flag(hostile_run, name):
    rows = [row for row in hostile_run.rows.values() if name in row["submission"]]
    assert all(float(row["score"]) == 0 for row in rows)
    if name in ("bomb", "broken"):
        assert "unreadable" in hostile_run.flags(name)


def test_nothing_is_written_outside(hostile_run):
    folder = hostile_run.out.parent
    found = {path.name for path in folder.iterdir()}
    assert found == {"source", "submissions", "class.zip", "out", "tmp", "said.txt"}
    assert not list((folder / "tmp").iterdir())
    assert not (folder.parent / "up.ipynb").exists()


def test_formulas_in_tables_are_flagged(hostile_run):
    """A name is a key, which other programs look up: it stays as it is, and gets a flag."""
    harm = set(harm_in_table(hostile_run.out / "grades.csv"))
    harm |= set(harm_in_table(hostile_run.out / "flags.csv"))
    assert harm
    for name in harm:
        assert name in hostile_run.rows, "only names are left as they are"
        assert any(
            row["submission"] == name and row["flag"] == "name"
            for row in hostile_run.table("flags.csv")
        )


def test_nothing_moves_the_cursor(hostile_run):
    assert "\x1b" not in hostile_run.said
    for name in ("grades.csv", "flags.csv"):
        assert "\x1b" not in (hostile_run.out / name).read_text(encoding="utf-8"), name


def test_pages_run_nothing_of_a_student(hostile_run):
    assert any("alert(7041)" in page for page in hostile_run.pages.values()), "shown as text"
    for name, page in hostile_run.pages.items():
        assert harm_in_page(page, "7041") == [], name
        assert "\x1b" not in page, name


def test_checker_of_pages_finds_harm():
    for page in (
        "<script>alert(7041)</script>",
        "<img src=x onerror=alert(7041)>",
        "<a href=' JavaScript:alert(7041)'>x</a>",
        "<iframe srcdoc='<script>alert(7041)</script>'>",
        "<meta http-equiv=refresh content='0;url=http://127.0.0.1/'>",
        "<img src=http://127.0.0.1/x>",
    ):
        assert harm_in_page(page, "7041"), page
    assert harm_in_page("<p>&lt;script&gt;alert(7041)&lt;/script&gt;</p>", "7041") == []


def test_checker_of_tables_finds_formulas(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('a,=1+1,-2.5\n"@x","+1",3\n', encoding="utf-8")
    assert harm_in_table(path) == ["=1+1", "@x", "+1"]
