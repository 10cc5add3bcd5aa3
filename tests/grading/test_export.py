"""Grades to Canvas and Moodle, from the results of a run."""

import csv
import io
import json
import zipfile

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
    ("arguments", "message"),
    [
        ([], "say where to"),
        (["--lms", "canvas"], "--lms needs --roster FILE, --feedback-zip FILE or both"),
        (["--roster", "x"], "say whose the roster is"),
        (["--lms", "blackboard"], "argument --lms: invalid choice: 'blackboard'"),
        (["--lms", "canvas", "--roster", "x", "--feedback"], "Canvas takes no comments from a fil"),
        (["--answers", "x", "--feedback-zip", "y"], "--feedback-zip goes with --lms"),
        (["--answers", "x", "-o", "y"], "-o goes with --roster"),
        (["--gradebook", "x", "--base", "y"], "--base goes with --answers"),
        (["--gradebok", "x"], "there is no option --gradebok, is it --gradebook?"),
        (["--answers", "x", "y"], "'y' is one argument too many"),
    ],
)
def test_wrong_calls(out, arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        export.main([str(out), *arguments])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"mlmusic export: {message}") and error.count("\n") == 1


def test_a_missing_folder_is_not_made(tmp_path, capsys):
    assert export.main([str(tmp_path / "none"), "--answers", str(tmp_path / "answers")]) == 1
    assert "none has no results: run mlmusic grade" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def refused(out, capsys, *arguments):
    """Return the one line that says why nothing was exported."""
    before = set(out.parent.rglob("*"))
    assert export.main([str(out), *arguments]) == 1
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1 and "Errno" not in shown.err
    assert set(out.parent.rglob("*")) - before <= {out / ".lock"}
    return shown.err.removeprefix("mlmusic export: ").strip()


def test_arguments_are_checked_before_what_waits(tmp_path, capsys):
    out = write_results(tmp_path / "out", [result("a", "101")])  # waits for grading by hand
    (tmp_path / "canvas.csv").write_text(CANVAS)
    (tmp_path / "moodle.csv").write_text(MOODLE)
    none, folder, file, canvas, moodle = (
        str(tmp_path / name)
        for name in ("none.csv", "out", "canvas.csv", "canvas.csv", "moodle.csv")
    )
    for lms, whose in (("canvas", "gradebook that Canvas"), ("moodle", "worksheet that Moodle")):
        message = refused(out, capsys, "--lms", lms, "--roster", none)
        assert message.startswith(f"there is no roster {none}: name the ")
        assert message.endswith(f"{whose} lets you download")
    message = refused(out, capsys, "--lms", "canvas", "--roster", folder)
    assert message == f"{folder} is a folder where a file is needed: choose another name"
    message = refused(out, capsys, "--lms", "canvas", "--roster", moodle)
    assert message.endswith("it looks like Moodle's, which takes --lms moodle")
    message = refused(out, capsys, "--lms", "moodle", "--roster", canvas)
    assert message.endswith("it looks like Canvas's, which takes --lms canvas")
    good = ("--lms", "canvas", "--roster", canvas)
    message = refused(out, capsys, *good, "-o", folder)
    assert message == f"{folder} is a folder where a file is needed: choose another -o"
    message = refused(out, capsys, *good, "-o", f"{file}/up.csv")
    assert message == f"{file} is a file where a folder is needed: choose another -o"
    message = refused(out, capsys, *good, "--answers", file)
    assert message == f"{file} is a file where a folder is needed: choose another --answers"
    message = refused(out, capsys, "--answers", "x", "--base", none)
    assert message == f"there is no notebook {none}: --base names the released one"
    assert "1 of 1 submissions wait for grading by hand" in refused(out, capsys, *good)


def test_a_file_to_upload_may_go_into_a_new_folder(out):
    assert run(out, "--lms", "canvas", "-o", str(out / "new" / "up.csv"), text=CANVAS)[0] == 0
    assert "3.5" in (out / "new" / "up.csv").read_text()


def test_grades_that_are_replaced_are_named(out, capsys):
    there = CANVAS.replace(",late,EX", ",late,4").replace(",,,8.00,80", ",,2.00,8.00,80")
    status, upload = run(out, "--lms", "canvas", text=there)
    assert status == 3  # two more are in the roster
    assert [row[6] for row in rows(upload)[3:5]] == ["3.5", "1"]
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"1 replaced that stood in {out / 'roster.csv'}:",
        "  Lovelace, Ada (101): 2.00 becomes 3.5",
    ]


def test_comments_that_are_replaced_are_named(tmp_path, capsys):
    out = write_results(tmp_path, [result("a", "4711", hand=2.0), result("g", "4712", hand=2.0)])
    there = MOODLE.replace('lines</p>",-,', 'lines</p>",-,Well done').replace(
        'grading",,4.00,Yes,-', 'grading","3,50",4.00,Yes,-'
    )
    status, upload = run(out, "--lms", "moodle", "--feedback", text=there)
    assert status == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "  Ada Lovelace (Participant 4711): another comment",
        "  Grace Hopper (Participant 4712): 3,50 becomes 4",
    ]
    status, again = run(out, "--lms", "moodle", "--feedback", text=upload, newline="\n")
    assert (status, again) == (0, upload)
    assert len(capsys.readouterr().out.splitlines()) == 1  # nothing differs


def pages(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name).decode() for name in file.namelist()}


def test_feedback_goes_into_a_zip_that_canvas_takes(tmp_path, capsys):
    names = {"lovelaceada_101_1_ps-1": "101", "hoppergrace_LATE_102_2_ps_1_2": "102",
             "anon_aB3dE_56789_ps1": "aB3dE", "grace": "grace", "a_1_2_x": "3"}  # fmt: skip
    found = [result(name, student, hand=1.0) for name, student in names.items()]
    target = tmp_path / "new" / "feedback.zip"
    out = write_results(tmp_path / "out", found)
    (out / "overrides.csv").write_text("student,item,points,comment\n101,,,See me\n")
    arguments = [str(out), "--lms", "canvas", "--feedback-zip", str(target)]
    assert export.main(arguments) == 3
    shown = capsys.readouterr()
    assert shown.out == f"{target}: 3 pages of feedback\n"
    assert [line.split(":")[0] for line in shown.err.splitlines()] == [
        "no page for a_1_2_x",
        "no page for grace",
    ]
    made = pages(target)
    assert set(made) == {f"{name}.html" for name in list(names)[:3]}
    assert "See me" in made["lovelaceada_101_1_ps-1.html"]
    for name in list(names)[:2]:  # what Canvas looks for: the first two numbers
        user, file, *_ = [part for part in f"{name}.html".split("_") if part.isdigit()]
        assert (user, file) in (("101", "1"), ("102", "2"))
    before = target.read_bytes()
    export.main(arguments)
    assert target.read_bytes() == before


def test_feedback_goes_into_a_zip_that_moodle_takes(tmp_path, capsys):
    found = [
        result("ps1", "4711", "Ada_Maria Lovelace", hand=1.0),
        result("Åsa Åström_4712/ps1", "4712", "Åsa/Åström", hand=1.0),
        result("ada", "ada", hand=1.0),
    ]
    target = tmp_path / "feedback.zip"
    out = write_results(tmp_path / "out", found)
    assert export.main([str(out), "--lms", "moodle", "--feedback-zip", str(target)]) == 3
    assert "no page for ada: the file wasn't named by Moodle" in capsys.readouterr().err
    made = pages(target)
    parts = [name.split("_", 4) for name in made]  # as Moodle reads them
    assert [part[1:] for part in parts] == [
        [number, "assignsubmission", "file", "00_listen.html"] for number in ("4711", "4712")
    ]
    assert not any("/" in name for name in made)


def test_feedback_waits_for_grading_by_hand(tmp_path, capsys):
    out = write_results(tmp_path / "out", [result("a_101_1_x", "101")])
    target = str(tmp_path / "f.zip")
    arguments = ("--lms", "canvas", "--feedback-zip", target)
    assert "wait for grading by hand" in refused(out, capsys, *arguments)
    assert export.main([str(out), *arguments, "--partial"]) == 0
    assert list(pages(target)) == ["a_101_1_x.html"]


def test_nothing_is_exported_while_a_run_is_at_the_folder(out, capsys):
    with locked(out):
        status, upload = run(out, "--lms", "canvas", text=CANVAS)
    assert (status, upload) == (1, None)
    assert "another run is grading into" in capsys.readouterr().err
