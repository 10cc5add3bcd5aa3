"""The students' answers as Python files, for JPlag and MOSS.

Both compare programs, and leave out the whole student if one line isn't Python: magics and shell
commands, unfinished answers and written ones become comments here. Comments stay, for both tools
ignore them, and a reader recognises a slip of the pen that two students share.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

from mlmusic.grading import files
from mlmusic.grading.overrides import student_of
from mlmusic.grading.runs.formats import safe_names

# A line that IPython takes and Python doesn't: %magic, !shell, help?, files = !ls
_MAGIC = re.compile(r"^([ \t]*)((?:[%!?]|\w+\s*=\s*[%!]).*|.*\?)$", re.M)
_SECRET = re.compile(r"### *BEGIN (SOLUTION|HIDDEN TESTS)")


def write(
    results: list[dict[str, Any]], folder: str | Path, base: str | Path | None = None
) -> list[str]:
    """Write ``folder/STUDENT/ASSIGNMENT.py`` for all students.

    Parameters
    ----------
    results : list of dict
        What a grading run found.
    folder : path
        It is made if need be.
    base : path, optional
        The released notebook, whose code goes to `base_file`: what all have isn't copied.

    Returns
    -------
    list of str
        The answers that aren't Python, a line each.

    Raises
    ------
    OSError
        If something can't be read or written.
    ValueError
        If `base` isn't a notebook, or is one with solutions.
    """
    folder = Path(folder)
    assignment = results[0]["assignment"]
    common = None if base is None else _base(Path(base))
    notes = []
    by_student = defaultdict(list)
    for result in results:
        by_student[student_of(result)].append(result)
    names = safe_names(by_student)
    for student, handed_in in by_student.items():
        place = folder / names[student]
        place.mkdir(parents=True, exist_ok=True)
        for number, result in enumerate(handed_in, 1):
            parts = []
            for task in result["tasks"]:
                text, is_code = python(task["answer"] or "")
                parts.append(f"# {task['id']}\n{text}\n")
                if not (is_code or task["manual"]):
                    notes.append(
                        f"{result['submission']}: the answer to {task['id']} isn't Python; "
                        "it is kept as a comment, which no checker compares"
                    )
            name = assignment if number == 1 else f"{assignment}-{number}"
            files.write(place / f"{name}.py", "\n".join(parts).encode("utf-8", "replace"))
    if common is not None:
        target = base_file(folder, assignment)
        target.parent.mkdir(parents=True, exist_ok=True)
        files.write(target, common.encode("utf-8", "replace"))
    return notes


def python(source: str) -> tuple[str, bool]:
    """Return an answer as Python that parses, and whether it is more than a comment.

    Parameters
    ----------
    source : str
        A cell's text: Python, IPython or prose.
    """
    source = "\n".join(source.splitlines())
    for candidate in (source, _MAGIC.sub(r"\1pass  # \2", source)):
        if _parses(candidate):
            return candidate, True
    return re.sub(r"^", "# ", source, flags=re.M), False


def base_file(folder: str | Path, assignment: str) -> Path:
    """Return where the released code goes: beside the students' folder, not among them."""
    folder = Path(folder)
    return folder.with_name(f"{folder.resolve().name}-base") / f"{assignment}.py"


def commands(folder: str | Path, assignment: str) -> list[str]:
    """Return what to run next: JPlag on this machine, or Stanford's MOSS."""
    base = base_file(folder, assignment)
    there = base.exists()
    quoted = shlex.quote(str(folder))
    common = f" -bc {shlex.quote(str(base.parent))}" if there else ""
    moss = f" -b {shlex.quote(str(base))}" if there else ""
    return [
        f"JPlag: java -jar jplag.jar -l python3{common} {quoted}",
        f"MOSS:  perl moss.pl -l python -d{moss} {quoted}/*/*.py",
    ]


def _parses(source: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a student's "\d" is no news here
            ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _base(path: Path) -> str:
    try:
        cells = json.loads(path.read_text(encoding="utf-8-sig"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{path} isn't a notebook") from None
    if any(_SECRET.search(source) for source in sources):
        raise ValueError(f"{path} has solutions or hidden tests: name the released notebook")
    return "\n\n".join(python(source)[0] for source in sources) + "\n"
