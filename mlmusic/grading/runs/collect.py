"""Collect what students handed in: from folders, files and an LMS's zip, with its naming scheme.

How a hand-in gets its name (``submission``): the file's name without ``.ipynb``. When several
files have the same one, what tells them apart goes in front: the student
(``Ada Lovelace_4711/ps1``) or, where no naming scheme tells the student, the folders
(``section1/ada``). What isn't a notebook, or can't be read, stops nothing: it becomes a flag.
"""

from __future__ import annotations

import fnmatch
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from mlmusic.grading.runs import schemes
from mlmusic.grading.runs.finding import Entry, Unreadable, expanded, find

_DOCUMENT = re.compile(
    r"\.(py|r|rmd|md|txt|rtf|tex|pdf|html?|docx?|odt|pages|zip|rar|7z|tgz|tar(\.\w+)?)$", re.I
)
_MANY = 20  # so many stray files get a row each


class Flag(NamedTuple):
    """One row of flags.csv: what an instructor should look at."""

    submission: str
    student: str
    kind: str
    detail: str


@dataclass(frozen=True)
class Submission:
    """One notebook that was handed in, or what a student handed in instead of one.

    Parameters
    ----------
    name : str
        Unique in the batch: the file's name without ``.ipynb`` (see this module's docstring).
    student : str
        Whose it is: the LMS's id, the student's folder, or the submission's name.
    person : str
        The name by which the LMS knows the student, or "".
    attempt : int or None
        The number of the attempt, when the file's name tells it.
    time : float
        When the file was last changed.
    file : str
        The file's own name.
    problem : tuple of str, optional
        When there is nothing to mark: the kind and the detail of the flag that says why.
    reader : callable, optional
        Returns the file's bytes.
    """

    name: str
    student: str
    person: str
    attempt: int | None
    time: float
    file: str
    problem: tuple[str, str] | None = None
    reader: Callable[[], bytes] | None = field(default=None, compare=False)

    def read(self) -> bytes:
        """Return the notebook's bytes.

        Raises
        ------
        Unreadable
            If there is no notebook, or it can't be read; the message says why.
        """
        if self.problem or not self.reader:
            raise Unreadable(self.problem[1] if self.problem else "there is no notebook")
        return self.reader()

    def is_called(self, pattern: str) -> bool:
        """Return whether the submission or its student is called so; ``*`` and ``?`` are jokers."""
        names = map(_plain, filter(None, (self.name, self.student, self.person)))
        pattern = _plain(pattern)
        return any(name == pattern or fnmatch.fnmatchcase(name, pattern) for name in names)


def collect(
    paths: Sequence[str | Path], *, assignment: str = "", skip: Iterable[str | Path] = ()
) -> tuple[list[Submission], list[Flag]]:
    """Find all hand-ins.

    Parameters
    ----------
    paths : sequence of path
        Folders, notebooks and zips.
    assignment : str
        The name of the source notebook without ``.ipynb``; it tells the hand-ins of one assignment
        from another's where nbgrader keeps both in one folder.
    skip : iterable of path
        Files and folders to leave alone: the source, the folder of the grades.

    Returns
    -------
    submissions : list of Submission
        Sorted by name. A student may have several, see `Submission.attempt`.
    flags : list of Flag
        What was handed in and isn't a notebook, or couldn't be looked into.

    Raises
    ------
    FileNotFoundError, PermissionError, ValueError
        If one of `paths` itself is missing, can't be opened, or is no folder, notebook or zip.
    """
    flags: list[Flag] = []

    def refused(detail: str) -> None:
        flags.append(Flag("", "", "unreadable", detail))

    entries: dict[tuple[str, ...], Entry] = {}
    avoid = {os.path.realpath(path) for path in skip}
    for path in expanded(paths):
        for entry in find(path, avoid, refused):
            entries.setdefault(entry.parts, entry)  # named twice: found once
    found = sorted(entries.values(), key=lambda entry: entry.parts)
    # A hidden notebook isn't graded, so it tells nothing about the scheme either.
    names = [(*e.parts[:-1], f"{e.name}.hidden") if e.hidden else e.parts for e in found]
    owners = schemes.owners(names, assignment, [e.given for e in found])
    pairs = [(e, owner) for e, owner in zip(found, owners, strict=True) if owner]
    notebooks = [pair for pair in pairs if _is_graded(pair[0])]
    others = [pair for pair in pairs if not _is_graded(pair[0])]
    submissions = _submissions(notebooks)
    submissions += _instead(others, submissions, flags)
    return sorted(submissions, key=lambda one: one.name), flags


def by_student(submissions: Iterable[Submission], assignment: str = "") -> list[list[Submission]]:
    """Bring each student's submissions together, the latest last.

    The latest has the highest number of an attempt, else the newest time; of files that were
    uploaded together, the one that is called like the assignment.
    """
    students: dict[str, list[Submission]] = defaultdict(list)
    for one in submissions:
        students[one.student].append(one)

    def age(one: Submission) -> tuple[int, float, bool, str]:
        named = assignment.casefold() in one.file.casefold()
        return one.attempt or 0, one.time, named, one.name

    return [sorted(group, key=age) for group in students.values()]


def _submissions(pairs: list[tuple[Entry, schemes.Owner]]) -> list[Submission]:
    """Name the notebooks so that no two names are the same."""
    names = [_printable(schemes.stem(entry.name) or entry.name) for entry, _ in pairs]
    with_owner = [
        f"{owner.label}/{name}" if owner.label else ""
        for name, (_, owner) in zip(names, pairs, strict=True)
    ]
    common = schemes.common([entry.parts for entry, _ in pairs])
    with_folders = [
        "/".join([*entry.parts[common:-1], name])
        for name, (entry, _) in zip(names, pairs, strict=True)
    ]
    for better in (with_owner, with_folders):
        count = Counter(names)
        names = [b if count[n] > 1 and b else n for n, b in zip(names, better, strict=True)]
    taken: set[str] = set()
    for i, name in enumerate(names):
        number = 2
        while names[i] in taken:
            names[i], number = f"{name} ({number})", number + 1
        taken.add(names[i])
    return [
        Submission(
            name,
            owner.student or name,
            owner.person,
            owner.attempt,
            entry.time,
            entry.name,
            reader=entry.read,
        )
        for name, (entry, owner) in zip(names, pairs, strict=True)
    ]


def _instead(
    pairs: list[tuple[Entry, schemes.Owner]], notebooks: list[Submission], flags: list[Flag]
) -> list[Submission]:
    """Flag what isn't a notebook; a student who handed in nothing else gets a submission for it.

    In an LMS's export everything was handed in. Elsewhere data and pictures may lie about, so
    only what somebody may have taken for an answer counts.
    """
    submission_of = {one.student: one.name for one in notebooks}
    students: dict[str, list[tuple[Entry, schemes.Owner]]] = defaultdict(list)
    loose: list[Entry] = []
    for entry, owner in pairs:
        if not (owner.lms or entry.fault or _DOCUMENT.search(entry.name)):
            continue
        if owner.student:
            students[owner.student].append((entry, owner))
        else:
            loose.append(entry)
    instead: list[Submission] = []
    for student, group in students.items():
        first, owner = group[0]
        files = _listed([entry.name for entry, _ in group])
        if student in submission_of:
            if owner.lms or any(entry.hidden for entry, _ in group):
                detail = f"also handed in, and not looked at: {files}"
                flags.append(Flag(submission_of[student], student, "not a notebook", detail))
            continue
        fault = next((entry.fault for entry, _ in group if entry.fault), "")
        problem = ("unreadable", fault) if fault else ("not a notebook", f"handed in: {files}")
        name = first.name if student in first.name else f"{owner.label}/{first.name}"
        instead.append(
            Submission(name, student, owner.person, owner.attempt, first.time, first.name, problem)
        )
    for entry in loose[:_MANY]:
        kind = "unreadable" if entry.fault else "not a notebook"
        name = "/".join(entry.parts[entry.given :])
        reason = entry.fault or "nobody's grade"
        flags.append(Flag("", "", kind, f"{name}: {reason}"))
    if len(loose) > _MANY:
        flags.append(Flag("", "", "not a notebook", f"and {len(loose) - _MANY} more files"))
    return instead


def _is_graded(entry: Entry) -> bool:
    return schemes.is_notebook(entry.name) and not entry.hidden


def _printable(name: str) -> str:
    """Replace what would break a line of a table or move a terminal's cursor."""
    return "".join("\ufffd" if unicodedata.category(c) == "Cc" else c for c in name)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _listed(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
