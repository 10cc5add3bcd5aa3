"""A student's page: it says what helps, shows their work, and gives nothing away."""

import copy
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mlmusic.grading.overrides import Override, Overrides
from mlmusic.grading.pages import feedback
from mlmusic.grading.pages.document import style
from mlmusic.grading.pages.feedback import page
from tests.grading.pages.attacks_on_pages import ATTACKS
from tests.grading.pages.chromium import chromium, heard, pictures  # noqa: F401
from tests.grading.pages.example_results import (
    OUTCOMES,
    SECRET,
    UNFINISHED,
    player,
    png,
    result,
)

GIVEN = Overrides((
    Override("ada", "listening", 1.5, "You heard the lost note.", 2),
    Override("ada", "hidden-3", 1.0, "For the right idea & <effort>.", 3),
    Override("ada", "", None, "See me about loops.", 4),
    Override("grace", "", None, "not for ada", 5),
))  # fmt: skip


class Reader(HTMLParser):
    """The words of a page, its headings and its tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words, self.tags, self.headings = [], [], []
        self._skipping = False
        self.feed(html)
        self.close()
        self.text = " ".join("".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._skipping = tag == "style"
        if tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
            self.headings.append(int(tag[1]))
        if tag in ("p", "li", "td", "th", "h1", "h2", "h3", "pre", "div", "br"):
            self.words.append(" ")

    def handle_endtag(self, tag):
        self._skipping = False

    def handle_data(self, data):
        if not self._skipping:
            self.words.append(data)


def words(*args, **more):
    return Reader(page(*args, **more)).text


def task(text, title):
    """What a page says about one task."""
    return text[text.rindex(title) :].split("What you wrote")[0]


def test_the_page_says_who_what_and_how_many_points():
    text = words(result(), assignment_title="What is music to a program?")
    assert text.startswith(
        "What is music to a program? – Ada Ahlgren Feedback What is music to a program?"
        " Ada Ahlgren (ada) 4 of 20 points 3 points still wait for grading by hand"
    )
    assert "Task 1: from pitch to frequency ✓ full marks 2 of 2" in text
    assert "Task 2: play it backwards ◐ in part 2 of 3" in text
    assert "Task 4: which note is this? ○ not yet 0 of 3" in text
    assert "Task 5: is it the same tune? ○ not answered 0 of 3" in text
    assert "Listening question … waits for grading by hand – of 2" in text
    assert "(explain-fault) … waits for grading by hand – of 1" in text, "two tasks, one heading"


def test_a_visible_test_speaks_in_its_own_words():
    text = task(words(result()), "Task 2: play it backwards")
    assert "✗ not passed check-2 · 0 of 1 the music must begin at 0: a note's new onset" in text
    assert "✓ passed hidden-2 · hidden test · 2 of 2" in text


@pytest.mark.parametrize(
    ("outcome", "message", "said"),
    [
        ("timeout", "", "Your function ran for more than 7.5 seconds and was stopped. Is there a"),
        ("died", "", "it called exit(), or it needed more memory than there is (3 GB)."),
        ("missing", "decode is not defined", "another name in your answer? decode is not defined"),
        ("not run", "the tests took too long", "could not be run. the tests took too long"),
        ("error", "TypeError: <b>", "Your code ended in an error: TypeError: <b>"),
        ("failed", "", "What the check expects isn’t so yet; it is the cell below your answer."),
        ("failed", "pitch 61 & not <62>", "0 of 1 pitch 61 & not <62>"),
    ],
)
def test_each_way_to_fail_is_explained_kindly(outcome, message, said):
    mine = result(outcomes={"check-2": outcome})
    mine["tasks"][1]["tests"][0]["message"] = message
    mine["provenance"]["limits"] = {"call": 7.5, "memory": 3 << 30}
    assert said in task(words(mine), "Task 2: play it backwards")


def test_a_task_without_an_answer_has_nothing_to_check():
    text = words(result(outcomes={"check-2": "missing"}, answers={"answer-2": ""}))
    told = "check-2 · 0 of 1 There is nothing to check yet: this task has no answer."
    assert told in task(text, "Task 2: play it backwards")


def test_a_stub_that_raises_is_not_answered_and_nothing_dangles():
    mine = result(outcomes={"check-2": "error", "hidden-2": "error"})
    told = "your code raised NotImplementedError (line 3 of its cell): "
    mine["tasks"][1]["tests"][0]["message"] = told
    mine["tasks"][1]["score"] = 0.0
    text = words(mine)
    assert "Task 2: play it backwards ○ not answered 0 of 3" in text
    assert (
        "check-2 · 0 of 1 Not answered yet: raises NotImplementedError (line 3 of its cell). ✗ not"
        in task(text, "Task 2: play it backwards")
    )
    mine["tasks"][1]["tests"][0]["message"] = ""
    assert "Your code ended in an error. ✗" in task(words(mine), "Task 2: play it backwards")
    mine["tasks"][1]["tests"][0]["message"] = "ValueError:"
    text = task(words(mine), "Task 2: play it backwards")
    assert "○ not yet" in text and "Your code ended in an error: ValueError ✗" in text


def test_odd_limits_are_no_reason_to_fail():
    for limits in (None, {"call": "x"}, {"more": 1}):
        assert "more than 5 seconds" in words(result() | {"provenance": {"limits": limits}})


def everything_else(outcome, message):
    mine = result()
    for each in mine["tasks"]:
        for test in each["tests"]:
            if test["hidden"] and test["outcome"] != "passed":
                test.update(outcome=outcome, message=message)
    return page(mine, GIVEN)


def test_a_hidden_test_tells_its_name_and_whether_it_passed_and_nothing_more():
    """The very same bytes, whatever it said and however it failed."""
    pages = {
        everything_else(outcome, message)
        for outcome in ("failed", "error", "timeout", "died", "missing", "not run")
        for message in ("", SECRET, "<b>pitch 61</b>")
    }
    assert len(pages) == 1
    html = pages.pop()
    for secret in (SECRET, "HIDDEN", "987.77", "424242", "77aa77aa", "open a socket"):
        assert secret not in html
    assert "hidden-4" in html


def test_flags_speak_to_the_student_and_details_of_tests_stay_out():
    text = words(result())
    assert "Part of your notebook ran too long and was stopped." in text
    assert "left out. cell 12: NameError: name 'tunee' is not defined" in text
    assert "socket" not in text and "hidden-3:" not in text
    mine = result(flags=[{"kind": "unreadable", "detail": "secret place"}] * 3)
    assert words(mine).count("could not be opened as a notebook, so nothing in it was graded") == 1
    assert "secret place" not in words(mine)
    assert "Good to know" not in words(result(flags=[{"kind": "similar", "detail": "to bob"}]))


def test_cells_that_ended_in_an_error_share_a_note():
    details = ["cell 3: NameError: x", "cell 5: NotImplementedError:", "cell 9: NameError: x"]
    text = words(result(flags=[{"kind": "cell error", "detail": each} for each in details]))
    assert text.count("your cells ended in an error") == 1
    assert (
        "3 of your cells ended in an error, so what comes after it in those cells was left out."
        " cells 3, 9: NameError: x cell 5: not answered yet: raises NotImplementedError" in text
    )


@pytest.mark.parametrize("kind", ["unreadable", "not a notebook", "wrong notebook", "grader"])
def test_what_could_not_be_graded_is_told_once(kind):
    outcome = "missing" if kind == "wrong notebook" else "not run"
    blank = result(outcomes=dict.fromkeys(OUTCOMES, outcome), answers=dict.fromkeys(UNFINISHED, ""))
    for each in blank["tasks"]:
        each.update(score=0.0, outputs=[])
    blank["flags"] = [{"kind": kind, "detail": "cut off"}]
    html = page(blank)
    assert words(blank).count("○ not graded 0 of") == 8 and "not answered" not in html
    assert Reader(html).headings == [1, 2, 2] and "could not be run" not in html
    assert 'href="#' not in html, "there is nothing to jump to"
    given = Overrides((Override("ada", "listening", 2.0, "On paper."),))
    assert "On paper." in page(blank, given)


def test_a_plot_that_was_not_saved_is_told():
    shows = {"listening": "picture or sound", "explain-fault": "picture"}
    mine = result()
    assert "Your notebook holds no saved picture here: it wasn’t run" in words(mine, shows=shows)
    assert "no saved picture or sound" not in words(mine, shows=shows)
    mine["tasks"][-1]["outputs"] = [{"mime": "text/plain", "data": "<Axes: >"}]
    assert "Your notebook holds no saved picture or sound here" in words(mine, shows=shows)
    mine["tasks"][-1]["answer"] = ""
    assert "no saved picture or sound" not in words(mine, shows=shows)
    assert "no saved" not in words(result())


def test_a_test_with_points_by_hand_shows_what_they_are_and_not_what_it_found():
    text = task(words(result(), GIVEN), "Task 3: notes as runs")
    assert "◐ in part hidden-3 · hidden test · 1 of 2 · given by hand" in text
    assert "✗ not passed check-3 · 0 of 1" in text
    rows = (
        Override("ada", "check-2", 1.0),
        Override("ada", "hidden-2", 0.0),
        Override("ada", "answer-4", 3.0),
    )
    text = words(result(), Overrides(rows))
    second = task(text, "Task 2: play it backwards")
    assert "✓ full points check-2 · 1 of 1 · given by hand ✗ no points hidden-2" in second
    assert "must begin at 0" not in second
    fourth = task(text, "Task 4: which note is this?")
    assert "✓ full marks · 3 of 3 points · given by hand" in fourth
    assert "by hand. What the tests found doesn’t count. ✗ not passed check-4 an A of" in fourth


def test_points_and_comments_by_hand_stand_where_they_belong():
    text = words(result(), GIVEN)
    assert "6.5 of 20 points 1 point still waits for grading by hand" in text
    assert "From your instructor See me about loops." in text.split("Task by task")[0]
    assert (
        "hidden-3 · hidden test · 1 of 2 · given by hand From your instructor For the right idea &"
        " <effort>." in task(text, "Task 3: notes as runs")
    )
    assert "1.5 of 2 points · given by hand From your instructor You heard the lost note." in text
    assert "not for ada" not in text


def test_the_students_own_work_is_shown():
    html = page(result())
    assert '<span class="k">def</span><span class="w"> </span><span class="nf">frequency</span>' \
        in html  # fmt: skip
    assert (
        "<em>eighth notes</em>" in html and "<li>the tune loses its only eighth notes,</li>" in html
    )
    assert f'src="data:image/png;base64,{png()}"' in html
    assert "pitch: 440\nrate:  22050" in html
    sounds = re.findall(r'src="(data:audio/mpeg;base64,[^"]+)"', player())
    assert len(sounds) == 2 and all(sound in html for sound in sounds)


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ({"mime": "text/html", "data": "<script>plot()</script>"}, "An output that needs a script"),
        ({"mime": "image/png", "data": "AAAA"}, "A picture that is damaged is left out here."),
        ({"mime": "application/x-thing", "data": "x"}, "An output of another kind (application/x-"),
        ({"mime": "text/markdown", "data": "**loud**"}, "<strong>loud</strong>"),
        ({"mime": "text/latex", "data": r"$\frac<b>$"}, r"<code>$\frac&lt;b&gt;$</code>"),
        ({"mime": "text/plain", "data": "\x1b[31m<b>\x1b[0m"}, "<pre>&lt;b&gt;</pre>"),
        ({"mime": "text/plain", "data": "x" * 30_000}, "… and 10,000 more characters"),
        ({"mime": "image/svg+xml", "data": '<svg xmlns="http://www.w3.org/2000/svg"/>'}, "+xml;ba"),
        ({}, "An output of another kind ()"),
    ],
)  # fmt: skip
def test_outputs_of_every_kind(output, shown):
    mine = result()
    mine["tasks"][0]["outputs"] = [output]
    assert shown in page(mine)


def test_the_page_is_bounded():
    mine = result()
    mine["tasks"][0]["outputs"] = [{"mime": "text/html", "data": "&lt;" * 400_000}] * 4
    mine["tasks"][1]["tests"][0]["message"] = "m" * 100_000
    mine["tasks"][1]["answer"] = "a" * 100_000
    html = page(mine)
    assert len(html) < 5_000_000
    assert html.count("An output that is too large for this page is left out here.") == 2
    assert "… and 98,000 more characters" in html


def test_code_and_words_are_told_apart_where_answers_are_graded_by_hand():
    for code in ("plt.plot(x)", "x = 3", "def f():\n    pass", "import numpy", "from a import b"):
        assert '<pre class="code"' in page(result(answers={"listening": code})).rsplit("<h2>", 1)[1]
    for prose in ("No.", "x", "It is (I think) the rhythm.", "a == b", "```\nx = 3\n```", "# Why",
                  "440 * 2", "import is hard to hear"):  # fmt: skip
        assert '<div class="prose">' in page(result(answers={"listening": prose}))\
            .rsplit("<h2>", 1)[1], prose  # fmt: skip
    assert "There is no answer to this task" in page(result(answers={"listening": " \n"}))


def test_a_result_in_which_nothing_could_be_marked():
    blank = result(
        outcomes=dict.fromkeys(OUTCOMES, "not run"),
        answers=dict.fromkeys(["answer-1", "listening"], ""),
        flags=[{"kind": "not a notebook", "detail": "handed in: essay.docx"}],
    )
    text = words(blank)
    assert "What you handed in isn’t a notebook" in text and "○ not graded 0 of 3" in text
    nothing = {"score": 0.0, "points": 0.0, "tasks": [], "flags": [], "submission": "x"}
    assert "0 of 0 points" in words(nothing) and "<table" not in page(nothing)


def test_what_stands_in_the_page_is_what_a_page_needs_to_be_read_by_everybody():
    found = Reader(page(result(), GIVEN))
    tags = {}
    for tag, attributes in found.tags:
        tags.setdefault(tag, []).append(attributes)
    assert tags["html"] == [{"lang": "en"}] and len(tags["main"]) == 1
    assert found.headings[0] == 1 and found.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(found.headings, found.headings[1:], strict=False))
    assert all(image["alt"] for image in tags["img"])
    assert all(sound["aria-label"] and "controls" in sound for sound in tags["audio"])
    assert all(cell.get("scope") in ("col", "row") for cell in tags["th"])
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    links = [link["href"] for link in tags["a"]]
    assert len(ids) == len(set(ids)) and links == [f"#{name}" for name in ids]
    assert {name for _, attributes in found.tags for name in attributes}.isdisjoint({"style"})
    assert not {"script", "iframe", "link", "form", "object"} & tags.keys()


def test_the_policy_forbids_everything_but_the_pages_own():
    policy = next(
        attributes["content"]
        for tag, attributes in Reader(page(result())).tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert re.fullmatch(
        "default-src 'none'; img-src data:; media-src data:; base-uri 'none'; form-action 'none'; "
        "style-src 'sha256-[A-Za-z0-9+/]{43}='",
        policy,
    )


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_has_a_contrast_of_at_least_four_and_a_half(scheme):
    block = re.findall(r":root \{(.*?)\}", style("feedback.css"), re.S)[scheme]
    colours = dict(re.findall(r"--(\w+): (#\w{6});", block))
    texts = colours.keys() - {"paper", "card", "line", "code", "mark"}
    assert len(texts) == 12
    for text in texts:
        for ground in ("paper", "card", "code", "mark"):
            a, b = sorted((luminance(colours[text]), luminance(colours[ground])))
            assert (b + 0.05) / (a + 0.05) >= 4.5, (text, ground)


def test_the_same_result_gives_the_same_bytes():
    command = (
        "import json, sys; from mlmusic.grading.pages.feedback import page;"
        "sys.stdout.buffer.write(page(json.load(sys.stdin)).encode())"
    )
    text = json.dumps(result())
    shuffled = json.dumps(result(), sort_keys=True)
    pages = {
        subprocess.run(
            [sys.executable, "-c", command], input=given.encode(), capture_output=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed, given in (("1", text), ("2", shuffled))
    }  # fmt: skip
    assert pages == {page(result()).encode()}


def test_write_puts_the_whole_page_there_or_nothing(tmp_path, monkeypatch):
    path = feedback.write(tmp_path / "feedback" / "ada.html", result(), GIVEN, "Chapter 0")
    assert path.read_bytes() == page(result(), GIVEN, "Chapter 0").encode()
    before = path.read_bytes()

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        feedback.write(path, result())
    assert path.read_bytes() == before and os.listdir(path.parent) == ["ada.html"]


def infected(attack):
    """A result into which a student wrote an attack wherever a student can write."""
    mine = copy.deepcopy(result(student=attack, name=attack))
    mine.update(submission=attack, assignment=attack)
    for each in mine["tasks"]:
        each["answer"] = attack
        each["outputs"] = [
            {"mime": mime, "data": attack}
            for mime in ("text/html", "text/plain", "text/markdown", "image/png", "image/svg+xml",
                         attack)
        ]  # fmt: skip
        for test in each["tests"]:
            test["message"] = attack
    mine["flags"] = [{"kind": "cell error", "detail": attack}]
    return mine


def test_no_attack_runs_wherever_a_student_writes_it(tmp_path, chromium):  # noqa: F811
    """One page with all attacks: nothing runs, and the policy has nothing to forbid."""
    every = infected("x")
    for place, attack in enumerate(ATTACKS):
        one = infected(attack)
        every["tasks"] += [{**one["tasks"][place % 8], "title": attack, "id": attack}]
        every["flags"] += one["flags"]
    every["student"] = every["name"] = "".join(ATTACKS)
    path = feedback.write(tmp_path / "page.html", every, None, "".join(ATTACKS[::-1]))
    chromium.get(path.as_uri())
    chromium.execute_script(
        """
        for (const element of document.querySelectorAll("*")) {
          for (const kind of ["click", "mouseover", "focus", "pointerenter", "error", "load"]) {
            element.dispatchEvent(new Event(kind));
          }
        }
        """
    )
    assert chromium.execute_script("return window.hit") is None
    tags = chromium.execute_script(
        "return [...new Set([...document.querySelectorAll('body *')].map((e) => e.localName))]"
    )
    assert not {"script", "style", "iframe", "object", "embed", "form", "input", "link"} & {*tags}
    addresses = chromium.execute_script(
        "return [...document.querySelectorAll('[src], [href]')].map((e) => e.src || e.href)"
    )
    assert all(a.startswith(("data:image/", "data:audio/", path.as_uri() + "#")) for a in addresses)
    refused = [entry["message"] for entry in chromium.get_log("browser")]
    assert not [message for message in refused if "Content Security Policy" in message]


def test_the_page_shows_its_pictures_and_plays_its_sounds(tmp_path, chromium):  # noqa: F811
    path = feedback.write(tmp_path / "page.html", result(), GIVEN)
    chromium.get(path.as_uri())
    assert heard(chromium) == [pytest.approx(5, abs=1.5)] * 2
    assert len(pictures(chromium)) == 3 and min(pictures(chromium)) > 100
    messages = [entry["message"] for entry in chromium.get_log("browser")]
    # Chromium sometimes looks for an icon of its own accord; the page's policy forbids that, too.
    assert [text for text in messages if "favicon" not in text] == []


def test_a_phone_shows_the_page_without_scrolling_sideways(tmp_path, chromium):  # noqa: F811
    path = feedback.write(tmp_path / "page.html", result(name="Ada" * 60), GIVEN, "Music" * 30)
    size = {"width": 360, "height": 640, "deviceScaleFactor": 1, "mobile": True}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        chromium.get(path.as_uri())
        wide = chromium.execute_script("return document.documentElement.scrollWidth")
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide == 360


def test_printed_nothing_of_the_code_is_cut_off(tmp_path, chromium):  # noqa: F811
    long = "x = 1  # " + "a long line " * 40 + "\nx += 1" * 200
    path = feedback.write(tmp_path / "page.html", result(answers={"answer-1": long}))
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        chromium.get(path.as_uri())
        cut = chromium.execute_script(
            "return [...document.querySelectorAll('pre')].filter((e) => e.scrollHeight >"
            " e.clientHeight + 1 || e.scrollWidth > e.clientWidth + 1).length"
        )
    finally:
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert cut == 0
