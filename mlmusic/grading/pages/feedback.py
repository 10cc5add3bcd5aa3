"""One page of feedback for each student: what was earned, what is still wrong, and what they made.

The page is one file that needs nothing else: no script, no network, no other file. What a student
wrote is shown through `untrusted`, and a Content-Security-Policy forbids what could slip through.
Of hidden tests it shows the name and whether they passed, and nothing more. The same result gives
the same bytes.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mlmusic.grading import overrides as by_hand
from mlmusic.grading.limits import Limits
from mlmusic.grading.overrides import Overrides, show
from mlmusic.grading.pages import untrusted, wording
from mlmusic.grading.pages.document import Outputs, answer, document, line, style, unsaved

MOST_MESSAGE = 2_000

# What the flags mean to the student. Others are the instructor's business and don't appear.
_FLAGS = {
    "unreadable": "The file that you handed in could not be opened as a notebook, so nothing in it"
    " was graded. Open it in Jupyter; if it opens there, save it and hand it in again.",
    "not a notebook": "What you handed in isn’t a notebook (a file that ends in .ipynb), so nothing"
    " in it was graded.",
    "wrong notebook": "The notebook that you handed in doesn’t look like this assignment: none of"
    " its tasks was found. Did you hand in another one?",
    "encoding": "Some letters in your notebook may be wrong, because the file isn’t UTF-8.",
    "grader": "The grading itself met a fault that isn’t yours. Your instructor has been told.",
    "sandbox": "The grading itself met a fault that isn’t yours. Your instructor has been told.",
    "timeout": "Part of your notebook ran too long and was stopped.",
    "died": "Part of your notebook ended the Python that ran it, by calling exit() or by needing"
    " more memory than there is.",
    "retyped": "An answer stood in a text cell instead of a code cell. It was graded all the same.",
    "ignored command": "A command that installs or starts something was left out while grading.",
    "cell error": "One of your cells ended in an error, so what comes after it in that cell was"
    " left out.",
}
_CELL_ERRORS = (
    "{} of your cells ended in an error, so what comes after it in those cells was left out."
)
# Flags of what left nothing to grade.
_NOTHING = ("unreadable", "not a notebook", "wrong notebook", "grader", "sandbox", "died")
# Flags whose detail is about the student's own cells; of others a detail might say too much.
_DETAILED = ("cell error", "ignored command", "retyped")


def page(
    result: Mapping[str, Any],
    overrides: Overrides | None = None,
    assignment_title: str | None = None,
    shows: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return a student's feedback as one HTML document.

    Parameters
    ----------
    result : dict
        What the grading of a submission found, with its student.
    overrides : Overrides, optional
        Points and comments given by hand.
    assignment_title : str, optional
        What the page is called; by default the assignment's name.
    shows : mapping of str to str, optional
        For an item that is graded by hand, what its cells show, such as "picture": where the
        notebook has none, the page says so.

    Returns
    -------
    str
        The same for the same result and overrides.

    Raises
    ------
    ValueError
        If an override gives more points than its item has.
    """
    result = by_hand.apply(result, overrides)
    title = line(assignment_title or result.get("assignment") or "Your work")
    who = line(result.get("name") or by_hand.student_of(result) or "nameless")
    student = line(result.get("student") or "")
    known_as = f' <span class="quiet">({student})</span>' if student not in ("", who) else ""
    titles = task_titles(result["tasks"])
    outputs = Outputs("your notebook")
    graded = not _is_blank(result)
    body = [
        f'<header><p class="kind">Feedback</p><h1>{title}</h1>',
        f'<p class="who"><bdi>{who}</bdi>{known_as}</p>{_score(result)}</header>',
        _comment(result),
        _notes(result.get("flags", ())),
        _overview(result["tasks"], titles, graded),
        *(
            _task(task, f"task-{place}", title, result, outputs, shows)
            for place, (task, title) in enumerate(zip(result["tasks"], titles, strict=True), 1)
            if graded
        ),
        _footer(result),
    ]
    content = "\n".join(part for part in body if part)
    return document(f"{title} – {who}", f"<main>\n{content}\n</main>", style("feedback.css"))


def write(
    path: str | Path,
    result: Mapping[str, Any],
    overrides: Overrides | None = None,
    assignment_title: str | None = None,
    shows: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Write `page` to a file, in one step; its folder is made if need be.

    Raises what `page` raises, and OSError if the file can't be written.
    """
    path = Path(path)
    text = page(result, overrides, assignment_title, shows)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(text.encode())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _points(score: float | None, points: float) -> str:
    return f"{'–' if score is None else show(score)} of {show(points)}"


def _many(points: float, what: str = "point") -> str:
    return f"{show(points)} {what}{'' if points == 1 else 's'}"


def _score(result: Mapping[str, Any]) -> str:
    """Return the score in words and as a bar; what waits for grading by hand is dashed."""
    score, points = result["score"], result["points"]
    waits = sum(task["points"] for task in result["tasks"] if task["score"] is None)
    scale = 100 / points if points else 0
    got, rest = min(100.0, score * scale), min(100.0, (score + waits) * scale)
    bar = (
        '<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="100" height="4"/>'
        f'<rect class="got" width="{got:.2f}" height="4"/>'
    )
    if waits:
        bar += f'<path class="waits" d="M{got:.2f} 2H{rest:.2f}" stroke-dasharray=".6 .6"/>'
    words = ""
    if waits:
        verb = "waits" if waits == 1 else "wait"
        words = (
            f'<p class="quiet">{_many(waits)} still {verb} for grading by hand,'
            " so the score may still rise.</p>"
        )
    return (
        f'<p class="score"><strong>{show(score)}</strong> of {_many(points)}</p>{bar}</svg>{words}'
    )


def _comment(item: Mapping[str, Any]) -> str:
    """Return what the instructor wrote about a task, a test or the whole."""
    comment = item.get("by_hand", {}).get("comment")
    if not comment:
        return ""
    return (
        '<div class="comment"><p class="label">From your instructor</p>'
        f"<p>{untrusted.text(comment)}</p></div>"
    )


def _notes(flags: Sequence[Mapping[str, Any]]) -> str:
    """Return the flags that concern the student, each once."""
    details: dict[str, list[str]] = {}
    for flag in flags:
        if flag.get("kind") in _FLAGS:
            details.setdefault(flag["kind"], []).append(str(flag.get("detail") or ""))
    notes = {}
    for kind, texts in details.items():
        told = _FLAGS[kind]
        if kind == "cell error" and len(set(texts)) > 1:
            told = _CELL_ERRORS.format(len(set(texts)))
        lines = wording.folded(filter(None, texts)) if kind in _DETAILED else []
        words = "".join(
            f'<br><span class="detail">{untrusted.text(each, 300)}</span>' for each in lines
        )
        notes[f"<li>{told}{words}</li>"] = None
    if not notes:
        return ""
    return f"<section><h2>Good to know</h2>\n<ul>{''.join(notes)}</ul></section>"


def _is_blank(result: Mapping[str, Any]) -> bool:
    """Whether there was nothing to grade: the note at the top says all that there is to say."""
    tasks = result["tasks"]
    tests = [test for task in tasks for test in task["tests"]]
    if not any(flag.get("kind") in _NOTHING for flag in result.get("flags", ())):
        return False
    if any(str(task.get("answer") or "").strip() or task["score"] != 0 for task in tasks):
        return False
    return not any("by_hand" in item for item in (*tasks, *tests)) and all(
        test["outcome"] in ("not run", "missing") for test in tests
    )


def _state(task: Mapping[str, Any]) -> tuple[str, str]:
    """Return the class and the words for how a task went; the sign never stands alone."""
    if task["score"] is None:
        return "waits", "… waits for grading by hand"
    if task["score"] >= task["points"]:
        return "full", "✓ full marks"
    if task["score"] > 0:
        return "part", "◐ in part"
    outcomes = {_outcome(test) for test in task["tests"] if not test["hidden"]}
    if outcomes == {"not run"}:
        return "none", "○ not graded"
    if outcomes == {"missing"} or not str(task.get("answer") or "").strip():
        return "none", "○ not answered"
    return "none", "○ not yet"


def _outcome(test: Mapping[str, Any]) -> str:
    """Return a test's outcome; a stub that was called is a missing answer."""
    unwritten = test["outcome"] == "error" and wording.is_unwritten(str(test.get("message") or ""))
    return "missing" if unwritten else test["outcome"]


def task_titles(tasks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the tasks' titles as HTML; where two share a heading, with their names."""
    titles = [line(task["title"] or task["id"]) for task in tasks]
    return [
        f"{title} ({line(task['id'])})" if titles.count(title) > 1 else title
        for task, title in zip(tasks, titles, strict=True)
    ]


def _overview(
    tasks: Sequence[Mapping[str, Any]], titles: Sequence[str], graded: bool = True
) -> str:
    if not tasks:
        return ""
    rows = []
    for place, (task, title) in enumerate(zip(tasks, titles, strict=True), 1):
        kind, words = _state(task) if graded else ("none", "○ not graded")
        name = f'<a href="#task-{place}">{title}</a>' if graded else title
        rows.append(
            f'<tr><th scope="row">{name}</th>'
            f'<td class="{kind}">{words}</td>'
            f'<td class="points">{_points(task["score"], task["points"])}</td></tr>'
        )
    note = ""
    if graded and any(test["hidden"] for task in tasks for test in task["tests"]):
        note = (
            '<p class="quiet">Hidden tests try your answer on material that isn’t in the notebook,'
            " and only tell whether it passed.</p>"
        )
    return (
        '<section><h2>Task by task</h2>\n<table class="overview"><thead><tr>'
        '<th scope="col">Task</th><th scope="col">How it went</th>'
        '<th scope="col" class="points">Points</th></tr></thead>\n<tbody>'
        + "\n".join(rows)
        + f"</tbody></table>{note}</section>"
    )


def _task(
    task: Mapping[str, Any],
    anchor: str,
    title: str,
    result: Mapping[str, Any],
    outputs: Outputs,
    shows: Mapping[str, str],
) -> str:
    kind, words = _state(task)
    given = task.get("by_hand", {}).get("points") is not None
    note = '<span class="quiet"> · given by hand</span>' if given else ""
    points = f"{_points(task['score'], task['points'])} points"
    if task["score"] is None:
        points = _many(task["points"])
    parts = [
        f'<section class="task" id="{anchor}"><h2>{title}</h2>',
        f'<p class="result"><span class="{kind}">{words}</span> · {points}{note}</p>',
        _comment(task),
    ]
    if task["tests"]:
        limits, answered = _limits(result), bool(str(task.get("answer") or "").strip())
        rows = "\n".join(_check(test, limits, answered, not given) for test in task["tests"])
        about = ""
        if given:
            about = (
                '<p class="quiet">Your instructor gave the points of this task by hand. What the'
                " tests found doesn’t count.</p>"
            )
        parts.append(f'<h3>Tests</h3>\n{about}<ul class="checks">{rows}</ul>')
    parts.append(f"<h3>What you wrote</h3>\n{answer(task)}")
    shown = outputs.show(task.get("outputs", ()), task["title"])
    if lacks := unsaved(task, shows.get(task["id"], "")):
        shown += (
            f'<p class="quiet">Your notebook holds {lacks} here: it wasn’t run before it was saved,'
            " or what it showed is too large.</p>"
        )
    if shown:
        parts.append(f"<h3>What your notebook showed</h3>\n{shown}")
    return "\n".join(part for part in parts if part) + "</section>"


def _limits(result: Mapping[str, Any]) -> Limits:
    try:
        return Limits().changed(result["provenance"]["limits"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return Limits()


def _check(test: Mapping[str, Any], limits: Limits, answered: bool, counts: bool) -> str:
    """Return a test: what a visible one says, and of a hidden one only whether it passed."""
    given = test.get("by_hand", {}).get("points") is not None
    full = test["score"] >= test["points"] if given else test["outcome"] == "passed"
    kind, words = ("full", "✓ passed") if full else ("none", "✗ not passed")
    if given:  # its points say how good it is, whatever the test found
        words = "✓ full points" if full else "✗ no points"
        if 0 < test["score"] < test["points"]:
            kind, words = "part", "◐ in part"
    facts = ["hidden test"] if test["hidden"] else []
    if counts:
        facts.append(_points(test["score"], test["points"]))
    if given:
        facts.append("given by hand")
    told = not full and not test["hidden"] and test["outcome"] != "passed"
    more = _what_it_says(test, limits, answered) if told else ""
    return (
        f'<li class="{kind}"><p><b>{words}</b> <code>{line(test["id"])}'
        f"</code>{_aside(facts)}</p>{more}{_comment(test)}</li>"
    )


def _aside(facts: Sequence[str]) -> str:
    return f'<span class="quiet"> · {" · ".join(facts)}</span>' if facts else ""


def _what_it_says(test: Mapping[str, Any], limits: Limits, answered: bool) -> str:
    """Return why a visible test didn't pass: in its own words, or in kind ones."""
    outcome, said = test["outcome"], str(test.get("message") or "").strip()
    if outcome == "error":
        if wording.is_unwritten(said):
            said = wording.tidy(said)
            return f'<p class="help">{untrusted.text(said[0].upper() + said[1:])}.</p>'
        said = wording.tidy(said)
    message = untrusted.text(said, MOST_MESSAGE)
    words = {
        "timeout": f"Your function ran for more than {show(limits.call)} seconds and was stopped."
        " Is there a loop that never ends?",
        "died": "Your code ended the Python that ran it: it called exit(), or it needed more memory"
        f" than there is ({show(limits.memory / 2**30)} GB).",
        "missing": "What this check needs isn’t there. Has it another name in your answer?"
        if answered
        else "There is nothing to check yet: this task has no answer.",
        "not run": "This check could not be run.",
        "error": "Your code ended in an error:" if said else "Your code ended in an error.",
    }.get(outcome, "")
    if outcome == "failed" and not message:
        words = "What the check expects isn’t so yet; it is the cell below your answer."
    more = f'<p class="help">{words}</p>' if words else ""
    if message:
        more += f'<p class="message">{message}</p>'
    return more


def _footer(result: Mapping[str, Any]) -> str:
    """Return what identifies the file that was graded, should anybody ask."""
    facts = []
    if result.get("submission"):
        facts.append(f"Handed in as {line(result['submission'])}")
    provenance = result.get("provenance") or {}
    if digest := provenance.get("submission_sha256"):
        facts.append(f"file {line(str(digest)[:12])}")
    return f"<footer><p>{' · '.join(facts)}</p></footer>" if facts else ""
