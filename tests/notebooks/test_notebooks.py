"""Every committed notebook keeps the rules, and every exercise comes from its solution."""

import re

import notebook_lint
import notebook_parts as parts
import pytest
from nbclient import NotebookClient

NOTEBOOKS = parts.notebooks()


def name(path):
    return parts.relative(path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_notebook_keeps_the_rules(path):
    faults = notebook_lint.lint(notebook_lint.load(path, parts.repository()))
    assert not faults, "\n".join(faults)


def test_each_chapter_has_its_exercise_and_solution():
    names = {folder: [p.name for p in parts.notebooks(folder)] for folder in parts.FOLDERS}
    assert names["notebooks"] == names["solutions"] == names["exercises"]


@pytest.mark.parametrize("path", parts.notebooks("notebooks"), ids=name)
def test_the_readme_lists_the_chapter_as_its_header_does(path):
    header = parts.read(path).cells[0].source
    title = re.match(r"# (.+)", header)[1]
    minutes = re.search(r"\d+", parts.field(header, "Reading"))[0]
    seconds = re.search(r"\d+", parts.field(header, parts.COST))[0]
    readme = (parts.ROOT / "README.md").read_text(encoding="utf-8")
    row = next((line for line in readme.splitlines() if f"](notebooks/{path.name})" in line), "")
    assert row.startswith(f"| {path.name[:2]} | [{title}](")
    assert row.endswith(f"| {minutes} min | {seconds} s |")


@pytest.mark.parametrize("path", parts.notebooks("solutions"), ids=name)
def test_exercise_is_in_step_with_its_solution(path):
    pytest.importorskip("nbgrader", reason="nbgrader makes the exercises (extra 'grade')")
    from mlmusic.grading.release import difference

    assert difference(path, parts.ROOT / "exercises") is None


def failing_cells(notebook, folder):
    """Run a notebook to its end; return the cells that raised."""
    NotebookClient(notebook, timeout=300, kernel_name="python3", allow_errors=True).execute(
        cwd=str(folder)
    )
    return [
        cell
        for cell in notebook.cells
        if any(output.output_type == "error" for output in cell.get("outputs", []))
    ]


EXERCISES = [*parts.notebooks("exercises"), *parts.notebooks("exercises", root=parts.SAMPLE)]


@pytest.mark.parametrize("path", EXERCISES, ids=name)
def test_in_an_unsolved_exercise_only_checks_fail(path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(parts.ROOT))  # the kernel runs in another folder
    monkeypatch.delenv("MPLBACKEND", raising=False)
    failing = failing_cells(parts.read(path), path.parent)
    others = [cell.id for cell in failing if not cell.metadata.get("nbgrader", {}).get("grade")]
    assert failing, "no check fails: does the exercise ask for anything?"
    assert not others, f"cells that are no checks fail in the unsolved exercise: {others}"
