"""Small source notebooks for tests: cells in nbgrader's format, put together in a line."""

from pathlib import Path
from textwrap import dedent

from nbformat import NotebookNode, v4

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
HIDE = "### BEGIN HIDDEN TESTS\n{}\n### END HIDDEN TESTS"


def _marks(name, **marks):
    defaults = {"grade": False, "locked": False, "solution": False, "task": False}
    return {"nbgrader": {"grade_id": name, "schema_version": 3, **defaults, **marks}}


def text(source):
    return v4.new_markdown_cell(dedent(source).strip())


def code(source, **metadata):
    return v4.new_code_cell(dedent(source).strip(), metadata=metadata)


def answer(name, source):
    """A solution cell; without markers its last line is the solution."""
    source = dedent(source).strip()
    if "SOLUTION" not in source:
        *head, last = source.split("\n")
        indent = last[: len(last) - len(last.lstrip())]
        head += [f"{indent}### BEGIN SOLUTION", last, f"{indent}### END SOLUTION"]
        source = "\n".join(head)
    return v4.new_code_cell(source, metadata=_marks(name, solution=True))


def check(name, source, points=1, hidden=""):
    """A test cell; what is hidden stands below what is visible."""
    parts = [dedent(source).strip(), HIDE.format(dedent(hidden).strip()) if hidden else ""]
    marks = _marks(name, grade=True, locked=True, points=points)
    return v4.new_code_cell("\n".join(filter(None, parts)), metadata=marks)


def by_hand(name, points=2):
    """An answer in words, graded by hand."""
    marks = _marks(name, grade=True, solution=True, points=points)
    source = "### BEGIN SOLUTION\nIt ends where it began.\n### END SOLUTION"
    return v4.new_markdown_cell(source, metadata=marks)


def notebook(*cells, **metadata):
    """A notebook of these cells, whose ids are their numbers."""
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    return v4.new_notebook(cells=list(cells), metadata={"kernelspec": KERNEL, **metadata})


def write(path: Path, content: NotebookNode) -> Path:
    path.write_text(v4.writes(content), encoding="utf-8")
    return path


OCTAVE = answer("answer-octave", "def octave_up(pitch):\n    return pitch + 12")
