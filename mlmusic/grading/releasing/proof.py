"""Grade a source's own solution, its empty exercise and cheap answers, before anyone hands in.

The solution must get every point that isn't given by hand, whatever the hidden tests draw; the
empty exercise none. An answer such as ``return None`` or ``return True`` should get none either: a
test that gives it points is weak, and named.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlmusic.grading.releasing import names, validation
from mlmusic.grading.source.assignment import Assignment

if TYPE_CHECKING:
    from nbformat import NotebookNode

SEEDS = (1, 2, 3)
"""What hidden tests are drawn from when a solution is proved: the same each time."""

FIRST_ARGUMENT = "its first argument"
CHEAP = {
    "None": "None",
    "[]": "[]",
    "an empty array": "__import__('numpy').zeros(0)",
    "NaN": "float('nan')",
    "0": "0",
    "True": "True",
    FIRST_ARGUMENT: "",
}
"""Answers that take no thought, by what they return."""


@dataclass(frozen=True)
class Proof:
    """What grading a source's own notebooks showed.

    Parameters
    ----------
    faults : list of str
        What stands against its release, one line each.
    weak : list of str
        Tests that give points to a cheap answer, and answers that nothing grades, one line each.
    """

    faults: list[str]
    weak: list[str]


def prove(source: bytes, name: str, released: NotebookNode, sandbox: str = "auto") -> Proof:
    """Grade the solution, the empty exercise and cheap answers.

    Parameters
    ----------
    source : bytes
        The source notebook.
    name : str
        Its file name.
    released : NotebookNode
        The exercise made from it.
    sandbox : str
        Which kind of isolation the notebooks run in.

    Returns
    -------
    Proof
        What was found.

    Raises
    ------
    SandboxUnavailable
        If this kind can't be used here.
    """
    import nbformat

    from mlmusic.grading.marking.worker import Worker

    original = nbformat.v4.reads(source.decode("utf-8-sig"))
    places = {
        cell.metadata["nbgrader"].get("grade_id"): f"cell {number}"
        for number, cell in enumerate(original.cells, start=1)
        if "nbgrader" in cell.metadata
    }
    worker = Worker(source, name, sandbox=sandbox)
    try:
        solved = _bytes(solution(original, released))
        faults = []
        for seed in SEEDS:
            faults += _lost(worker.mark(solved, seed), places)
            if faults:
                break  # the other draws would say the same again
        for test in _gained(worker.mark(_bytes(released), SEEDS[0])):
            faults.append(
                f"{places[test['id']]} {test['id']!r} gives {test['score']:g} points to an "
                "exercise that nobody has answered: test something that the stub doesn't do"
            )
        if faults:
            return Proof(faults, [])
        gained: dict[str, list[str]] = {test: [] for test in places}
        for kind in CHEAP:
            result = worker.mark(_bytes(cheap(original, released, kind)), SEEDS[0])
            for test in _gained(result):
                gained[test["id"]].append(kind)
        weak = [
            f"{places[test]} {test!r} is weak: it gives points to an answer that only returns "
            + " or ".join(kinds)
            for test, kinds in gained.items()
            if kinds
        ]
        tasks = Assignment.from_bytes(source, name).tasks
        by_hand = {answer for task in tasks for answer in task.graded}
        return Proof([], validation.ungraded(original, by_hand) + weak)
    finally:
        worker.close()


def _tests(result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (test for task in result["tasks"] for test in task["tests"])


def _gained(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [test for test in _tests(result) if test["score"]]


def _lost(result: dict[str, Any], places: dict[str, str]) -> list[str]:
    lost = [test for test in _tests(result) if test["score"] != test["points"]]
    found = []
    for test in lost:
        message = " ".join(str(test["message"]).split())
        found.append(
            f"{places[test['id']]} {test['id']!r} isn't passed by the solution "
            f"({test['outcome']}{': ' if message else ''}{message[:200]}): mend one of them"
        )
    if lost or sum(1 for _ in _tests(result)):
        return found
    # Nothing was tested at all; the flags say why.
    return [f"the solution can't be graded: {flag['detail']}" for flag in result["flags"]]


def _bytes(notebook: NotebookNode) -> bytes:
    import nbformat

    return nbformat.v4.writes(notebook).encode()


# Notebooks to grade -----------------------------------------------------------------------


def solution(original: NotebookNode, released: NotebookNode) -> NotebookNode:
    """Return the exercise with the solution's answers in it, as a perfect student's notebook."""
    solved = copy.deepcopy(released)
    for cell, source in zip(solved.cells, original.cells, strict=True):
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = source.source
    return solved


def cheap(original: NotebookNode, released: NotebookNode, kind: str) -> NotebookNode:
    """Return the exercise with an answer of a kind from `CHEAP` wherever one is asked for."""
    answered = copy.deepcopy(released)
    for cell, source in zip(answered.cells, original.cells, strict=True):
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = _cheap_answer(source.source, cell.source, kind)
    return answered


def _cheap_answer(solution: str, stub: str, kind: str) -> str:
    """Return a stub's cell whose functions and variables are answered cheaply.

    What the stub defines itself stays, so that only what students write is replaced.
    """
    tree, wanted = names.parse(stub), names.parse(solution)
    body: list[ast.stmt] = []
    for statement in tree.body:
        if _is_stub(statement):
            body += _missing(wanted, names.defined(tree), kind)
        else:
            body.append(_Cheap(kind).visit(statement))
    return ast.unparse(ast.fix_missing_locations(ast.Module(body=body, type_ignores=[])))


def _is_stub(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Raise) and "NotImplementedError" in ast.unparse(statement)


class _Cheap(ast.NodeTransformer):
    """Give each unanswered function, a class's methods too, a cheap body."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if any(_is_stub(part) for part in ast.walk(node) if isinstance(part, ast.stmt)):
            value = _first_argument(node.args) if self.kind == FIRST_ARGUMENT else CHEAP[self.kind]
            node.body = ast.parse(f"return {value}").body
            if node.name == "__init__":  # may return nothing else
                node.body = [ast.Pass()]
        return node

    visit_AsyncFunctionDef = visit_FunctionDef


def _first_argument(arguments: ast.arguments) -> str:
    found = [a.arg for a in [*arguments.posonlyargs, *arguments.args] if a.arg not in _SELF]
    if found:
        return found[0]
    rest = arguments.vararg.arg if arguments.vararg else "()"
    return f"next(iter({rest}), None)"


_SELF = ("self", "cls")


def _missing(wanted: ast.Module, given: set[str], kind: str) -> Iterator[ast.stmt]:
    """Define what only the solution does: functions as functions, everything else as a value."""
    value = CHEAP[kind] or "None"
    called = "next(iter(args), None)" if kind == FIRST_ARGUMENT else value
    functions = names.functions(wanted)
    imported = {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(wanted)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    for name in sorted(names.defined(wanted) - given - imported):
        if name in functions:
            yield from ast.parse(f"def {name}(*args, **kwargs):\n    return {called}").body
        else:
            yield from ast.parse(f"{name} = {value}").body
