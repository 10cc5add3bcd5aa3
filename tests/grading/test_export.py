"""Grades to Canvas and Moodle, from the results of a run."""

import csv
import io
import json

import pytest

from mlmusic.grading import export
from mlmusic.grading.exporting.roster import canvas, moodle
from mlmusic.grading.exporting.table import Table
from mlmusic.grading.runs.store import locked

CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,Notes,00 Listen (9001),10 Listen again (9002),\
Homework Current Score,Current Score (2024),Final Score
,,,,,,Manual Posting,,,,
    Points Possible,,,,,,4.00,10.00,(read only),(read only),(read only)
"Lovelace, Ada",101,S1,ada,"Section 1 and ""Lab"" 2",,,8.00,80,80,80
"Hopper, Grace",102,S2,grace,Section 1,,1.00,,0,0,0
"Åström, Åsa",103,S3,asa@uni.edu,Section 1,late,EX,,0,0,0
"Turing, Alan",104,S4,alan,Section 1,,N/A,,0,0,0
"Student, Test",199,,9c1185a5c5e9fc54612808977ee8f548b2258d31,Section 1,,,,0,0,0
"""

MOODLE = """\
\ufeffIdentifier,"Full name","ID number","Email address",Status,Grade,"Maximum grade",\
"Grade can be changed","Last modified (submission)","Online text","Last modified (grade)",\
"Feedback comments"
"Participant 4711","Ada Lovelace",S1,ada@uni.edu,"Submitted for grading",,4.00,Yes,\
"Monday, 4 March 2024, 10:15 AM","<p>two
lines</p>",-,
"Participant 4712","Grace Hopper",S2,grace@uni.edu,"Submitted for grading",,4.00,Yes,-,,-,"""


def result(submission, student, name="", scores=(1.0, 1.0), hand=None, **more):
    """A result of an assignment of four points: two tests, and one answer graded by hand."""
    tests = [
        {"id": f"test-{i}", "points": 1.0, "score": score, "hidden": i == 2,
         "outcome": "passed" if score else "failed", "message": "" if score else "a <wrong> note"}
        for i, score in enumerate(scores, 1)
    ]  # fmt: skip
    tasks = [
        {"id": "answer", "title": "Task 1: a <tone>", "manual": False, "score": sum(scores),
         "points": 2.0, "answer": "def f():\n    return 1  # one", "outputs": [], "tests": tests},
        {"id": "listening", "title": "Listening", "manual": True, "score": hand, "points": 2.0,
         "answer": "It *sounds*\n<script>alert(1)</script> [well](javascript:x)", "tests": [],
         "outputs": [{"mime": "text/plain", "data": "a plot"},
                     {"mime": "text/html", "data": "<script>alert(2)</script>"}]},
    ]  # fmt: skip
    return {
        "format": 1, "assignment": "00_listen", "submission": submission, "student": student,
        "name": name, "attempt": 1, "score": sum(scores) + (hand or 0), "points": 4.0,
        "tasks": tasks, "flags": [], "provenance": {}, **more,
    }  # fmt: skip


def write_results(out, results):
    (out / "results").mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(results):
        (out / "results" / f"{number}.json").write_text(json.dumps(one), encoding="utf-8")
    return out


@pytest.fixture
def out(tmp_path):
    """Two students of Canvas, all graded by hand."""
    return write_results(
        tmp_path / "out",
        [
            result("lovelaceada_101_1_ps", "101", "lovelaceada", hand=1.5),
            result("hoppergrace_102_2_ps", "102", "hoppergrace", (1.0, 0.0), hand=0.0),
        ],
    )


def run(out, *arguments, roster=None, text=None, newline="\r\n"):
    """Export and return the exit status and the uploaded text."""
    path = roster or out / "roster.csv"
    if text is not None:
        path.write_bytes(text.replace("\n", newline).encode())
    status = export.main([str(out), "--roster", str(path), *arguments])
    upload = out / "upload.csv"
    return status, upload.read_bytes().decode() if upload.exists() else None


def rows(text):
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_canvas_takes_its_file_back_with_one_column_filled(out, capsys):
    status, upload = run(out, "--lms", "canvas", text=CANVAS)
    assert status == 0
    before = CANVAS.replace("\n", "\r\n")
    expected = before.replace('2",,,8.00', '2",,3.5,8.00').replace(
        "Section 1,,1.00", "Section 1,,1"
    )
    assert upload == expected
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "2 of 4 students filled in under '00 Listen (9001)'" in printed.out


def test_nobody_is_dropped_in_silence(tmp_path, capsys):
    results = [
        result("a", "101", hand=2.0),
        result("b", "103", hand=2.0),  # excused
        result("c", "777", hand=2.0),  # unknown
    ]
    status, upload = run(write_results(tmp_path, results), "--lms", "canvas", text=CANVAS)
    assert status == 3
    assert capsys.readouterr().err.splitlines() == [
        "graded, but not in the roster: c (student 777, 4 of 4 points)",
        "in the roster, but without a grade: Hopper, Grace (102)",
        "excused in Canvas: Åström, Åsa (103), 4 of 4 points",
    ]
    assert [row[6] for row in rows(upload)[3:]] == ["4", "1.00", "EX", "N/A", ""]


def test_two_submissions_of_a_student_and_two_students_of_a_name_are_left_alone(tmp_path, capsys):
    results = [
        result("a1", "ada", "lovelaceada", hand=2.0),
        result("a2", "ada", "LovelaceAda", hand=0.0),
        result("g", "grace", "gracehopper", hand=0.0),
    ]
    twins = CANVAS.replace('"Turing, Alan",104', '"Hopper, Grace",104')
    arguments = ("--lms", "canvas", "--match", "name")
    status, upload = run(write_results(tmp_path, results), *arguments, text=twins)
    assert status == 3
    assert rows(upload) == rows(twins)
    assert capsys.readouterr().err.splitlines() == [
        "graded, but more than one student in the roster fits: g (student grace, 2 of 4 points): "
        "Hopper, Grace (102); Hopper, Grace (104)",
        "more than one submission: Lovelace, Ada (101): a1 (4 of 4 points), a2 (2 of 4 points)",
    ]


@pytest.mark.parametrize(
    ("match", "student", "name"),
    [
        ("id", "103", ""),
        ("login", "ASA@uni.edu", ""),
        ("sis", "s3", ""),
        ("name", "x", "åströmåsa"),
        ("name", "x", "Åsa Åström"),
        ("name", "x", "A\u030astro\u0308m, A\u030asa"),
        ("Notes", "late", ""),
    ],
)
@pytest.mark.parametrize("split", [False, True])
def test_ways_to_match(tmp_path, match, student, name, split):
    text = CANVAS.replace("EX", "")
    if split:
        text = text.replace("Student,ID", "LastName,FirstName,ID").replace(
            '"Åström, Åsa"', "Åström,Åsa"
        )
        text = text.replace("\n,,,", "\n,,,,").replace("Possible,,", "Possible,,,")
        text = text.replace(", ", '","')  # the other names
    found = [result("x", student, name, hand=2.0)]
    arguments = ("--lms", "canvas", "--match", match)
    status, upload = run(write_results(tmp_path, found), *arguments, text=text)
    assert status == 3  # the others have no grade
    table = rows(upload)
    column = table[0].index("00 Listen (9001)")
    assert [row[column] for row in table[3:]] == ["", "1.00", "4", "N/A", ""]


@pytest.mark.parametrize("column", ["10 Listen again (9002)", "10 Listen again", "9002"])
def test_another_column_of_other_points(out, capsys, column):
    status, upload = run(out, "--lms", "canvas", "--column", column, text=CANVAS)
    assert (status, upload) == (1, None)
    assert capsys.readouterr().err == (
        "mlmusic export: Canvas gives 10 points for '10 Listen again (9002)', the assignment has "
        "4: change the points there and export its file again, or say --scale to multiply every "
        "score by 10/4\n"
    )
    status, upload = run(out, "--lms", "canvas", "--column", column, "--scale")
    assert status == 3  # Åsa and Alan could have had a grade here
    assert [row[7] for row in rows(upload)[3:5]] == ["8.75", "2.5"]


def table(text):
    return Table(text.encode(), "roster.csv")


@pytest.mark.parametrize(
    ("assignment", "column"),
    [("00_listen", 6), ("00-Listen", 6), ("10_listen_again", 7), ("listen again", 7)],
)
def test_the_column_is_found_by_the_words_of_the_name(assignment, column):
    assert canvas(table(CANVAS), assignment).column == column


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "0_listen",
            "roster.csv: no column is called '0_listen'; name one with --column: "
            "'00 Listen (9001)', '10 Listen again (9002)'",
        ),
        (
            "listen",
            "roster.csv: more than one column is called 'listen'; name one with --column: "
            "'00 Listen (9001)', '10 Listen again (9002)'",
        ),
    ],
)
def test_a_column_that_is_not_clear_is_an_error_that_lists_them(assignment, message):
    with pytest.raises(ValueError) as error:
        canvas(table(CANVAS), assignment)
    assert str(error.value) == message


def test_a_read_only_column_is_never_filled():
    with pytest.raises(ValueError, match=r"no column is called 'Current Score \(2024\)'"):
        canvas(table(CANVAS), "x", "Current Score (2024)")


def test_semicolons_and_decimal_commas_stay(out):
    text = "\n".join(
        ";".join(f'"{c}"' if ";" in c or '"' in c else c for c in row) for row in rows(CANVAS)
    ).replace(".00", ",00")
    status, upload = run(out, "--lms", "canvas", text=text + "\n", newline="\n")
    assert status == 0
    assert "Lovelace, Ada;101;S1;ada;" in upload
    assert upload.splitlines()[3].endswith(";;3,5;8,00;80;80;80")


def test_moodle_takes_its_worksheet_back(tmp_path, capsys):
    results = [
        result("Ada Lovelace_4711_assignsubmission_file_", "4711", "Ada Lovelace", hand=1.5),
        result("Grace Hopper_4712_assignsubmission_file_", "4712", "Grace Hopper", hand=2.0),
    ]
    out = write_results(tmp_path, results)
    (out / "overrides.csv").write_text(
        "student,item,points,comment\n4711,listening,0.5,Hear it again & think!\n4711,,,See me\n"
    )
    status, upload = run(out, "--lms", "moodle", text=MOODLE, newline="\r\n")
    assert status == 0
    before = MOODLE.replace("\n", "\r\n")
    one = before.replace('grading",,4', 'grading",2.5,4', 1)
    assert upload == one.replace('grading",,4', 'grading",4,4')  # the mark, the quotes, no last end
    status, upload = run(out, "--lms", "moodle", "--feedback")
    assert [row[11] for row in rows(upload)[1:]] == [
        "2.5 of 4 points · Task 1: a &lt;tone&gt;: 2 of 2 · "
        "Listening: 0.5 of 2 (Hear it again &amp; think!) · See me",
        "4 of 4 points · Task 1: a &lt;tone&gt;: 2 of 2 · Listening: 2 of 2",
    ]


@pytest.mark.parametrize(
    ("match", "student", "name"),
    [
        ("id", "4712", ""),
        ("id", "Participant 4712", ""),
        ("idnumber", "S2", ""),
        ("email", "Grace@uni.edu", ""),
        ("name", "x", "Grace  Hopper"),
        ("Full name", "grace hopper", ""),
    ],
)
def test_ways_to_match_in_moodle(tmp_path, match, student, name):
    out = write_results(tmp_path, [result("x", student, name, hand=2.0)])
    status, upload = run(out, "--lms", "moodle", "--match", match, text=MOODLE)
    assert status == 3
    assert [row[5] for row in rows(upload)[1:]] == ["", "4"]


def test_a_moodle_in_german(tmp_path):
    text = (
        "ID;Vollständiger Name;E-Mail-Adresse;Status;Bewertung;Bestwertung;"
        "Bewertung kann geändert werden;Zuletzt geändert (Bewertung);Feedback als Kommentar\n"
        "Teilnehmer/in4711;Ada Lovelace;a@b.de;Abgegeben;;4,00;Ja;-;\n"
    )
    out = write_results(tmp_path, [result("x", "4711", hand=1.5)])
    columns = ("--column", "Bewertung", "--feedback", "Feedback als Kommentar")
    status, upload = run(out, "--lms", "moodle", *columns, text=text)
    assert status == 0
    assert 'Abgegeben;3,5;4,00;Ja;-;"3.5 of 4 points · Task 1' in upload


def test_a_locked_grade_is_left_alone(tmp_path, capsys):
    out = write_results(tmp_path, [result("x", "4711", hand=2.0), result("y", "4712", hand=2.0)])
    status, upload = run(out, "--lms", "moodle", text=MOODLE.replace("Yes,-", "No,-"))
    assert status == 3
    assert [row[5] for row in rows(upload)[1:]] == ["4", ""]
    assert capsys.readouterr().err == (
        "the grade is locked in Moodle: Grace Hopper (Participant 4712), 4 of 4 points\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "isn't a grading worksheet that Moodle gave"),
        (MOODLE.replace(",Grade,", ",Mark,"), "has no column 'Grade'"),
        (MOODLE.replace("4.00", "poor"), "has no maximum beside 'Grade'"),
    ],
)
def test_another_file_for_moodle(text, message):
    with pytest.raises(ValueError, match=message):
        moodle(table(text))


def test_a_column_of_comments_that_is_not_there():
    with pytest.raises(ValueError, match="has no column 'Feedback comments': Identifier, Full"):
        moodle(table(MOODLE.replace("Feedback comments", "x")), feedback="Feedback comments")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,score\nada,1\n", "isn't a gradebook that Canvas exported"),
        ("", "isn't a gradebook that Canvas exported"),
        (CANVAS.replace("    Points Possible", "x"), "has no row 'Points Possible'"),
        (CANVAS.replace("4.00", ""), r"'00 Listen \(9001\)' has no points in Canvas"),
    ],
)
def test_another_file_for_canvas(text, message):
    with pytest.raises(ValueError, match=message):
        canvas(table(text), "00_listen")


def test_a_way_to_match_that_is_not_there():
    with pytest.raises(ValueError, match="has no column 'SIS User ID': Student, ID, x"):
        canvas(table(CANVAS.replace("SIS User ID", "x")), "00_listen", match="sis")


def test_what_waits_for_grading_by_hand_is_not_exported(tmp_path, capsys):
    out = write_results(tmp_path, [result("a", "101"), result("b", "102", hand=1.0)])
    status, upload = run(out, "--lms", "canvas", text=CANVAS)
    assert (status, upload) == (1, None)
    assert capsys.readouterr().err == (
        "mlmusic export: 1 of 2 submissions wait for grading by hand, the first is a: listening: "
        f"give the points (mlmusic grade --by-hand -o {out}), or say --partial to export what "
        "there is\n"
    )
    status, upload = run(out, "--lms", "canvas", "--partial")
    assert status == 0
    assert [row[6] for row in rows(upload)[3:5]] == ["2", "3"]
    assert capsys.readouterr().err == "still to be graded by hand: 1\n"


def test_ids_of_another_kind_are_an_error_that_names_the_option(tmp_path, capsys):
    out = write_results(tmp_path, [result("a", "ada", hand=1.0), result("g", "grace", hand=1.0)])
    status, upload = run(out, "--lms", "canvas", text=CANVAS)
    assert (status, upload) == (1, None)
    assert capsys.readouterr().err == (
        f"mlmusic export: nobody in {out / 'roster.csv'} is 'ada' or another of the 2 graded: "
        "choose what to compare with --match\n"
    )
    assert run(out, "--lms", "canvas", "--match", "login")[0] == 0


def test_points_for_nobody_are_told(out, capsys):
    (out / "overrides.csv").write_text("student,item,points,comment\n1O1,listening,1,\n")
    status, _ = run(out, "--lms", "canvas", text=CANVAS)
    assert status == 3
    assert "nobody called '1O1' handed in: is it '101'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([], "has no results: run mlmusic grade SOURCE SUBMISSIONS -o"),
        ([result("a", "1"), result("b", "2", points=5.0)], "different totals of points: 4.0 (1)"),
        ([result("a", "1"), result("b", "2", assignment="x")], "different assignments: 00_listen"),
        ([result("a", "1", format=2)], "0.json was written by another version of mlmusic"),
        ([["a"]], "0.json was written by another version of mlmusic"),
    ],
)
def test_results_that_do_not_belong_together(tmp_path, capsys, results, message):
    status, _ = run(write_results(tmp_path, results), "--lms", "canvas", text=CANVAS)
    assert status == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_the_roster_is_never_overwritten(out, capsys):
    (out / "roster.csv").write_text(CANVAS)
    status, _ = run(out, "--lms", "canvas", "-o", str(out / "." / "roster.csv"))
    assert status == 1
    assert "is the roster itself: name another file with -o" in capsys.readouterr().err
    assert (out / "roster.csv").read_text() == CANVAS


@pytest.mark.parametrize(
    "arguments", [[], ["--lms", "canvas"], ["--roster", "x"], ["--lms", "blackboard"]]
)
def test_wrong_calls(out, arguments):
    with pytest.raises(SystemExit) as stop:
        export.main([str(out), *arguments])
    assert stop.value.code == 2


def test_a_missing_folder_is_not_made(tmp_path, capsys):
    assert export.main([str(tmp_path / "none"), "--answers", str(tmp_path / "answers")]) == 1
    assert "none has no results: run mlmusic grade" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_missing_roster_and_comments_for_canvas(out, capsys):
    assert export.main([str(out), "--lms", "canvas", "--roster", str(out / "none.csv")]) == 1
    assert "none.csv" in capsys.readouterr().err
    status, _ = run(out, "--lms", "canvas", "--feedback", text=CANVAS)
    assert status == 1
    assert "Canvas takes no comments from a file" in capsys.readouterr().err


def test_nothing_is_exported_while_a_run_is_at_the_folder(out, capsys):
    with locked(out):
        status, upload = run(out, "--lms", "canvas", text=CANVAS)
    assert (status, upload) == (1, None)
    assert "another run is grading into" in capsys.readouterr().err
