"""Find a student's answers in what was handed in: by content, never by metadata.

Cells get moved, merged, split, copied, retyped and stripped of their metadata; formatters lay
them out anew. So whatever isn't one of the instructor's cells is the student's, and runs in the
student's order. Only what a person grades is looked for by the cell's name, too: see `places`.
"""

from __future__ import annotations

import ast
import difflib
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from mlmusic.grading.marking.belonging import Belonging
from mlmusic.grading.marking.places import Places
from mlmusic.grading.source import syntax
from mlmusic.grading.source.assignment import Assignment
from mlmusic.grading.source.cells import SourceCell
from mlmusic.grading.source.notebook import Cell, Notebook

MAX_ANSWER = 20_000  # characters of an answer that are reported
MAX_CODE = 500_000  # characters of a code cell that is taken apart and run
MAX_CODE_IN_ALL = 2_000_000  # of all such cells together
MAX_OUTPUTS = 2_000_000  # characters of a student's outputs, all together


@dataclass(frozen=True)
class Step:
    """Code to run in the student's process.

    Parameters
    ----------
    number : int
        The cell's number in the notebook, counted from 1; 0 for a cell that wasn't in it.
    source : str
        The code, in IPython's syntax.
    student : bool
        Whether the student wrote it: only then its errors are worth a remark.
    mode : str
        "all", or "defs" for its definitions only.
    """

    number: int
    source: str
    student: bool = True
    mode: str = "all"


@dataclass
class Submission:
    """What a student handed in, sorted.

    Parameters
    ----------
    steps : list of Step
        What to run, in order.
    answers : dict of str to str
        For each task, what the student wrote; "" for nothing.
    outputs : dict of str to list of dict
        For each task, the saved outputs that belong to it: untrusted.
    positions : dict of str to int
        For each test that stands in the notebook, how many steps come before it.
    redefined : dict of str to set of str
        For each of them, the names that are bound above it and once more below.
    lost : set of str
        Tasks whose answer may be there and wasn't found: a person has to look.
    flags : list of dict
        What is odd, each ``{"kind", "detail"}``.
    """

    steps: list[Step] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    redefined: dict[str, set[str]] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    flags: list[dict[str, str]] = field(default_factory=list)

    def source_of(self, name: str) -> str:
        """Return the text of the last function or class of a name in the student's code, or ""."""
        found = ""
        for step in self.steps:
            source = syntax.python_of(step.source) if name in step.source else ""
            tree = syntax.parse_python(source)
            for node in tree.body if tree else ():
                if getattr(node, "name", None) == name:
                    found = ast.get_source_segment(source, node) or ""
        return found


class Finder:
    """Knows the cells of an assignment again, whatever a notebook did to them.

    Parameters
    ----------
    assignment : Assignment
        The assignment that the submissions belong to.
    """

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._belonging = Belonging(assignment)
        self._known: dict[str, list[SourceCell]] = {}
        self._solutions: set[str] = set()
        for cell in assignment.program:
            answer = cell.role in ("answer", "manual", "task")
            # A test's whole text is known, too: the source is marked like a submission.
            forms = [cell.released] if answer else [cell.released, cell.source]
            if answer and cell.kind != "code" and cell.source != cell.released:
                self._solutions.add(syntax.normalised(cell.source))
            for form in dict.fromkeys(forms):
                for key in _keys(cell.kind, form):
                    self._known.setdefault(key, []).append(cell)
        self._stubs: dict[str, set[str]] = {}
        for answer in assignment.answers.values():
            for name, print_ in answer.stubs.items():
                self._stubs.setdefault(name, set()).add(print_)
        self._helpers = {
            test.id: {
                name
                for node in _body(test.visible_source)
                if not isinstance(node, (ast.Assign, ast.AnnAssign, ast.For, ast.With, ast.Try))
                for name in syntax.bound_by(node)
            }
            for test in assignment.tests
        }
        self._asserts = {
            syntax.fingerprint(node)
            for test in assignment.tests
            for node in _body(test.visible_source)
            if isinstance(node, ast.Assert)
        }

    def find(self, notebook: Notebook) -> Submission:
        """Sort the cells of a notebook.

        Parameters
        ----------
        notebook : Notebook
            What was handed in.

        Returns
        -------
        Submission
            The code to run, the answers, and what is odd.
        """
        found = Submission()
        if notebook.guessed_encoding:
            found.flags.append(_flag("encoding", "not UTF-8: some letters may be wrong"))
        read = functools.cache(syntax.parse)
        long = _too_long(notebook)
        matches = self._match(notebook, long, read)
        code = {
            cell.index: cell
            for cell, match in zip(notebook.cells, matches, strict=True)
            if match is None and cell.kind == "code" and cell.index not in long
        }
        for index, why in long.items():
            if matches[index] is None:
                found.flags.append(_flag("too long", f"cell {index + 1} {why}: it was left out"))
        trees = {index: read(cell.source) for index, cell in code.items()}
        bound = {index: _bound(tree) for index, tree in trees.items()}
        taken = self._retyped(notebook, matches, set().union(*bound.values()), found)
        for index, source in taken.items():
            trees[index] = syntax.parse(source)
            bound[index] = _bound(trees[index])
        mentioned = {name for tree in trees.values() for name in _loads(tree)}
        mentioned -= set().union(*bound.values())

        for cell, match in zip(notebook.cells, matches, strict=True):
            number = cell.index + 1
            if match is None:
                if cell.index in code:
                    source = self._students(cell.source, trees[cell.index])
                else:
                    source = taken.get(cell.index, "")
                if source:
                    found.steps.append(Step(number, source))
            elif match.role == "test":
                found.positions[match.id] = len(found.steps)
                above, below = (
                    {name for index, names in bound.items() for name in names if side(index)}
                    for side in (cell.index.__gt__, cell.index.__lt__)
                )
                found.redefined[match.id] = above & below & match.names.mentioned
                if self._helpers[match.id] & mentioned:  # the student uses what a test defines
                    found.steps.append(Step(number, match.released, student=False, mode="defs"))
            elif match.plain and not match.early:
                found.steps.append(Step(number, match.plain, student=False))
        found.steps += self._missing(notebook, matches, bound)
        another = self._belonging.is_another(notebook, matches, bound.values())
        if another:
            name = self._assignment.name
            found.flags.append(_flag("wrong notebook", f"its tasks are not those of {name}"))
        places = Places(self._assignment, notebook, matches, bound, long)
        self._report(places, taken, found, search=not another)
        return found

    def _match(
        self,
        notebook: Notebook,
        long: dict[int, str],
        read: Callable[[str], ast.Module | None],
    ) -> list[SourceCell | None]:
        """For each cell of the notebook, the instructor's cell that it is, if any."""
        seen: dict[str, int] = {}
        matches: list[SourceCell | None] = []
        for cell in notebook.cells:
            match = None
            for key in _keys(cell.kind, cell.source, _nothing if cell.index in long else read):
                if key in self._known:
                    same = self._known[key]
                    # Twins are told apart by their order.
                    place = seen.get(key, 0)
                    match = same[min(place, len(same) - 1)]
                    seen[key] = place + 1
                    break
            matches.append(match)
        return matches

    def _retyped(
        self,
        notebook: Notebook,
        matches: Sequence[SourceCell | None],
        defined: set[str],
        found: Submission,
    ) -> dict[int, str]:
        """Take code back from cells that aren't code any more, where nothing else defines it."""
        taken: dict[int, str] = {}
        for cell, match in zip(notebook.cells, matches, strict=True):
            if match is not None or cell.kind == "code" or len(cell.source) > MAX_CODE:
                continue
            if syntax.normalised(cell.source) in self._solutions:
                continue
            for text in (cell.source, _fenced(cell.source)):
                tree = syntax.parse(text)
                names = sorted((_bound(tree) & self._assignment.expected) - defined)
                if names:
                    taken[cell.index] = self._students(text, tree)
                    detail = f"cell {cell.index + 1} is {cell.kind} and defines {', '.join(names)}"
                    found.flags.append(_flag("retyped", f"{detail}: taken as code"))
                    break
        return taken

    def _students(self, source: str, tree: ast.Module | None) -> str:
        """Return a student's code without unanswered stubs and copies of the tests' assertions.

        A stub must not take the place of an answer that stands elsewhere; an assertion that fails
        would end a merged cell before its other answers.
        """
        unwanted = []
        for node in tree.body if tree else ():
            name = getattr(node, "name", None)
            same = self._asserts if isinstance(node, ast.Assert) else self._stubs.get(name, ())
            if (same and syntax.fingerprint(node) in same) or self._is_stub(node):
                unwanted.append(node)
        if not unwanted:
            return source
        return syntax.without(syntax.python_of(source), unwanted)

    def _is_stub(self, node: ast.stmt) -> bool:
        """Whether a function that was asked for does nothing but say that it isn't there."""
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return False
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        if node.name not in self._assignment.expected or len(body) != 1:
            return False
        error = getattr(body[0], "exc", None)
        error = error.func if isinstance(error, ast.Call) else error
        return isinstance(error, ast.Name) and error.id == "NotImplementedError"

    def _missing(
        self,
        notebook: Notebook,
        matches: Sequence[SourceCell | None],
        bound: dict[int, set[str]],
    ) -> Iterator[Step]:
        """Yield the instructor's cells that must run after answers and aren't in the notebook."""
        present = {match.index for match in matches if match is not None}
        for cell in self._assignment.cells:
            if cell.early or not cell.plain or cell.index in present:
                continue
            changed = any(cell.names.bound & names for names in bound.values()) or any(
                own.index in bound and _similar(own.source, cell.released) for own in notebook.cells
            )
            if not changed:
                yield Step(0, cell.plain, student=False)

    def _report(
        self, places: Places, taken: dict[int, str], found: Submission, search: bool
    ) -> None:
        """Collect, for each task, what a person will want to see."""
        shown: dict[str, list[Cell]] = {}
        for task in self._assignment.tasks:
            cells, shown[task.id] = places.of(task)
            if search and task.graded and not cells and places.is_lost(task):
                cells = shown[task.id] = places.unplaced()  # one of them may be it
                found.lost.add(task.id)
            texts = [taken.get(cell.index, cell.source).strip() for cell in cells]
            found.answers[task.id] = "\n\n".join(dict.fromkeys(texts))[:MAX_ANSWER]
        left = MAX_OUTPUTS
        for task in sorted(self._assignment.tasks, key=lambda task: not task.manual):
            kept = found.outputs[task.id] = []
            for output in (output for cell in shown[task.id] for output in cell.outputs):
                if len(output["data"]) <= left:
                    left -= len(output["data"])
                    kept.append(output)


def _too_long(notebook: Notebook) -> dict[int, str]:
    """Find the code cells that would take too long to take apart, and say of each why."""
    found: dict[int, str] = {}
    left = MAX_CODE_IN_ALL
    for cell in notebook.cells:
        length = len(cell.source) if cell.kind == "code" else 0
        if length > MAX_CODE:
            found[cell.index] = f"has {length:,} characters"
        elif length > left:
            found[cell.index] = f"stands behind {MAX_CODE_IN_ALL - left:,} characters of code"
        elif length and syntax.is_laborious(cell.source):
            found[cell.index] = "has too many commands"
        else:
            left -= length
    return found


def _fenced(markdown: str) -> str:
    """Return what stands between the fences of a markdown text."""
    found: list[str] = []
    block: list[str] | None = None
    for line in markdown.split("\n"):
        if not line.startswith(("```", "~~~")):
            if block is not None:
                block.append(line)
        elif block is None:
            block = []
        elif not line[3:].strip():
            found += block
            block = None
    return "\n".join(found)


def _keys(
    kind: str, source: str, read: Callable[[str], ast.Module | None] = syntax.parse
) -> Iterator[str]:
    if kind == "code":
        yield from syntax.keys_of(source, read)
    else:
        yield f"words:{syntax.normalised(source)}"


def _nothing(source: str) -> None:
    """Stand for `syntax.parse` where that would take too long."""


def _body(source: str) -> list[ast.stmt]:
    tree = syntax.parse(source)
    return tree.body if tree else []


def _bound(tree: ast.Module | None) -> set[str]:
    return {name for node in (tree.body if tree else ()) for name in syntax.bound_by(node)}


def _loads(tree: ast.Module | None) -> Iterator[str]:
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id


def _similar(one: str, other: str) -> bool:
    one, other = one[:5_000], other[:5_000]
    return difflib.SequenceMatcher(None, one, other, autojunk=False).quick_ratio() > 0.6


def _flag(kind: str, detail: str) -> dict[str, str]:
    return {"kind": kind, "detail": detail}
