"""Grade listening questions and plots by hand, in a browser, on one page.

All students' answers to one item stand below each other, beside the question and its mark scheme,
with what their notebooks drew and played; points and comments are saved into ``overrides.csv`` as
they are typed.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from html import escape
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any

from mlmusic.grading import overrides as given
from mlmusic.grading import spreadsheet
from mlmusic.grading.overrides import Conflict, Override, show
from mlmusic.grading.pages import untrusted
from mlmusic.grading.pages.document import Outputs, answer, asked, document, line, style, unsaved
from mlmusic.grading.pages.loopback import Answer, Server

MOST_COMMENT = 5_000
STEP = 0.5  # points that an arrow key adds
# Flags that say why a notebook has no answers.
_REASONS = {
    "unreadable": "the file could not be read",
    "not a notebook": "no notebook was handed in",
    "wrong notebook": "this is another notebook",
    "grader": "the grader failed, grade again",
    "sandbox": "the grader failed, grade again",
}


@dataclass(frozen=True)
class Card:
    """One student's answer to one item, without what it drew: that is read when it is shown.

    `absent` says why there is none, which counts 0 points and waits for nobody; `lacks` what the
    notebook should have saved and hasn't.
    """

    student: str
    name: str
    item: str
    title: str
    points: float
    answer: str
    shows: bool
    lacks: str
    absent: str
    automatic: tuple[float, float]
    path: Path


class Session:
    """What there is to grade in a folder of results, and what was given.

    Parameters
    ----------
    out : path
        Where a grading run has left ``results/``; ``overrides.csv`` is written here.
    renew : callable, optional
        Writes grades.csv and feedback anew; its result, one line, is shown.

    Raises
    ------
    FileNotFoundError
        If there are no results.
    ValueError
        If overrides.csv can't be read.
    """

    def __init__(self, out: str | Path, renew: Callable[[], str] | None = None) -> None:
        self.out, self.renew = Path(out), renew
        self.file = self.out / "overrides.csv"
        self.assignment = ""
        self.unreadable: list[str] = []
        self._writing = threading.Lock()
        about = self._about()
        self._questions: dict[str, Any] = about.get("by_hand") or {}
        self._places = {str(name): place for place, name in enumerate(about.get("tasks") or ())}
        self._most: dict[str, float] = {}  # what each task and each test is worth
        self._known: list[dict[str, Any]] = []  # the results, without all but names
        given.read(self.file)
        self.cards = self._cards()

    def _about(self) -> dict[str, Any]:
        """Return what the run says about itself; nothing if it doesn't."""
        try:
            about = json.loads((self.out / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return about if isinstance(about, dict) else {}

    def faults(self, overrides: given.Overrides) -> list[str]:
        """Say which rows of overrides.csv apply to nobody or nothing, or give too many points."""
        return given.too_many(overrides, self._most) + given.unknown(overrides, self._known)

    def items(self) -> Iterator[tuple[str, list[int]]]:
        """Yield the items in the notebook's order, each with the numbers of its cards."""
        numbers: dict[str, list[int]] = {}
        for number, card in enumerate(self.cards):
            numbers.setdefault(card.item, []).append(number)
        yield from sorted(numbers.items(), key=lambda pair: self._places[pair[0]])

    def _cards(self) -> list[Card]:
        """Read all results; of a student who handed in several times the last one counts."""
        paths = sorted((self.out / "results").glob("*.json"))
        if not paths:
            raise FileNotFoundError(f"no results in {self.out}: run `mlmusic grade` first")
        latest: dict[str, tuple[int, list[Card]]] = {}
        for path in paths:
            try:
                result = json.loads(path.read_text(encoding="utf-8"))
                student, attempt = given.student_of(result), result.get("attempt") or 0
                if student in latest and latest[student][0] > attempt:
                    continue
                self.assignment = result.get("assignment") or self.assignment
                items = [item for task in result["tasks"] for item in (task, *task["tests"])]
                self._most.update((item["id"], float(item["points"])) for item in items)
                tests = [test for task in result["tasks"] for test in task["tests"]]
                automatic = (sum(t["score"] for t in tests), sum(t["points"] for t in tests))
                cards = [
                    Card(
                        student=student,
                        name=str(result.get("name") or student),
                        item=task["id"],
                        title=task["title"],
                        points=float(task["points"]),
                        answer=str(task["answer"]),
                        shows=bool(task["outputs"]),
                        lacks=unsaved(task, self.question(task["id"]).get("shows", "")),
                        absent=_absent(task, result),
                        automatic=automatic,
                        path=path,
                    )
                    for task in result["tasks"]
                    if task["manual"]
                ]
                latest[student] = (attempt, cards)
                self._known.append(_names_in(result))
                for place, task in enumerate(result["tasks"]):
                    self._places.setdefault(task["id"], place)
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                self.unreadable.append(path.name)
        cards = [card for _, mine in latest.values() for card in mine]
        # Numbered in an order that says nothing about names, the same every time.
        return sorted(cards, key=lambda card: _shuffled(card.student, card.item))

    def question(self, item: str) -> Mapping[str, Any]:
        """Return what was asked in an item, as the run has it; nothing if it doesn't say."""
        return self._questions.get(item) or {}

    def has(self, number: str) -> bool:
        """Whether a text is the number of a card."""
        known = number.isascii() and number.isdigit() and len(number) < 9
        return known and int(number) < len(self.cards)

    def outputs(self, number: int) -> str:
        """Return what a card's notebook drew and played as HTML."""
        card = self.cards[number]
        result = json.loads(card.path.read_text(encoding="utf-8"))
        task = next(task for task in result["tasks"] if task["id"] == card.item)
        return Outputs("the notebook").show(task["outputs"], card.title)

    def save(self, number: int, entry: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
        """Write a card's points and comment into the file; return what it says now.

        Parameters
        ----------
        number : int
            Of the card.
        entry, before : dict
            ``points`` (text as typed) and ``comment``: what shall be and what was.

        Raises
        ------
        Conflict
            If the file says something else than `before`.
        ValueError
            If the points aren't a number in range, or the file can't be read.
        OSError
            If the file can't be written.
        """
        card = self.cards[number]
        row = self._row(card, entry)
        if row.points is not None and not 0 <= row.points <= card.points:
            raise ValueError(f"points are a number from 0 to {show(card.points)}")
        if len(row.comment) > MOST_COMMENT:
            raise ValueError(f"a comment has at most {MOST_COMMENT} characters")
        row = replace(row, comment=untrusted.visible(row.comment))
        with self._writing:
            given.put(self.file, row, self._row(card, before))
        return says(row)

    @staticmethod
    def _row(card: Card, entry: dict[str, Any]) -> Override:
        typed, comment = str(entry["points"]).strip(), str(entry["comment"]).strip()
        try:
            points = spreadsheet.number(typed) if typed else None
        except ValueError as error:
            raise ValueError(f"points {error}") from None
        return Override(card.student, card.item, points, comment)


def _absent(task: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """Say why there is no answer to an item; "" if there is one."""
    if task["score"] is None:
        return ""
    kinds = {flag["kind"] for flag in result["flags"]}
    reasons = (reason for kind, reason in _REASONS.items() if kind in kinds)
    return next(reasons, "not answered")


def _names_in(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return whose a result is and what its tasks and tests are called."""
    tasks = [
        {"id": task["id"], "tests": [{"id": test["id"]} for test in task["tests"]]}
        for task in result["tasks"]
    ]
    return {"student": given.student_of(result), "tasks": tasks}


def says(row: Override | None) -> dict[str, str]:
    """Return a row as the page has it."""
    points = "" if row is None or row.points is None else spreadsheet.exact(row.points)
    return {"points": points, "comment": row.comment if row else ""}


def page(session: Session, nonce: str, blind: bool = False) -> str:
    """Return the page, with what the file says now.

    Parameters
    ----------
    session : Session
        What there is to grade.
    nonce : str
        What allows the page's own script to run; fresh for every answer.
    blind : bool
        Leave out names and automatic scores, and show the answers in an order of their own.

    Raises
    ------
    ValueError
        If overrides.csv can't be read.
    """
    overrides = given.read(session.file)
    sections = []
    for item, numbers in session.items():
        if not blind:
            numbers.sort(key=lambda n: (session.cards[n].name, session.cards[n].student))
        there, absent = [], []
        for place, number in enumerate(numbers, 1):
            card = session.cards[number]
            (absent if card.absent else there).append(_card(card, number, place, overrides, blind))
        if absent:
            touched = any(
                overrides.of(session.cards[n].student, item)
                for n in numbers
                if session.cards[n].absent
            )
            there.append(
                f'<details class="absent"{" open" if touched else ""}><summary>{len(absent)} not'
                f" answered: 0 points each</summary>\n{''.join(absent)}</details>"
            )
        first = session.cards[numbers[0]]
        sections.append(
            f'<section><h2>{line(first.title)} <span class="quiet">{line(item)} · '
            f'<span class="count"></span></span></h2>\n{_asked(session.question(item))}'
            f'<div class="answers">{"".join(there)}</div></section>'
        )
    renew = '<button type="button" id="renew">Renew grades and feedback</button>'
    after = f"When you are done: {renew}" if session.renew else (
        "When you are done, run <code>mlmusic grade</code> again as before: it takes seconds, and"
        " renews <code>grades.csv</code> and the feedback."
    )  # fmt: skip
    toggle = (
        '<a href="?names=shown">Show names</a>'
        if blind
        else '<a href="?names=hidden">Hide names</a>'
    )
    broken = ""
    if session.unreadable:
        names = ", ".join(map(line, session.unreadable))
        broken = f'<p class="problem">Not shown, because the file is damaged: {names}</p>'
    if faults := session.faults(overrides):
        rows = "".join(f"<li>{line(fault)}</li>" for fault in faults)
        broken += (
            '<div class="problem"><p>These rows of <code>overrides.csv</code> don’t count as they'
            f" stand:</p><ul>{rows}</ul></div>"
        )
    nothing = "" if sections else "<p>This assignment has nothing to grade by hand.</p>"
    title = line(session.assignment or "Grading")
    body = f"""<header class="bar-top">
<p class="progress"><strong id="progress"></strong> · <span id="state" role="status"></span></p>
<p class="choices"><label><input type="checkbox" id="only"> Not graded yet only</label>
{toggle}</p>
</header>
<main>
<p class="kind">Grading by hand</p><h1>{title}</h1>
<p class="quiet">Type points, then <kbd>Enter</kbd> for the next answer, <kbd>Shift</kbd>
<kbd>Enter</kbd> for the one before, <kbd>Tab</kbd> for the comment and from there
<kbd>Ctrl</kbd> <kbd>Enter</kbd> for the next. <kbd>↑</kbd> <kbd>↓</kbd> change the points by
{show(STEP)}. Everything is saved at once into <code>overrides.csv</code>.</p>
<p class="quiet">{after} <span id="renewed" role="status"></span></p>
<noscript><p class="problem">This page needs JavaScript to save what you type.</p></noscript>
{broken}{nothing}
{"".join(sections)}
</main>"""
    script = files("mlmusic.grading.pages").joinpath("by_hand.js").read_text(encoding="utf-8")
    css = style("feedback.css", "by_hand.css")
    policy = f"script-src 'nonce-{nonce}'; connect-src 'self'"
    tail = f'<script nonce="{nonce}">\n{script}</script>'
    return document(f"{title} – grading by hand", body + tail, css, policy)


def _asked(question: Mapping[str, Any]) -> str:
    """Return the question and its mark scheme, to stand beside the answers."""
    parts = []
    if question.get("question"):
        parts.append(f"<h3>Question</h3>\n{asked(question['question'])}")
    if question.get("scheme"):
        title = "Answer in the source" if question.get("is_answer") else "Mark scheme"
        parts.append(f"<h3>{title}</h3>\n{asked(question['scheme'])}")
    if not parts:
        return ""
    label = "Question and mark scheme"
    return (
        f'<div class="asked" role="group" aria-label="{label}" tabindex="0">{"".join(parts)}</div>'
    )


def _card(card: Card, number: int, place: int, overrides: given.Overrides, blind: bool) -> str:
    now = says(overrides.of(card.student, card.item))
    name, facts = f"Answer {place}", ""
    if not blind:
        known_as = f"{line(card.student)} · " if card.student != card.name else ""
        earned, most = map(show, card.automatic)
        name = f"<bdi>{line(card.name)}</bdi>"
        facts = f' <span class="quiet">{known_as}tests: {earned} of {most}</span>'
    if card.absent:
        facts += f' <span class="quiet why">{card.absent}: 0 points</span>'
    wrote = answer({"answer": card.answer, "manual": True}, "the answer")
    if card.lacks:
        wrote += (
            f'<p class="lacks">The notebook holds {card.lacks} here: it wasn’t run before it was'
            " saved, or what it showed is too large.</p>"
        )
    state = " data-absent" if card.absent else ""
    load = '<div class="outputs" data-load></div>' if card.shows else ""
    most = show(card.points)
    return f"""<article class="task" data-card="{number}" data-most="{most}"{state}>
<h3>{name}{facts}</h3>
{"" if card.absent else wrote}
{load}
<div class="given">
<label>Points <span class="quiet">of {most}</span>
<input class="points" inputmode="decimal" autocomplete="off" size="4"
 aria-describedby="said-{number}" value="{escape(now["points"])}"></label>
<label>Comment for the student
<textarea class="words" rows="1" maxlength="{MOST_COMMENT}">
{escape(now["comment"])}</textarea></label>
<p class="said" id="said-{number}" role="status"></p>
</div>
</article>
"""


def _shuffled(student: str, item: str) -> bytes:
    # unlike a random order it lets one go on where one stopped
    return hashlib.sha256(f"{item}\0{student}".encode("utf-8", "replace")).digest()


def serve(session: Session, port: int = 0) -> Server:
    """Return a server of a session's page; call its ``serve_forever``.

    Raises
    ------
    OSError
        If the port is taken.
    """

    def read(path: str) -> Answer | None:
        if path in ("", "?names=shown", "?names=hidden"):
            nonce = secrets.token_urlsafe(16)
            try:
                html = page(session, nonce, blind=path.endswith("hidden"))
            except (OSError, ValueError) as error:
                body = f'<main><p class="problem">{line(error)}</p></main>'
                html = document("Grading by hand", body, style("feedback.css", "by_hand.css"))
            return Answer(HTTPStatus.OK, html, "text/html")
        what, _, number = path.partition("/")
        if what != "outputs" or not session.has(number):
            return None
        try:
            html = session.outputs(int(number))
        except (OSError, ValueError, KeyError, TypeError, StopIteration):
            html = "<p>The result is damaged.</p>"
        return Answer(HTTPStatus.OK, html, "text/html")

    def change(path: str, body: dict[str, Any]) -> Answer | None:
        if path == "save":
            return _save(session, body)
        if path != "renew" or session.renew is None:
            return None
        try:
            return Answer(HTTPStatus.OK, {"message": str(session.renew() or "Renewed.")})
        except Exception as error:  # whatever grading says, the page has to show it
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": str(error)})

    return Server(read, change, port)


def _save(session: Session, body: dict[str, Any]) -> Answer:
    try:
        if not session.has(str(body["card"])):
            raise ValueError("there is no such answer: open the page again")
        now = session.save(int(body["card"]), body["entry"], body["before"])
    except Conflict as conflict:
        return Answer(HTTPStatus.CONFLICT, {"now": says(conflict.current)})
    except (KeyError, TypeError):
        return Answer(HTTPStatus.BAD_REQUEST, {"error": "this isn't what the page sends"})
    except ValueError as error:
        return Answer(HTTPStatus.BAD_REQUEST, {"error": str(error)})
    except OSError as error:
        reason = f"{session.file.name} can't be written: {error.strerror or error}"
        return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": reason})
    return Answer(HTTPStatus.OK, {"now": now})


def main(out: str | Path, port: int = 0, renew: Callable[[], str] | None = None) -> int:
    """Serve the page for grading by hand until Ctrl-C; return the exit status.

    Parameters
    ----------
    out : path
        Where ``mlmusic grade`` has left its results.
    port : int
        Where to listen on 127.0.0.1; 0 finds a free port. A fixed one suits an SSH tunnel, which
        needs the same number at both ends.
    renew : callable, optional
        Writes grades.csv and feedback anew and returns one line about it; a button calls it.
        Without it the page says which command does.
    """
    try:
        session = Session(out, renew)
        server = serve(session, port)
    except (ValueError, OSError) as error:
        print(f"mlmusic grade: {error}", file=sys.stderr)
        return 1
    with server:
        try:
            print(f"Grade by hand in a browser: {server.url} (Ctrl-C ends this)", flush=True)
            server.serve_forever()
        except KeyboardInterrupt:
            print(f"\nSaved in {session.file}. `mlmusic grade` renews grades and feedback.")
    return 0
