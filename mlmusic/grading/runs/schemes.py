"""Whose file is it? The naming schemes of Canvas, Moodle and nbgrader, and of plain folders.

=========  =======================================================================================
Canvas     ``lovelaceada_LATE_1234_56789_ps1-2.ipynb``: the name in lower case, LATE or nothing, the
           user's id, the file's id, the file; ``-2`` is the attempt. Marked anonymously:
           ``anon_aB3dE_56789_ps1.ipynb``
Moodle     ``Ada Lovelace_4711_assignsubmission_file_/ps1.ipynb``, or ``_`` instead of ``/``
nbgrader   ``submitted/ada/ps1/ps1.ipynb``
folders    ``ada/ps1.ipynb``, when every student has a folder
anything   ``ada.ipynb``: the file's name is the student
=========  =======================================================================================

Everything here works on names alone, so that folders, zips and zips in zips are treated alike.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

# Browsers and mail programs add .txt or .json to a file type that they don't know.
_NOTEBOOK = re.compile(r"\.ipynb(\.txt|\.json)?$", re.I)
_MOODLE = re.compile(r"(?P<person>.+?)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)(?:_|$)")
# Canvas drops everything but letters, digits and _ from a name, and writes it in lower case.
_CANVAS = re.compile(
    r"(?:(?P<person>[^\s./]+?)_(?:LATE_)?(?P<id>\d+)|(?:LATE_)?anon_(?P<anon>[A-Za-z0-9]+))"
    r"_(?:(?P<file_id>\d+)_(?P<file>.+)|(?:text|link)\.html)$",
    re.S,
)
_ATTEMPT = re.compile(r"(?P<base>.+)-(?P<number>\d{1,3})$", re.S)

Parts = Sequence[str]  # folders and the file's name; a zip counts as a folder


class Owner(NamedTuple):
    """Whose file it is.

    Parameters
    ----------
    student : str
        The LMS's id or the student's folder; "" when only the file's own name tells.
    person : str
        The name by which the LMS knows the student, or "".
    attempt : int or None
        The number of the attempt, if the name tells it.
    lms : bool
        Whether an LMS exported it, so that everything there was handed in by a student.
    """

    student: str = ""
    person: str = ""
    attempt: int | None = None
    lms: bool = False

    @property
    def label(self) -> str:
        """The student as part of a submission's name."""
        return "_".join(filter(None, (self.person, self.student)))


def is_notebook(name: str) -> bool:
    """Return whether a file's name is that of a notebook."""
    return bool(_NOTEBOOK.search(name))


def stem(name: str) -> str:
    """Return a notebook's name without ``.ipynb``."""
    return _NOTEBOOK.sub("", name)


def common(paths: Sequence[Parts]) -> int:
    """Return in how many folders all of several files are: those tell nothing about a student."""
    depth = 0
    while len(paths) > 1 and all(
        len(parts) > depth + 1 and parts[depth] == paths[0][depth] for parts in paths
    ):
        depth += 1
    return depth


def owners(
    paths: Sequence[Parts], assignment: str = "", given: Sequence[int] | None = None
) -> list[Owner | None]:
    """Tell whose files these are.

    Parameters
    ----------
    paths : sequence of sequence of str
        The folders and the name of each file.
    assignment : str
        The name of the source notebook without ``.ipynb``.
    given : sequence of int, optional
        How many of its folders the instructor named on the command line. By default none.

    Returns
    -------
    list of Owner or None
        None for a file in nbgrader's folder of another assignment.
    """
    paths = [tuple(parts) for parts in paths]
    given = [0] * len(paths) if given is None else given
    notebooks = [parts for parts in paths if is_notebook(parts[-1])]
    shared = common(notebooks)
    below = [parts[min(shared, len(parts) - 1) :] for parts in paths]
    if len(notebooks) <= 1:
        named = [parts[min(n, len(parts) - 1) :] for parts, n in zip(paths, given, strict=True)]
    else:
        named = below
    found: list[Owner | None] = [_moodle(parts) for parts in paths]
    for scheme, view in ((_canvas, below), (_nbgrader, paths), (_folders, named)):
        left = [i for i, owner in enumerate(found) if owner is None]
        for i, owner in zip(left, scheme([view[i] for i in left], assignment), strict=True):
            found[i] = owner
    return [None if owner is _ELSEWHERE else owner or Owner() for owner in found]


_ELSEWHERE = Owner("elsewhere")  # belongs to another assignment


def _moodle(parts: Parts) -> Owner | None:
    for part in parts:
        if match := _MOODLE.match(part):
            return Owner(match["id"], match["person"], lms=True)
    return None


def _canvas(paths: Sequence[Parts], assignment: str) -> list[Owner | None]:
    """Canvas's names, if they are consistent: lab_3_2_ada.ipynb only looks like one."""
    matches = [next(filter(None, map(_canvas_match, _files(parts))), None) for parts in paths]
    people, files, bases = defaultdict(set), defaultdict(set), set()
    for match in filter(None, matches):
        people[match["id"] or match["anon"]].add(match["person"])
        files[match["file_id"]].add(match.string)
        if is_notebook(match.string):
            bases.add(_base(match["file"], assignment)[0])
    one_person_each = all(len(names) == 1 for names in people.values())
    one_file_each = all(len(names) == 1 for number, names in files.items() if number)
    # Namesakes are rare: many numbers behind one word are labs, not users. So are all the files
    # under one number, if they have many names.
    named = [name for names in people.values() for name in names if name]
    namesakes = len(set(named)) < len(named) / 2
    if not (one_person_each and one_file_each) or namesakes or len(people) == 1 < len(bases):
        return [None] * len(paths)
    return [
        match
        and Owner(
            match["id"] or match["anon"],
            match["person"] or "",
            _base(match["file"] or "", assignment)[1],
            lms=True,
        )
        for match in matches
    ]


def _files(parts: Parts) -> list[str]:
    """Canvas names files; of what stands before the last name only a zip is one."""
    return [part for part in parts[:-1] if part.lower().endswith(".zip")] + [parts[-1]]


def _canvas_match(part: str) -> re.Match[str] | None:
    match = _CANVAS.match(part)
    person = match["person"] or "" if match else ""
    return match if person == person.lower() else None


def _base(file: str, assignment: str) -> tuple[str, int | None]:
    """Split Canvas's number of the attempt off, unless the assignment's own name ends so."""
    name = stem(file) if is_notebook(file) else file.rpartition(".")[0] or file
    match = _ATTEMPT.match(name)
    if not match or name.casefold() == assignment.casefold():
        return name, None
    return match["base"], int(match["number"])


def _nbgrader(paths: Sequence[Parts], assignment: str) -> list[Owner | None]:
    """``submitted/<student>/<assignment>/…``, if one of the assignments is this one."""

    def below(parts: Parts) -> Parts:
        tails = [parts[i + 1 :] for i, part in enumerate(parts) if part == "submitted"]
        tails = [tail for tail in tails if len(tail) >= 3]
        return next((t for t in tails if t[1] == assignment), tails[0] if tails else ())

    tails = [below(parts) for parts in paths]
    if not any(tail and tail[1] == assignment for tail in tails):
        return [None] * len(paths)
    return [
        None if not tail else Owner(tail[0]) if tail[1] == assignment else _ELSEWHERE
        for tail in tails
    ]


def _folders(paths: Sequence[Parts], assignment: str) -> list[Owner | None]:
    """Take folders for students if every student has one, and zips with one notebook anyhow."""
    name = assignment.casefold()
    folders: dict[str, list[str]] = defaultdict(list)
    for parts in paths:
        if len(parts) > 1 and is_notebook(parts[-1]):
            folders[parts[0]].append(stem(parts[-1]).casefold())
    stems = [file for files in folders.values() for file in files]
    loose = any(len(parts) == 1 and is_notebook(parts[0]) for parts in paths)
    single = all(len(files) == 1 for files in folders.values())
    named_alike = max(Counter(stems).values(), default=0) > 1 or any(
        name and name in file for file in stems
    )
    own_name = sum(name in files for files in folders.values())
    everyone = not loose and ((single and named_alike) or own_name > len(folders) / 2)

    def owner(parts: Parts) -> Owner | None:
        if len(parts) < 2:
            return None
        is_zip = parts[0].lower().endswith(".zip")
        if everyone or (is_zip and len(folders[parts[0]]) == 1):
            return Owner(parts[0][:-4] if is_zip else parts[0])
        return None

    return [owner(parts) for parts in paths]
