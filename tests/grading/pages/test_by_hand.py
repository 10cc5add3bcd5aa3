"""The page for grading by hand: what it shows, what it saves, and that no student's code runs."""

import http.client
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from mlmusic.grading.overrides import Override, put, read
from mlmusic.grading.pages import by_hand
from mlmusic.grading.pages.by_hand import Session, page, serve
from tests.grading.pages.attacks_on_pages import ATTACKS
from tests.grading.pages.chromium import chromium, heard, pictures  # noqa: F401
from tests.grading.pages.example_results import SECRET, result, save
from tests.grading.pages.test_feedback import Reader, infected

CLASS = [("ada", "Ada Ahlgren"), ("bela", "Béla Fekete"), ("chen", "陳怡君"), ("dana", "Dana O.")]


@pytest.fixture
def out(tmp_path):
    return save(tmp_path / "out", *(result(student, name) for student, name in CLASS))


@pytest.fixture
def served(out):
    """Return a function that serves a session of `out` until the test ends."""
    running = []

    def start(renew=None):
        server = serve(Session(out, renew))
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def send(server, path, body=None):
    """GET, or POST a body; return the status and what came back."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    method, text = ("GET", None) if body is None else ("POST", json.dumps(body))
    headers = {} if body is None else {"Content-Type": "application/json"}
    connection.request(method, f"/{server.token}/{path}", text, headers)
    answer = connection.getresponse()
    content = answer.read().decode()
    is_json = answer.headers["Content-Type"].startswith("application/json")
    connection.close()
    return answer.status, json.loads(content) if is_json else content


def number_of(session, student, item="listening"):
    return next(
        n for n, card in enumerate(session.cards) if (card.student, card.item) == (student, item)
    )


EMPTY = {"points": "", "comment": ""}


def entry(points="", comment=""):
    return {"points": points, "comment": comment}


def test_the_page_groups_answers_by_item_and_names_everybody(out):
    put(out / "overrides.csv", Override("bela", "listening", 1.5, 'Good "ear"\nand <b>reasons</b>'))
    html = page(Session(out), "n")
    text = Reader(html).text
    assert "00_listen" in text and html.count("<article") == 8
    fault, listening = html.split("<h2>")[1:]
    assert "explain-fault" in fault and fault.count("<article") == 4
    names = re.findall(r"<h3><bdi>(.*?)</bdi>", listening)
    assert names == [name for _, name in sorted(CLASS, key=lambda pair: pair[1])]
    assert "bela · tests: 4 of 17" in text
    assert 'value="1.5"' in listening and html.count('value=""') == 7
    assert "\nGood &quot;ear&quot;\nand &lt;b&gt;reasons&lt;/b&gt;</textarea>" in listening
    assert "<em>eighth notes</em>" in listening and "data:audio" not in html


ABOUT = {
    "tasks": ["answer-1", "explain-fault", "listening"],
    "by_hand": {
        "explain-fault": {
            "question": [
                {"kind": "markdown", "text": "What is **wrong**?<script>x</script>"},
                {"kind": "code", "text": "\n".join(f"line_{n} = 1" for n in range(30))},
                {"kind": "code", "text": "read(odd)"},
            ],
            "scheme": [{"kind": "markdown", "text": "1 point: *velocity 0*"}],
            "is_answer": False,
            "shows": "picture",
        },
        "listening": {
            "question": [{"kind": "markdown", "text": "Which notes are lost?"}],
            "scheme": [{"kind": "markdown", "text": "The eighth note."}],
            "is_answer": True,
            "shows": "picture or sound",
        },
    },
}


def tell(out, **changes):
    (out / "run.json").write_text(json.dumps(ABOUT | changes))
    return out


def test_the_question_and_its_mark_scheme_stand_beside_the_answers(out):
    for blind in (False, True):
        html = page(Session(tell(out)), "n", blind)
        fault, listening = html.split("<h2>")[1:]
        text = Reader(fault).text
        assert "Question What is wrong?<script>x</script> 30 lines of code line_0 = 1" in text
        assert "read(odd)" in text and "Mark scheme 1 point: velocity 0" in text
        assert "<em>velocity 0</em>" in fault and fault.count("<details>") == 1
        text = Reader(listening).text
        assert "Question Which notes are lost? Answer in the source The eighth note." in text
        assert listening.index('class="asked"') < listening.index("<article")
    (out / "run.json").write_text("{")
    assert 'class="asked"' not in page(Session(out), "n")


def test_items_come_in_the_notebooks_order(out):
    def order(session):
        return re.findall(r'<h2>.*?<span class="quiet">([\w-]+) ·', page(session, "n", blind=True))

    assert order(Session(out)) == ["explain-fault", "listening"]
    session = Session(tell(out, tasks=["listening", "explain-fault"]))
    assert order(session) == ["listening", "explain-fault"]
    assert order(Session(tell(out, tasks=[]))) == ["explain-fault", "listening"]


def test_a_picture_that_was_not_saved_is_told(out):
    fault, listening = page(Session(tell(out)), "n").split("<h2>")[1:]
    assert fault.count("The notebook holds no saved picture here: it wasn’t run") == 4
    assert "no saved" not in listening


def unanswered(student, name, kind="", item="listening"):
    """A result without an answer to an item, or one of a file that nothing could be read from."""
    mine = result(student, name, answers={item: ""})
    for task in mine["tasks"]:
        if task["manual"] and (kind or task["id"] == item):
            task.update(score=0.0, answer="", outputs=[])
    mine["flags"] = [{"kind": kind or "not answered", "detail": item}]
    return mine


def test_answers_that_are_not_there_are_set_apart_and_say_why(tmp_path):
    out = save(
        tmp_path / "out", result("ada", "Ada"), unanswered("bob", "Bob"),
        unanswered("cy", "Cy", "unreadable"), unanswered("dee", "Dee", "grader"),
    )  # fmt: skip
    html = page(Session(out), "n")
    listening = html.split("<h2>")[2]
    assert re.findall("<summary>(.*?)</summary>", html) == [
        "2 not answered: 0 points each",
        "3 not answered: 0 points each",
    ]
    there, absent = listening.split('<details class="absent">')
    assert "Ada" in there and "data-absent" not in there
    assert absent.count("data-absent") == 3 and absent.count('class="points"') == 3
    text = Reader(absent).text
    assert "tests: 4 of 17 not answered: 0 points" in text
    assert "the file could not be read: 0 points" in text
    assert "the grader failed, grade again: 0 points" in text
    put(out / "overrides.csv", Override("bob", "listening", 1.0, "On paper."))
    assert '<details class="absent" open>' in page(Session(out), "n").split("<h2>")[2]
    assert '<details class="absent">' in page(Session(out), "n").split("<h2>")[1]


def test_rows_that_do_not_count_are_told(out):
    assert "as they stand" not in page(Session(out), "n")
    (out / "overrides.csv").write_text(
        "student,item,points,comment\nada,listening,7,\nbela,check-1,3,\nzoe,listening,1,\n"
        "chen,listning,1,\ndana,listening,1,\nada,explain-fault,,good\n"
    )
    text = Reader(page(Session(out), "n")).text
    assert (
        "These rows of overrides.csv don’t count as they stand:"
        " overrides.csv, line 2: 7 points for 'listening' of 'ada', which has 2 at most"
        " overrides.csv, line 3: 3 points for 'check-1' of 'bela', which has 1 at most"
        " overrides.csv, line 4: nobody called 'zoe' handed in"
        " overrides.csv, line 5: no task or test is called 'listning': is it 'listening'? " in text
    )
    assert "line 6" not in text and "line 7" not in text


def test_without_names_nothing_says_whose_an_answer_is(out):
    html = page(Session(out), "n", blind=True)
    for student, name in CLASS:
        assert student not in re.sub(r"<style>.*?</style>", "", html, flags=re.S)
        assert name not in html
    assert "tests: 4" not in html and "Answer 1" in html and "Answer 4" in html
    orders = [re.findall(r'data-card="(\d+)"', part) for part in html.split("<h2>")[1:]]
    assert orders == [sorted(order, key=int) for order in orders]
    session = Session(out)
    students = [[session.cards[int(n)].student for n in order] for order in orders]
    assert students[0] != students[1], "each item has an order of its own"
    assert sorted(students[0]) != students[0]
    assert html == page(Session(out), "n", blind=True), "the same every time"


def test_saving_writes_the_file_at_once(served, out):
    server, session = served(), Session(out)
    n = number_of(session, "ada")
    body = {"card": n, "entry": entry("1,5", " Good\near "), "before": EMPTY}
    assert send(server, "save", body) == (200, {"now": entry("1.5", "Good\near")})
    assert read(out / "overrides.csv").rows == (Override("ada", "listening", 1.5, "Good\near"),)
    body = {"card": n, "entry": entry("", ""), "before": entry("1.5", "Good\near")}
    assert send(server, "save", body) == (200, {"now": EMPTY})
    assert read(out / "overrides.csv").rows == ()


def test_saving_onto_a_row_that_changed_meanwhile_is_a_conflict(served, out):
    server, n = served(), number_of(Session(out), "ada")
    put(out / "overrides.csv", Override("ada", "listening", 0.25, "by Excel"))
    body = {"card": n, "entry": entry("2"), "before": EMPTY}
    assert send(server, "save", body) == (409, {"now": entry("0.25", "by Excel")})
    assert read(out / "overrides.csv").rows == (Override("ada", "listening", 0.25, "by Excel"),)
    put(out / "overrides.csv", Override("zoë", "gone", 1.0, "not ours"))
    body["before"] = entry("0.25", "by Excel")
    assert send(server, "save", body) == (200, {"now": entry("2")})
    assert read(out / "overrides.csv").of("zoë", "gone").comment == "not ours"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"entry": entry("2.5")}, "points are a number from 0 to 2"),
        ({"entry": entry("-1")}, "points are a number from 0 to 2"),
        ({"entry": entry("nan")}, "points must be a number, not 'nan'"),
        ({"entry": entry("1", "x" * 5001)}, "a comment has at most 5000 characters"),
        ({"entry": {"points": "1"}}, "this isn't what the page sends"),
        ({"entry": None}, "this isn't what the page sends"),
        ({"card": 99}, "there is no such answer: open the page again"),
        ({"card": -1}, "there is no such answer: open the page again"),
        ({"card": "../x"}, "there is no such answer: open the page again"),
        ({"card": 1.0}, "there is no such answer: open the page again"),
    ],
)
def test_what_cant_be_saved_is_told(served, out, body, error):
    n = number_of(Session(out), "ada")
    body = {"card": n, "entry": entry("1"), "before": EMPTY, **body}
    assert send(served(), "save", body) == (400, {"error": error})
    assert not (out / "overrides.csv").exists()


def test_a_file_that_somebody_broke_is_told_and_left_alone(served, out):
    server, n = served(), number_of(Session(out), "ada")
    (out / "overrides.csv").write_text("student,item,points,comment\nada,listening,many,\n")
    error = "overrides.csv, line 2: points must be a number, not 'many'"
    body = {"card": n, "entry": entry("1"), "before": EMPTY}
    assert send(server, "save", body) == (400, {"error": error})
    assert "line 2: points must be a number, not &#x27;many&#x27;" in send(server, "")[1]


def test_a_full_disk_is_told(served, out, monkeypatch):
    server, n = served(), number_of(Session(out), "ada")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    body = {"card": n, "entry": entry("1"), "before": EMPTY}
    error = "overrides.csv can't be written: No space left on device"
    assert send(server, "save", body) == (500, {"error": error})


def test_renewing_calls_the_hook_and_shows_what_it_says(served, out):
    assert "run <code>mlmusic grade</code> again" in send(served(), "")[1]
    assert send(served(), "renew", {}) == (404, "Not Found\n")
    server = served(lambda: "4 rows are new.")
    assert 'id="renew"' in send(server, "")[1]
    assert send(server, "renew", {}) == (200, {"message": "4 rows are new."})

    def fails():
        raise RuntimeError("the source is gone")

    assert send(served(fails), "renew", {}) == (500, {"error": "the source is gone"})


def test_of_several_attempts_the_last_is_graded(tmp_path):
    first = result(answers={"listening": "the first try"}) | {"submission": "ada-1"}
    last = result(answers={"listening": "the last try"}) | {"submission": "ada-2", "attempt": 2}
    html = page(Session(save(tmp_path, last, first)), "n")
    assert "the last try" in html and "the first try" not in html


def test_a_damaged_result_is_named_and_the_others_are_graded(out):
    (out / "results" / "eve.json").write_text('{"student": "eve", "tasks": [{}]}')
    (out / "results" / "fay.json").write_text("{")
    html = page(Session(out), "n")
    assert html.count("<article") == 8
    assert "Not shown, because the file is damaged: eve.json, fay.json" in html


def test_an_assignment_without_manual_items(tmp_path):
    mine = result()
    mine["tasks"] = [task for task in mine["tasks"] if not task["manual"]]
    assert "nothing to grade by hand" in page(Session(save(tmp_path, mine)), "n")


def test_students_outputs_come_by_themselves_and_nothing_else_does(served, out):
    server, session = served(), Session(out)
    n = number_of(session, "ada")
    status, html = send(server, f"outputs/{n}")
    assert status == 200 and html.count("<audio controls") == 2 and "<script" not in html
    assert send(server, f"outputs/{number_of(session, 'ada', 'explain-fault')}") == (200, "")
    for path in ("outputs/99", "outputs/-1", "outputs/", "outputs/../results/ada.json", "outputs",
                 "results/ada.json", "../results/ada.json", "overrides.csv", "save", "favicon.ico",
                 "outputs/%30", "?names=x"):  # fmt: skip
        assert send(server, path)[0] == 404, path
    (out / "results" / "ada.json").write_text("{")
    assert send(server, f"outputs/{n}") == (200, "<p>The result is damaged.</p>")


def test_hidden_tests_messages_dont_appear_here_either(served):
    assert SECRET not in send(served(), "")[1]


def test_the_page_is_there_for_everybody(out):
    found = Reader(page(Session(out), "n"))
    labels = sum(tag == "label" for tag, _ in found.tags)
    boxes = [attributes for tag, attributes in found.tags if tag in ("input", "textarea")]
    assert labels == len(boxes) == 2 * 8 + 1
    assert all(b - a <= 1 for a, b in zip(found.headings, found.headings[1:], strict=False))
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    described = [b["aria-describedby"] for b in boxes if "aria-describedby" in b]
    assert len(ids) == len(set(ids)) and set(described) <= set(ids)
    policy = next(a["content"] for _, a in found.tags if a.get("http-equiv"))
    assert policy.endswith("; script-src 'nonce-n'; connect-src 'self'")


def test_main_says_what_is_missing(tmp_path, capsys, out):
    assert by_hand.main(tmp_path) == 1
    assert capsys.readouterr().err == (
        f"mlmusic grade: no results in {tmp_path}: run `mlmusic grade` first\n"
    )
    (out / "overrides.csv").write_text("x\n")
    assert by_hand.main(out) == 1
    assert "overrides.csv, line 1: column 'student' is missing" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
def test_ctrl_c_ends_it_with_one_line(out):
    command = (
        "import sys; from mlmusic.grading.pages.by_hand import main; sys.exit(main(sys.argv[1]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", command, str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    first = process.stdout.readline()
    address = re.fullmatch(
        r"Grade by hand in a browser: (http://127\.0\.0\.1:\d+/[\w-]{32}/) \(Ctrl-C ends this\)\n",
        first,
    )
    assert address, first
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert rest.strip() == (
        f"Saved in {out / 'overrides.csv'}. `mlmusic grade` renews grades and feedback."
    )
    assert (process.returncode, errors) == (0, "")


# In a browser


def cards(driver):
    return driver.find_elements("css selector", "[data-card]")


def box(card, kind="points"):
    return card.find_element("css selector", f".{kind}")


def until(condition, what):
    import time

    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"never came: {what}")


def says(driver, text):
    until(lambda: text in driver.find_element("tag name", "body").text, text)


def test_grading_with_the_keyboard(served, out, chromium):  # noqa: F811
    from selenium.webdriver.common.keys import Keys

    chromium.get(served().url)
    says(chromium, "0 of 8 graded · ✓ All saved")
    first, second, third = cards(chromium)[:3]
    box(first).send_keys("1", Keys.ENTER)
    assert chromium.switch_to.active_element == box(second)
    box(second).send_keys(Keys.ARROW_UP, Keys.TAB)
    assert chromium.switch_to.active_element == box(second, "words")
    box(second, "words").send_keys("Half.", Keys.ENTER, "Why?", Keys.CONTROL, Keys.ENTER)
    assert chromium.switch_to.active_element == box(third)
    box(third).send_keys("0", Keys.SHIFT, Keys.ENTER)
    assert chromium.switch_to.active_element == box(second)
    says(chromium, "3 of 8 graded · ✓ All saved")
    assert read(out / "overrides.csv").rows == (
        Override("ada", "explain-fault", 1.0),
        Override("bela", "explain-fault", 0.5, "Half.\nWhy?"),
        Override("dana", "explain-fault", 0.0),
    )
    assert "✓ Saved" in first.text
    chromium.find_element("id", "only").click()
    assert [card.is_displayed() for card in cards(chromium)] == [False] * 3 + [True] * 5
    chromium.refresh()
    says(chromium, "3 of 8 graded · ✓ All saved")
    assert box(cards(chromium)[1], "words").get_property("value") == "Half.\nWhy?"
    assert chromium.get_log("browser") == []


def test_what_is_typed_is_saved_without_any_key(served, out, chromium):  # noqa: F811
    chromium.get(served().url)
    box(cards(chromium)[0]).send_keys("0,5")
    says(chromium, "1 of 8 graded · ✓ All saved")
    assert read(out / "overrides.csv").of("ada", "explain-fault").points == 0.5


def test_wrong_points_are_told_and_not_saved(served, out, chromium):  # noqa: F811
    from selenium.webdriver.common.keys import Keys

    chromium.get(served().url)
    first = cards(chromium)[0]
    box(first).send_keys("7", Keys.ENTER)
    says(chromium, "✗ Not saved: points are a number from 0 to 1")
    says(chromium, "✗ Not everything is saved")
    assert box(first).get_attribute("aria-invalid") == "true"
    assert not (out / "overrides.csv").exists()
    box(first).send_keys(Keys.BACKSPACE, "1", Keys.ENTER)
    says(chromium, "1 of 8 graded · ✓ All saved")
    assert box(first).get_attribute("aria-invalid") is None


def test_points_that_do_not_count_are_not_graded(served, out, chromium):  # noqa: F811
    from selenium.webdriver.common.keys import Keys

    (out / "overrides.csv").write_text(
        "student,item,points,comment\nada,explain-fault,5,\nbela,explain-fault,1,\n"
    )
    chromium.get(served().url)
    says(chromium, "1 of 8 graded · ✗ overrides.csv has points that don’t count")
    first, second = cards(chromium)[:2]
    assert "overrides.csv says 5 points, and there are 1 at most: mend it here" in first.text
    assert box(first).get_attribute("aria-invalid") == "true"
    assert "graded" in second.get_attribute("class").split()
    assert "graded" not in first.get_attribute("class").split()
    chromium.find_element("id", "only").click()
    assert first.is_displayed() and not second.is_displayed()
    box(first).send_keys(Keys.BACKSPACE, "1", Keys.ENTER)
    says(chromium, "2 of 8 graded · ✓ All saved")
    assert read(out / "overrides.csv").of("ada", "explain-fault").points == 1


def test_answers_that_are_not_there_are_done_and_skipped(served, out, chromium):  # noqa: F811
    from selenium.webdriver.common.keys import Keys

    save(out, unanswered("bela", "Béla Fekete", item="explain-fault"))
    chromium.get(served().url)
    says(chromium, "1 of 8 graded (1 not answered) · ✓ All saved")
    shown = [card for card in cards(chromium) if card.is_displayed()]
    assert len(shown) == 7
    box(shown[2]).send_keys("1", Keys.ENTER)
    assert chromium.switch_to.active_element == box(shown[3]), "over the one that is folded away"
    says(chromium, "2 of 8 graded (1 not answered)")
    summary = chromium.find_element("css selector", ".absent summary")
    summary.send_keys(Keys.ENTER)
    folded = chromium.find_element("css selector", ".absent [data-card]")
    assert folded.is_displayed() and "not answered: 0 points" in folded.text
    box(shown[2]).send_keys(Keys.ENTER)
    assert chromium.switch_to.active_element == box(folded)
    box(folded).send_keys("0,5", Keys.ENTER)
    says(chromium, "2 of 8 graded · ✓ All saved")
    assert read(out / "overrides.csv").of("bela", "explain-fault").points == 0.5
    chromium.find_element("id", "only").click()
    assert not summary.is_displayed()
    assert chromium.get_log("browser") == []


@pytest.mark.parametrize("width", [400, 1400])
def test_the_question_stays_where_there_is_room(served, out, chromium, width):  # noqa: F811
    tell(out)
    size = {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        chromium.get(served().url)
        last = [card for card in cards(chromium) if card.is_displayed()][3]
        chromium.execute_script("arguments[0].scrollIntoView({behavior: 'instant'})", last)
        asked, bar = (
            chromium.execute_script(
                "return document.querySelector(arguments[0]).getBoundingClientRect()", what
            )
            for what in (".asked", ".bar-top")
        )
        wide = chromium.execute_script("return document.documentElement.scrollWidth")
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide <= width
    assert (asked["bottom"] > bar["bottom"]) == (width == 1400)


def test_a_conflict_lets_one_choose(served, out, chromium):  # noqa: F811
    from selenium.webdriver.common.keys import Keys

    chromium.get(served().url)
    put(out / "overrides.csv", Override("ada", "explain-fault", 0.0, "<b>by Excel</b>"))
    put(out / "overrides.csv", Override("bela", "explain-fault", 0.0, "by Excel"))
    first, second = cards(chromium)[:2]
    box(first).send_keys("1", Keys.ENTER)
    says(chromium, "overrides.csv was changed meanwhile and says 0 points, “<b>by Excel</b>”.")
    first.find_element("xpath", ".//button[text()='Keep what I typed']").click()
    says(chromium, "1 of 8 graded · ✓ All saved")
    box(second).send_keys("1", Keys.ENTER)
    says(chromium, "says 0 points, “by Excel”.")
    second.find_element("xpath", ".//button[text()='Take what the file says']").click()
    says(chromium, "2 of 8 graded · ✓ All saved")
    assert box(second).get_property("value") == "0"
    assert box(second, "words").get_property("value") == "by Excel"
    assert read(out / "overrides.csv").rows == (
        Override("ada", "explain-fault", 1.0),
        Override("bela", "explain-fault", 0.0, "by Excel"),
    )


def test_a_server_that_is_gone_is_told(out, chromium):  # noqa: F811
    server = serve(Session(out))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    chromium.get(server.url)
    says(chromium, "0 of 8 graded")
    server.shutdown()
    thread.join()
    server.server_close()
    box(cards(chromium)[0]).send_keys("1")
    says(chromium, "✗ Not saved: no answer")
    says(chromium, "✗ Not everything is saved")
    chromium.execute_script("document.querySelector('.points').value = ''")


def test_pictures_and_sounds_come_when_their_card_is_near(served, chromium):  # noqa: F811
    chromium.get(served().url + "?names=hidden")
    chromium.execute_script("document.querySelectorAll('[data-card]')[7].scrollIntoView()")
    until(lambda: chromium.find_elements("css selector", ".outputs audio"), "a player")
    chromium.execute_script("scrollTo(0, 0)")
    count = "return document.querySelectorAll('.outputs audio').length"
    for n in range(8):
        chromium.execute_script(f"document.querySelectorAll('[data-card]')[{n}].scrollIntoView()")
    until(lambda: chromium.execute_script(count) == 8, "all players")
    assert min(heard(chromium)) > 1 and min(pictures(chromium)) > 100
    assert chromium.get_log("browser") == []


def test_no_students_attack_runs_here(out, served, chromium):  # noqa: F811
    for place, attack in enumerate(ATTACKS[:20]):
        save(out, infected(attack) | {"submission": f"attack {place}"})
    every = infected("")
    for task in every["tasks"]:
        if task["manual"]:
            task["answer"] = "\n\n".join(ATTACKS)
            task["outputs"] = [
                {"mime": mime, "data": attack}
                for attack in ATTACKS
                for mime in ("text/html", "text/markdown", "image/svg+xml")
            ]
    save(out, every | {"submission": "attacks", "student": "attacks", "title": "".join(ATTACKS)})
    put(out / "overrides.csv", Override("ada", "listening", None, "".join(ATTACKS)[:4000]))
    server = served()
    chromium.get(server.url)
    chromium.execute_script(
        "for (const place of document.querySelectorAll('[data-load]')) load(place)"
    )
    busy = "return [...document.querySelectorAll('[data-load]')].some((e) => !e.innerHTML)"
    until(lambda: not chromium.execute_script(busy), "all outputs")
    assert chromium.execute_script("return window.hit") is None
    tags = chromium.execute_script(
        "return [...new Set([...document.querySelectorAll('main *')].map((e) => e.localName))]"
    )
    assert not {"script", "style", "iframe", "object", "embed", "form", "link"} & {*tags}
    handlers = chromium.execute_script(
        "return [...document.querySelectorAll('*')].some((e) => [...e.attributes]"
        ".some((a) => a.name.startsWith('on') || a.name === 'style'))"
    )
    assert handlers is False
    log = [each["message"] for each in chromium.get_log("browser")]
    assert not [message for message in log if "Content Security Policy" in message]


class Other(http.server.BaseHTTPRequestHandler):
    """Another site, open to everybody."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(b"open")

    def log_message(self, *args):
        pass


def test_another_page_gets_nothing_even_with_the_token(served, out, chromium):  # noqa: F811
    """A page of another origin in the same browser, which somehow learned the address."""
    server, n = served(), number_of(Session(out), "ada")
    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=other.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    chromium.get(f"http://127.0.0.1:{other.server_port}/")
    tried = chromium.execute_async_script(
        """
        const [url, number, done] = arguments, said = [];
        const body = JSON.stringify({ card: number, entry: { points: "2", comment: "" },
          before: { points: "", comment: "" } });
        const json = { "Content-Type": "application/json" };
        const attempts = [
          [location.href, {}],
          [url, {}],
          [url, { mode: "no-cors" }],
          [url + "outputs/" + number, {}],
          [url + "save", { method: "POST", body }],
          [url + "save", { method: "POST", body, headers: json }],
          [url + "save", { method: "POST", body, mode: "no-cors" }],
        ];
        (async () => {
          for (const [address, options] of attempts) {
            said.push(await fetch(address, options).then((a) => a.text(), () => "failed"));
          }
          const frame = document.createElement("iframe");
          frame.src = url;
          document.body.append(frame);
          frame.onload = () => {
            try { said.push(frame.contentDocument.body.innerHTML); } catch { said.push("failed"); }
            done(said);
          };
        })();
        """,
        server.url,
        n,
    )
    other.shutdown()
    thread.join()
    other.server_close()
    assert tried == ["open"] + ["failed"] * 7
    assert not (out / "overrides.csv").exists()
