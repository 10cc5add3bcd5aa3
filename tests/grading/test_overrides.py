"""Points and comments by hand: read as spreadsheets write them, applied, saved without a loss."""

import copy
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmusic.grading import overrides
from mlmusic.grading.overrides import Conflict, Override, Overrides, apply, put, read, totals
from tests.grading.pages.example_results import result

HEADER = "student,item,points,comment\n"


def written(path, text, encoding="utf-8", newline="\n"):
    path.write_bytes(text.replace("\n", newline).encode(encoding))
    return path


@pytest.fixture
def file(tmp_path):
    return tmp_path / "overrides.csv"


def test_a_missing_and_an_empty_file_have_no_rows(file):
    assert read(file).rows == ()
    for text in ("", "\ufeff", "\n\n", HEADER, ";;;\n"):
        assert read(written(file, text)).rows == ()


def test_rows_are_read(file):
    text = (
        HEADER + 'ada,listening,1.5,"Good ear,\nand good reasons."\n'
        "ada,hidden-3,2,\n\ngrace,,,See me\n"
    )
    found = read(written(file, text))
    assert found.rows == (
        Override("ada", "listening", 1.5, "Good ear,\nand good reasons."),
        Override("ada", "hidden-3", 2.0),
        Override("grace", "", None, "See me"),
    )
    assert [row.line for row in found.rows] == [2, 4, 6]
    assert found.of("grace").comment == "See me" and found.of("grace", "listening") is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "text",
    [
        "student,item,points,comment\nbéla,x,1.5,Schön – sehr\n",
        'student,item,points,comment\nbéla,x,"1,5",Schön – sehr\n',
        "student;item;points;comment\nbéla;x;1,5;Schön – sehr\n",
        "student\titem\tpoints\tcomment\nbéla\tx\t1,5\tSchön – sehr\n",
        "sep=;\nstudent;item;points;comment\nbéla;x;1,5;Schön – sehr\n",
        "Student;Item;Points;Comment;\nbéla;x;1,5;Schön – sehr;\n;;;;\n",
        "grader;comment;points;item;student\nme;Schön – sehr;1,5;x;béla\n",
        " student , item , points , comment \n béla , x , 1.5 , Schön – sehr \n",
    ],
)
def test_what_spreadsheets_save_is_read(file, text, encoding, newline):
    found = read(written(file, text, encoding, newline))
    assert found.rows == (Override("béla", "x", 1.5, "Schön – sehr"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,points\n", "line 1: column 'student' is missing; the first line must be student,"),
        ("student,item,points\n", "line 1: column 'comment' is missing"),
        ("student,item,points,comment,item\n", "line 1: two columns have the same name"),
        (HEADER + "ada,x,lots,\n", "line 2: points must be a number, not 'lots'"),
        (HEADER + "ada,x,1.5.2,\n", "line 2: points must be a number, not '1.5.2'"),
        (HEADER + "ada,x,nan,\n", "line 2: points must be a number, not 'nan'"),
        (HEADER + "ada,x,1e9,\n", "line 2: points must be a number, not '1e9'"),
        (HEADER + "ada,x,-1,\n", "line 2: points can't be below 0, and are -1"),
        (HEADER + "ada,,3,\n", "line 2: points need an item, the id of a task or a test"),
        (HEADER + ",x,3,\n", "line 2: no student is named"),
        (HEADER + "\nada,x,3,well, done\n", "line 3: 5 cells, but 4 columns"),
        (HEADER + 'ada,x,3,"a\nb"\nbob,x,?,\n', "line 4: points must be a number"),
        (HEADER + "ada,x,1,\nada,y,1,\nada,x,2,\n", "line 4: line 2 is about 'x' of 'ada' too"),
        (HEADER + "ada,,,a\nada, ,,b\n", "line 3: line 2 is about 'ada' too: keep one"),
        (HEADER + 'ada,x,1,"open\n', "line 2: a quote is opened and never closed: add"),
        (HEADER + 'ada,x,1,"a "word""\n', "line 2: text stands behind a closing quote: write"),
    ],
)
def test_a_mistake_is_one_line_that_names_its_line(file, text, message):
    with pytest.raises(ValueError) as caught:
        read(written(file, text))
    assert str(caught.value).startswith(f"overrides.csv, {message}")
    assert "\n" not in str(caught.value)


def rows(*given):
    return Overrides(tuple(Override(*row, line) for line, row in enumerate(given, 2)))


def score(changed, item):
    parts = [part for task in changed["tasks"] for part in (task, *task["tests"])]
    return next(part["score"] for part in parts if part["id"] == item)


def test_a_tasks_points_replace_what_its_tests_gave():
    changed = apply(result(), rows(("ada", "answer-2", 3.0, "")))
    assert score(result(), "answer-2") == 2 and score(changed, "answer-2") == 3
    assert changed["score"] == result()["score"] + 1 and changed["points"] == result()["points"]


def test_a_tests_points_replace_what_it_gave():
    changed = apply(result(), rows(("ada", "hidden-3", 1.5, "half"), ("ada", "check-2", 1.0, "")))
    assert score(changed, "hidden-3") == 1.5 and score(changed, "answer-3") == 1.5
    assert score(changed, "answer-2") == 3
    assert changed["score"] == result()["score"] + 2.5


def test_a_tasks_points_win_over_its_tests():
    changed = apply(result(), rows(("ada", "hidden-3", 2.0, ""), ("ada", "answer-3", 0.5, "")))
    assert score(changed, "answer-3") == 0.5 and score(changed, "hidden-3") == 2


def test_points_of_0_are_points():
    changed = apply(result(), rows(("ada", "answer-1", 0.0, ""), ("ada", "listening", 0.0, "")))
    assert score(changed, "answer-1") == 0 and score(changed, "listening") == 0
    assert changed["score"] == result()["score"] - 2


def test_a_manual_item_waits_until_it_has_points():
    before, after = totals(result()), totals(result(), rows(("ada", "listening", 1.5, "")))
    assert before.waiting == ["explain-fault", "listening"] and before.tasks["listening"] is None
    assert after.waiting == ["explain-fault"] and after.tasks["listening"] == 1.5
    assert after.score == before.score + 1.5 and after.points == before.points == 20


def test_a_comment_alone_changes_no_points():
    changed = apply(result(), rows(("ada", "", None, "all"), ("ada", "answer-1", None, "one")))
    assert changed["score"] == result()["score"] and score(changed, "answer-1") == 2
    assert changed["by_hand"] == {"points": None, "comment": "all"}
    assert changed["tasks"][0]["by_hand"] == {"points": None, "comment": "one"}
    assert totals(result(), rows(("ada", "listening", None, "later"))).tasks["listening"] is None


def test_the_result_itself_stays_as_it_was_and_others_rows_do_nothing():
    mine = result()
    before = copy.deepcopy(mine)
    apply(mine, rows(("ada", "answer-1", 1.0, "x"), ("ada", "check-1", 0.0, "")))
    assert mine == before
    assert apply(mine, rows(("grace", "answer-1", 1.0, "x"))) == before
    assert apply(mine, None) == before


def test_more_points_than_an_item_has_are_refused():
    for item, most in (("answer-2", 3), ("check-2", 1), ("listening", 2)):
        with pytest.raises(ValueError, match=f"line 2: 3.5 points for '{item}' of 'ada', which has"
                           f" {most} at most"):  # fmt: skip
            totals(result(), rows(("ada", item, 3.5, "")))


def test_thirds_of_a_point_leave_no_dust():
    third = rows(*(("ada", f"answer-{n}", 0.1, "") for n in range(1, 7)))
    assert totals(result(), third).score == 0.6


def test_a_student_is_found_however_the_letters_are_composed():
    composed = result(student="Bj\u00f6rn")
    assert totals(composed, rows(("Bjo\u0308rn ", "listening", 2.0, ""))).tasks["listening"] == 2


def test_a_submission_without_a_student_goes_by_its_own_name():
    nobody = result(student="") | {"submission": "upload 3"}
    assert totals(nobody, rows(("upload 3", "listening", 2.0, ""))).tasks["listening"] == 2


def test_rows_about_nobody_and_nothing_are_reported():
    given_ = rows(
        ("ada", "listening", 1.0, ""),
        ("adda", "listening", 1.0, ""),
        ("ada", "listning", 1.0, ""),
        ("grace", "zzz", None, "x"),
        ("grace", "", None, "fine"),
        ("zoë", "", None, "x"),
    )
    assert overrides.unknown(given_, [result(), result("grace", "Grace")]) == [
        "overrides.csv, line 3: nobody called 'adda' handed in: is it 'ada'?",
        "overrides.csv, line 4: no task or test is called 'listning': is it 'listening'?",
        "overrides.csv, line 5: no task or test is called 'zzz'",
        "overrides.csv, line 7: nobody called 'zoë' handed in",
    ]


def test_put_makes_the_file_and_changes_only_its_row(file):
    put(file, Override("ada", "listening", 1.5, "Good\near"))
    assert file.read_bytes() == (
        b'\xef\xbb\xbfstudent,item,points,comment\nada,listening,1.5,"Good\near"\n'
    )
    put(file, Override("grace", "listening", 2))
    put(file, Override("ada", "listening", 0.5, "Good ear"))
    assert read(file).rows == (
        Override("ada", "listening", 0.5, "Good ear"),
        Override("grace", "listening", 2.0),
    )
    assert os.listdir(file.parent) == ["overrides.csv"]


def test_put_takes_out_a_row_that_says_nothing_any_more(file):
    put(file, Override("ada", "listening", 1.5))
    put(file, Override("grace", "listening", 1.5))
    put(file, Override("ada", "listening"))
    assert read(file).rows == (Override("grace", "listening", 1.5),)


def test_put_keeps_the_spreadsheets_dialect_rows_and_columns_it_doesnt_know(file):
    text = "Grader;student;item;points;comment\nme;zoë;gone;1,5;who?\nme;ada;listening;1;\n"
    written(file, text, "utf-8-sig", "\r\n")
    put(file, Override("ada", "listening", 0.5, "a; b"))
    put(file, Override("béla", "listening", 2.25))
    assert file.read_bytes().decode("utf-8-sig") == (
        "Grader;student;item;points;comment\r\n"
        "me;zoë;gone;1,5;who?\r\n"
        'me;ada;listening;0,5;"a; b"\r\n'
        ";béla;listening;2,25;\r\n"
    )


def test_what_a_spreadsheet_saved_meanwhile_is_kept_and_a_conflict_is_told(file):
    seen = put(file, Override("ada", "listening", 1.0)).of("ada", "listening")
    written(file, HEADER + "ada,listening,2,by Excel\ngrace,listening,1,by Excel\n")
    with pytest.raises(Conflict) as caught:
        put(file, Override("ada", "listening", 0.5), before=seen)
    assert caught.value.current == Override("ada", "listening", 2.0, "by Excel")
    with pytest.raises(Conflict):
        put(file, Override("grace", "listening", 0.5), before=None)
    assert read(file).of("ada", "listening").points == 2
    put(file, Override("ada", "listening", 0.5), before=caught.value.current)
    assert [row.points for row in read(file).rows] == [0.5, 1.0]
    put(file, Override("bob", "listening", 1.5), before=None)
    put(file, Override("eve", "listening", 1.5), before=Override("eve", "listening"))


def test_put_starts_again_when_the_file_changes_under_its_hands(file, monkeypatch):
    put(file, Override("ada", "listening", 1.0))
    sync, times = os.fsync, []

    def meanwhile(handle):
        sync(handle)
        if not times:
            times.append(1)
            written(file, HEADER + "ada,listening,1,\ngrace,listening,2,meanwhile\n")

    monkeypatch.setattr(os, "fsync", meanwhile)
    put(file, Override("ada", "listening", 0.5))
    assert read(file).rows == (
        Override("ada", "listening", 0.5),
        Override("grace", "listening", 2.0, "meanwhile"),
    )


def test_put_gives_up_on_a_file_that_never_rests(file, monkeypatch):
    writes = iter(range(1, 100))
    monkeypatch.setattr(
        os, "fsync", lambda handle: written(file, HEADER + f"ada,,,{'x' * next(writes)}\n")
    )
    with pytest.raises(OSError, match="overrides.csv keeps changing: close it in other programs"):
        put(file, Override("grace", "listening", 0.5))
    assert os.listdir(file.parent) == ["overrides.csv"]


def test_a_full_disk_leaves_the_old_file(file, monkeypatch):
    put(file, Override("ada", "listening", 1.0))
    before = file.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        put(file, Override("ada", "listening", 2.0))
    assert file.read_bytes() == before and os.listdir(file.parent) == ["overrides.csv"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_put_keeps_the_files_rights_and_a_link(file, tmp_path):
    put(file, Override("ada", "listening", 1.0))
    file.chmod(0o640)
    link = tmp_path / "link.csv"
    link.symlink_to(file)
    put(link, Override("ada", "listening", 2.0))
    assert link.is_symlink() and file.stat().st_mode & 0o777 == 0o640
    assert read(file).of("ada", "listening").points == 2


@pytest.mark.parametrize(
    "name", ["=cmd|' /C calc'!A0", "+1", "-anna", "@sum(A1)", "'quoted", "'=1"]
)
def test_a_name_is_no_formula_and_comes_back_as_it_was(file, name):
    put(file, Override(name, "listening", 1.5, name))
    assert read(file).rows == (Override(name, "listening", 1.5, name),)
    cells = file.read_text(encoding="utf-8-sig").splitlines()[1].replace('"', "").split(",")
    assert not cells[0].startswith(("=", "+", "-", "@"))


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), max_size=8)
ROW = st.builds(
    Override,
    student=TEXT.filter(str.strip),
    item=st.sampled_from(["listening", "hidden-3", "answer-1"]),
    points=st.none() | st.floats(0, 1e6).map(lambda points: round(points, 4)),
    comment=st.text(st.sampled_from("ab ,;\t\"'\n=é")).map(str.strip),
)


@given(st.lists(ROW, max_size=6, unique_by=lambda row: row.key), st.sampled_from(",;\t"))
def test_any_rows_survive_a_round_trip(tmp_path_factory, given_rows, delimiter):
    file = tmp_path_factory.mktemp("trip") / "overrides.csv"
    file.write_text(HEADER.replace(",", delimiter), encoding="utf-8")
    said = [row for row in given_rows if row.points is not None or row.comment]
    for row in given_rows:
        put(file, row)
    assert read(file).rows == tuple(said)
    assert put(file, Override("", "nobody")).rows == read(file).rows
