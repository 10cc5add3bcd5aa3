"""What students hand in is found in every shape that an instructor gets it in."""

import io
import os
import socket
import struct
import zipfile

import pytest

from mlmusic.grading.runs import finding
from mlmusic.grading.runs.collect import collect
from mlmusic.grading.runs.finding import Unreadable

NOTEBOOK = b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}'


def zipped(members):
    """Return a zip of names and contents; a dict is a zip in the zip."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, zipped(content) if isinstance(content, dict) else content)
    return data.getvalue()


@pytest.fixture(params=["folder", "zip"])
def hand_in(request, tmp_path):
    """Return a function that writes hand-ins into a folder or a zip, and names it."""

    def write(members):
        if request.param == "zip":
            (tmp_path / "class.zip").write_bytes(zipped(members))
            return tmp_path / "class.zip"
        for name, content in members.items():
            path = tmp_path / "class" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(zipped(content) if isinstance(content, dict) else content)
        return tmp_path / "class"

    return write


def rows(path, *more, **options):
    """Return (submission, student, attempt) of all hand-ins, and (student, kind) of all flags."""
    options.setdefault("assignment", "ps1")
    submissions, flags = collect([path, *more], **options)
    assert len({one.name for one in submissions}) == len(submissions)
    return [(s.name, s.student, s.attempt) for s in submissions], [(f[1], f[2]) for f in flags]


def test_plain_files_are_their_students(hand_in):
    names = [
        "ada.ipynb",
        "x (1).ipynb",
        "Copy of ada.ipynb",
        "=1+1.ipynb",
        "-rf.ipynb",
        "ADA2.IPYNB",
    ]
    names += ["أحمد.ipynb", "🎵.ipynb", "Zoe\u0308.ipynb", "safari.ipynb.txt", "week 1/bob.ipynb"]
    names += ["n" * 200 + ".ipynb"]
    found, flags = rows(hand_in(dict.fromkeys(names, NOTEBOOK)))
    stems = [n.rpartition("/")[2].replace(".ipynb.txt", "").replace(".ipynb", "") for n in names]
    stems[5] = "ADA2"
    assert found == [(stem, stem, None) for stem in sorted(stems)] and flags == []


def test_junk_is_ignored(hand_in):
    names = ["ada.ipynb", ".ipynb_checkpoints/ada-checkpoint.ipynb", "__MACOSX/._ada.ipynb"]
    names += ["._ada.ipynb", "~$ada.ipynb", ".git/bob.ipynb", ".notes.txt", "data/tune.mid"]
    names += ["plot.png", "Thumbs.db"]
    assert rows(hand_in(dict.fromkeys(names, NOTEBOOK))) == ([("ada", "ada", None)], [])


HIDDEN = "a hidden file, not graded: rename it if it should be"


def test_a_hidden_notebook_is_flagged(hand_in):
    members = dict.fromkeys(["ada.ipynb", ".bob.ipynb", "week 1/.cy.ipynb"], NOTEBOOK)
    submissions, flags = collect([hand_in(members)])
    assert [one.name for one in submissions] == ["ada"]
    assert flags == [
        ("", "", "unreadable", f".bob.ipynb: {HIDDEN}"),
        ("", "", "unreadable", f"week 1/.cy.ipynb: {HIDDEN}"),
    ]


def test_a_hidden_notebook_in_a_students_folder(hand_in):
    members = dict.fromkeys(["ada/ps1.ipynb", "ada/.ps1.ipynb", "bob/ps1.ipynb"], NOTEBOOK)
    members["cy/.ps1.ipynb"] = NOTEBOOK
    submissions, flags = collect([hand_in(members)], assignment="ps1")
    assert [(one.student, one.problem) for one in submissions] == [
        ("ada", None),
        ("bob", None),
        ("cy", ("unreadable", HIDDEN)),
    ]
    detail = "also handed in, and not looked at: .ps1.ipynb"
    assert flags == [("ada/ps1", "ada", "not a notebook", detail)]


def test_canvas(hand_in):
    names = {
        "lovelaceada_1234_900_ps1.ipynb": ("1234", "lovelaceada", None),
        "lovelaceada_1234_901_ps1-2.ipynb": ("1234", "lovelaceada", 2),
        "byrongeorge_LATE_77_902_My work.ipynb": ("77", "byrongeorge", None),
        "de_la_cruzjo_LATE_78_903_ps1.ipynb": ("78", "de_la_cruzjo", None),
        "أحمد_79_904_ps1.ipynb": ("79", "أحمد", None),
        "anon_aB3dE_905_ps1.ipynb": ("aB3dE", "", None),
        "LATE_anon_Zz9zZ_906_ps1-10.ipynb": ("Zz9zZ", "", 10),
    }
    submissions, flags = collect([hand_in(dict.fromkeys(names, NOTEBOOK))], assignment="ps1")
    found = {s.name + ".ipynb": (s.student, s.person, s.attempt) for s in submissions}
    assert found == names and flags == []


def test_an_assignment_whose_name_ends_like_an_attempt(hand_in):
    members = {"ada_1_900_lab-2.ipynb": NOTEBOOK, "bob_2_901_lab-2-1.ipynb": NOTEBOOK}
    found, _ = rows(hand_in(members), assignment="lab-2")
    assert [attempt for _, _, attempt in found] == [None, 1]


@pytest.mark.parametrize(
    "names",
    [
        ["lab_3_2_ada.ipynb", "lab_3_2_bob.ipynb"],
        ["lab_3_1_ada.ipynb", "lab_3_2_bob.ipynb"],
        ["lab_3_1_ada.ipynb", "lab_3_2_bob.ipynb", "lab_4_3_cy.ipynb", "lab_5_4_dee.ipynb"],
        ["ada_2024_01_ps1.ipynb", "bob_2024_01_ps1.ipynb"],
        ["Ada_2024_01_ps1.ipynb", "Ada_2024_02_ps2.ipynb"],
    ],
)
def test_what_only_looks_like_canvas_keeps_its_own_rows(hand_in, names):
    found, _ = rows(hand_in(dict.fromkeys(names, NOTEBOOK)))
    assert [student for _, student, _ in found] == [name[:-6] for name in names]


def test_moodle_folders_and_flat_files(hand_in):
    members = {
        "Ada Lovelace_4711_assignsubmission_file_/ps1.ipynb": NOTEBOOK,
        "Ngô Bảo Châu_4712_assignsubmission_file_/ps1.ipynb": NOTEBOOK,
        "George Byron_4713_assignsubmission_file_mine.ipynb": NOTEBOOK,
    }
    submissions, flags = collect([hand_in(members)], assignment="ps1")
    assert [(s.name, s.student, s.person) for s in submissions] == [
        ("Ada Lovelace_4711/ps1", "4711", "Ada Lovelace"),
        ("George Byron_4713_assignsubmission_file_mine", "4713", "George Byron"),
        ("Ngô Bảo Châu_4712/ps1", "4712", "Ngô Bảo Châu"),
    ]
    assert flags == []


def test_nbgrader_takes_only_this_assignment(tmp_path):
    for student in ("ada", "bob"):
        for assignment in ("ps1", "ps2"):
            folder = tmp_path / "submitted" / student / assignment
            folder.mkdir(parents=True)
            (folder / f"{assignment}.ipynb").write_bytes(NOTEBOOK)
            (folder / "timestamp.txt").write_text("2024-01-01")
    (tmp_path / "submitted/bob/ps1/ps1.ipynb").rename(tmp_path / "submitted/bob/ps1/mine.ipynb")
    wanted = [("mine", "bob", None), ("ps1", "ada", None)]
    assert rows(tmp_path / "submitted") == (wanted, [])
    assert rows(tmp_path) == (wanted, [])
    assert rows(*sorted((tmp_path / "submitted").glob("*/ps1/*.ipynb"))) == (wanted, [])


def test_a_folder_for_each_student(hand_in):
    members = {
        "ada/ps1.ipynb": NOTEBOOK,
        "bob/Copy of ps1.ipynb": NOTEBOOK,
        "cy/work/answers.ipynb": NOTEBOOK,
        "cy/tune.mid": b"",
        "dee/ps1.pdf": b"",
    }
    found, flags = rows(hand_in(members))
    assert [student for _, student, _ in found] == ["bob", "cy", "dee", "ada"]
    assert found[2] == ("dee/ps1.pdf", "dee", None) and flags == []


def test_students_with_the_same_file_name_stay_apart(hand_in):
    members = {"section 1/ada.ipynb": NOTEBOOK, "section 1/bob.ipynb": NOTEBOOK}
    members |= {"section 2/ada.ipynb": NOTEBOOK, "section 2/cy.ipynb": NOTEBOOK}
    found, _ = rows(hand_in(members))
    assert [name for name, _, _ in found] == ["bob", "cy", "section 1/ada", "section 2/ada"]
    assert [student for _, student, _ in found] == ["bob", "cy", "section 1/ada", "section 2/ada"]


def test_files_and_folders_named_on_the_command_line(tmp_path):
    for student in ("ada", "bob"):
        (tmp_path / student).mkdir()
        (tmp_path / student / "ps1.ipynb").write_bytes(NOTEBOOK)
    wanted = [("ada/ps1", "ada", None), ("bob/ps1", "bob", None)]
    both = [tmp_path / "ada", tmp_path / "bob"]
    assert rows(*both) == (wanted, [])
    assert rows(*[path / "ps1.ipynb" for path in both]) == (wanted, [])
    assert rows(*both, both[0] / "ps1.ipynb", tmp_path / "ada/../ada") == (wanted, [])  # twice
    assert rows(tmp_path / "*") == (wanted, [])  # Windows's command line doesn't expand it
    assert rows(tmp_path / "ada" / "ps1.ipynb") == ([("ps1", "ps1", None)], [])


def test_zips_that_students_handed_in(hand_in):
    members = {
        "ada_1_900_work.zip": {"deep/er/ps1.ipynb": NOTEBOOK, "deep/tune.mid": b"", "a.py": b""},
        "bob_2_901_work-1.zip": {"ps1.ipynb": NOTEBOOK},
        "cy_3_902_work.zip": {"ps1.py": b""},
        "dee_4_903_work.zip": {"a.zip": {"a.zip": {"a.zip": {"ps1.ipynb": NOTEBOOK}}}},
        "eve_5_904_work.zip": b"PK\3\4 and nothing else",
        "fay_6_905_work.zip": {},
    }
    submissions, flags = collect([hand_in(members)], assignment="ps1")
    assert [(s.name, s.student, s.attempt) for s in submissions[:2]] == [
        ("ada_1/ps1", "1", None),
        ("bob_2/ps1", "2", 1),
    ]
    assert [(s.student, *s.problem) for s in submissions[2:]] == [
        ("3", "not a notebook", "handed in: ps1.py"),
        ("4", "not a notebook", "handed in: a.zip"),
        ("5", "unreadable", "not a zip, or a damaged one"),
        ("6", "unreadable", "an empty zip"),
    ]
    assert [(f.submission, f.student, f.kind) for f in flags] == [
        ("ada_1/ps1", "1", "not a notebook")
    ]
    assert submissions[0].read() == NOTEBOOK


def test_a_students_zip_among_plain_files(hand_in):
    members = {"ada.ipynb": NOTEBOOK, "bob.zip": {"ps1.ipynb": NOTEBOOK}}
    assert rows(hand_in(members))[0] == [("ada", "ada", None), ("ps1", "bob", None)]


def test_a_class_zip_that_was_put_into_a_folder(tmp_path):
    members = {"ada_1_900_w.zip": {"ps1.ipynb": NOTEBOOK}, "bob_2_901_ps1.ipynb": NOTEBOOK}
    (tmp_path / "submissions.zip").write_bytes(zipped(members))
    assert [student for _, student, _ in rows(tmp_path)[0]] == ["2", "1"]


def test_what_is_not_a_notebook_is_flagged(hand_in):
    members = {
        "ada_1_900_ps1.py": b"",
        "ada_1_901_report.pdf": b"",
        "bob_2_902_ps1.ipynb": NOTEBOOK,
        "bob_2_903_plot.png": b"",
        "cy_LATE_3_text.html": b"",
    }
    submissions, flags = collect([hand_in(members)], assignment="ps1")
    assert [(s.name, s.student, s.problem and s.problem[1]) for s in submissions] == [
        ("ada_1_900_ps1.py", "1", "handed in: ada_1_900_ps1.py, ada_1_901_report.pdf"),
        ("bob_2_902_ps1", "2", None),
        ("cy_LATE_3_text.html", "3", "handed in: cy_LATE_3_text.html"),
    ]
    assert flags == [
        ("bob_2_902_ps1", "2", "not a notebook",
         "also handed in, and not looked at: bob_2_903_plot.png"),
    ]  # fmt: skip
    with pytest.raises(Unreadable, match=r"handed in: ada_1_900_ps1\.py, "):
        submissions[0].read()


def test_stray_files_in_a_plain_folder_make_no_student(hand_in):
    members = {f"notes {i:02}.pdf": b"" for i in range(25)} | {"ada.ipynb": NOTEBOOK}
    submissions, flags = collect([hand_in(members)])
    assert [s.name for s in submissions] == ["ada"]
    assert len(flags) == 21 and flags[0].detail == "notes 00.pdf: nobody's grade"
    assert flags[-1].detail == "and 5 more files"


def test_names_in_a_zip_lead_nowhere(tmp_path):
    members = {"../../../etc/ada.ipynb": NOTEBOOK, "C:\\Users\\bob.ipynb": NOTEBOOK}
    members |= {"/abs/cy.ipynb": NOTEBOOK, "..": b"", "a/": b""}
    (tmp_path / "slip.zip").write_bytes(zipped(members))
    found, _ = rows(tmp_path / "slip.zip")
    assert [name for name, _, _ in found] == ["ada", "bob", "cy"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["slip.zip"]


def test_names_in_a_zip_that_are_not_marked_as_utf8(tmp_path):
    plain = zipped({"ZZZZ.ipynb": NOTEBOOK})
    for name, wanted in (("Zoë".encode(), "Zoë"), (b"Zo\x89\x89", "Zoëë")):
        (tmp_path / "mac.zip").write_bytes(plain.replace(b"ZZZZ", name))
        assert rows(tmp_path / "mac.zip")[0] == [(wanted, wanted, None)]


def flawed(data, offset_local, offset_central, value, size="<H"):
    """Change a field in the local and the central header of a zip with one member."""
    data = bytearray(data)
    struct.pack_into(size, data, offset_local, value)
    struct.pack_into(size, data, data.index(b"PK\1\2") + offset_central, value)
    return bytes(data)


def test_members_that_cannot_be_read(tmp_path):
    good = zipped({"ada.ipynb": NOTEBOOK})
    damaged = bytearray(good)
    damaged[40:60] = bytes(20)
    link = zipfile.ZipInfo("ada.ipynb")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    cases = {
        "encrypted with a password": flawed(good, 6, 8, 1),
        "damaged in the zip": bytes(damaged),
        "damaged in the zip ": flawed(good, 8, 10, 97),  # a compression nobody knows
        "a link, which isn't followed": (tmp_path / "link.zip").read_bytes(),
    }
    for reason, data in cases.items():
        (tmp_path / "one.zip").write_bytes(data)
        submissions, _ = collect([tmp_path / "one.zip"])
        assert [s.name for s in submissions] == ["ada"]
        with pytest.raises(Unreadable, match=reason.strip()):
            submissions[0].read()


def test_bombs_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(finding, "MAX_FILE", 2_000_000)
    monkeypatch.setattr(finding, "MAX_TOTAL", 5_000_000)
    bomb = zipped({f"{name}.ipynb": bytes(1_500_000) for name in "abcd"})
    (tmp_path / "bomb.zip").write_bytes(bomb)
    (tmp_path / "large.ipynb").write_bytes(bytes(2_000_001))
    submissions, _ = collect([tmp_path])
    reasons = {}
    for one in submissions:
        try:
            one.read()
        except Unreadable as error:
            reasons[one.name] = str(error)
    assert reasons == {
        "d": "in a zip that unpacks to more than 0 GB",
        "large": "larger than 2 MB",
    }
    monkeypatch.setattr(finding, "MAX_MEMBERS", 3)
    with pytest.raises(ValueError, match=r"bomb\.zip: a zip of more than 3 files"):
        collect([tmp_path / "bomb.zip"])


def test_links_are_not_followed_out_of_a_folder(tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "bob.ipynb").write_bytes(NOTEBOOK)
    folder = tmp_path / "class"
    folder.mkdir()
    (folder / "ada.ipynb").write_bytes(NOTEBOOK)
    (folder / "same.ipynb").symlink_to("ada.ipynb")
    (folder / "out.ipynb").symlink_to(tmp_path / "secret" / "bob.ipynb")
    (folder / "gone.ipynb").symlink_to(folder / "nowhere.ipynb")
    (folder / "loop").symlink_to(folder)
    submissions, flags = collect([folder])
    assert [s.name for s in submissions] == ["ada", "gone", "out", "same"]
    assert submissions[3].read() == NOTEBOOK
    with pytest.raises(Unreadable, match="can't be read: no such file"):
        submissions[1].read()
    with pytest.raises(Unreadable, match="a link out of the folder"):
        submissions[2].read()
    assert [f.detail for f in flags] == ["the link loop isn't followed"]


def test_pipes_and_sockets_do_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.ipynb")
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(os.path.relpath(tmp_path / "sock.ipynb"))
        submissions, _ = collect([tmp_path])
    finally:
        listener.close()
    for one in submissions:
        with pytest.raises(Unreadable, match="not a file but a pipe"):
            one.read()
    assert [s.name for s in submissions] == ["pipe", "sock"]
    with pytest.raises(ValueError, match=r"pipe\.ipynb is neither a folder nor a file"):
        collect([tmp_path / "pipe.ipynb"])


def test_what_cannot_be_opened(tmp_path, monkeypatch):
    """Root may open anything, so the refusal itself is what os and open say here."""
    for name in ("ada.ipynb", "locked/bob.ipynb", "shut.ipynb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(NOTEBOOK)
    scandir, opened = os.scandir, open

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    def scan(path):
        return refuse(path) if str(path).endswith("locked") else scandir(path)

    def opening(path, *args, **options):
        return refuse(path) if "shut" in str(path) else opened(path, *args, **options)

    monkeypatch.setattr(os, "scandir", scan)
    monkeypatch.setattr("builtins.open", opening)
    submissions, flags = collect([tmp_path])
    assert [s.name for s in submissions] == ["ada", "shut"]
    with pytest.raises(Unreadable, match="can't be read: permission denied"):
        submissions[1].read()
    assert [f.detail for f in flags] == ["the folder locked can't be read: permission denied"]
    with pytest.raises(PermissionError, match=r"shut\.ipynb can't be read: permission denied"):
        collect([tmp_path / "shut.ipynb"])
    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(PermissionError, match="can't be read: permission denied"):
        collect([tmp_path])


def test_what_is_skipped_and_what_is_missing(tmp_path):
    for name in ("ada.ipynb", "ps1.ipynb", "out/old.ipynb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(NOTEBOOK)
    skip = [tmp_path / "ps1.ipynb", tmp_path / "out"]
    assert rows(tmp_path, skip=skip)[0] == [("ada", "ada", None)]
    assert rows(skip[0], skip=skip)[0] == [("ps1", "ps1", None)]  # named, so wanted
    with pytest.raises(FileNotFoundError, match=r"there is no folder, notebook or zip .*nowhere"):
        collect([tmp_path / "nowhere"])
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"bad\.zip: not a zip, or a damaged one"):
        collect([tmp_path / "bad.zip"])
