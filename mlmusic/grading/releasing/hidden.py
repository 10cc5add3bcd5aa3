"""Hidden tests: where they stand in a source notebook, and whether students can see them.

Only what asserts something is a secret. A hidden test is visible if the same assertion stands in
the exercise *and* whatever it is about is computed there in the same way: a property such as
``decode(encode(row)) == row`` may be told, as long as the rows are drawn out of sight.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlmusic.grading.releasing import names

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from mlmusic.grading.releasing.validation import Cell

HIDDEN, SOLUTION = "HIDDEN TESTS", "SOLUTION"  # nbgrader looks for BEGIN and END of these in a line

# What is nearly one of nbgrader's markers. It doesn't know them, and would release the secret.
_MARKER = re.compile(r"\b(begin|end)[ _]*(solution|hidden[ _]*test|mark(ing)?[ _]*scheme)s?", re.I)
# A cell that is called hidden; a model's hidden state, layer, … is another thing.
_OTHER = r"(?![-_ ]*(states?|layers?|sizes?|units?|dim|width|markov|neurons?|vectors?|chord))"
_CALLED_HIDDEN = re.compile(rf"(?:^|.*[-_])hidden{_OTHER}", re.I)
_TITLED_HIDDEN = re.compile(rf"\s*#+\s*hidden\b{_OTHER}", re.I)
_ASSERTS = re.compile(r"(^|[._])(assert|check|expect)", re.I)
_CHECKERS = re.compile(r"^checks\.")  # every helper of mlmusic.grading.checks asserts


def misplaced(cell: Cell) -> Iterator[str]:
    """Say what is wrong with the hidden tests and solutions of a cell, or with having none."""
    pairs = {kind: _region(cell.source, kind) for kind in (HIDDEN, SOLUTION)}
    for kind, region in pairs.items():
        if region is None:
            yield f"has 'BEGIN {kind}' and 'END {kind}' lines that don't pair: mend them"
    hidden, solution = pairs.values()
    if solution and not cell.is_answer:
        yield "has a solution, but isn't marked as one: students would see it; mark the cell"
    if hidden and not cell.is_test:
        yield "has hidden tests, but is no test cell (code, graded, no solution): move them"
    elif hidden and not any(_is_code(line) for line in hidden.values()):
        yield f"hides nothing: write a test between '### BEGIN {HIDDEN}' and '### END {HIDDEN}'"
    called = _CALLED_HIDDEN.match(str(cell.marks.get("grade_id", "")))
    titled = _TITLED_HIDDEN.match(cell.source)
    if cell.is_test and hidden == {} and (called or titled):
        yield (
            "is called hidden, but students would see it: put its test between "
            f"'### BEGIN {HIDDEN}' and '### END {HIDDEN}', or call it something else"
        )


def _is_code(line: str) -> bool:
    return bool(line.strip()) and not line.strip().startswith("#")


def hidden_lines(source: str) -> dict[int, str]:
    """Map the numbers of a cell's hidden lines, from 1, to their text."""
    return _region(source, HIDDEN) or {}


def without_hidden(source: str) -> str:
    """Return what students see of a test: the lines outside the markers."""
    hidden = hidden_lines(source)
    lines = enumerate(source.split("\n"), start=1)
    return "\n".join(line for i, line in lines if i not in hidden)


def _region(source: str, kind: str) -> dict[int, str] | None:
    """Return the lines from BEGIN to END, the marked ones as "" too; None if they don't pair."""
    found: dict[int, str] = {}
    inside = False
    for number, line in enumerate(source.split("\n"), start=1):
        begins, ends = f"BEGIN {kind}" in line, f"END {kind}" in line
        if (begins and inside) or (ends and not inside):
            return None
        if begins or ends or inside:
            found[number] = "" if begins or ends else line
        inside = (inside or begins) and not ends
    return None if inside else found


def misspelt(released: NotebookNode) -> list[str]:
    """Name what is left of markers in an exercise: nbgrader didn't know them."""
    return [
        f"cell {number} {_name(cell)} says {found[0]!r}, which isn't a marker: "
        "nbgrader's are BEGIN and END SOLUTION, HIDDEN TESTS, MARK SCHEME"
        for number, cell in enumerate(released.cells, start=1)
        if (found := _MARKER.search(cell.source))
    ]


def _name(cell: NotebookNode) -> str:
    return repr(cell.metadata.get("nbgrader", {}).get("grade_id") or cell.get("id") or "")


def leaks(source: NotebookNode, released: NotebookNode) -> list[str]:
    """Return the hidden assertions of a source that its exercise shows.

    Parameters
    ----------
    source, released : NotebookNode
        The source and the exercise made from it: the same cells, some of them shorter.

    Returns
    -------
    list of str
        One line for each, with both cells and what to do.
    """
    shown = [_Shown(number, cell) for number, cell in enumerate(released.cells, start=1)]
    everywhere = {key for cell in shown for key in cell.keys}
    found: list[str] = []
    for number, cell in enumerate(source.cells, start=1):
        lines = hidden_lines(cell.source) if cell.cell_type == "code" else {}
        for secret in _secrets(cell.source, lines) if lines else ():
            where = next((other for other in shown if secret.is_in(other, everywhere)), None)
            if where is not None:
                found.append(
                    f"cell {number} {_name(cell)} hides {secret.text!r}, but students see it in "
                    f"cell {where.number}: change one of them"
                )
    return list(dict.fromkeys(found))


class _Shown:
    """A cell as students see it: its statements, and its text without blanks."""

    def __init__(self, number: int, cell: NotebookNode) -> None:
        self.number = number
        self.text = _squeezed(cell.source)
        self.keys: set[str] = set()
        if cell.cell_type == "code":
            for statement in _statements(names.parse(cell.source)):
                self.keys |= {key for key, _ in _bindings(statement)} | {_key(statement)}


class _Secret:
    """A hidden assertion, with the hidden statements that compute what it is about."""

    def __init__(self, statement: ast.stmt, bindings: dict[str, set[str]]) -> None:
        self.key = _key(statement)
        self.text = _short(statement)
        about = statement.test if isinstance(statement, ast.Assert) else statement
        loaded = {n.id for n in ast.walk(about) if isinstance(n, ast.Name)}
        self.needs = {key for name in loaded for key in bindings.get(name, ())}
        text = _squeezed(ast.unparse(about))
        # A text is searched only for what calls something and stands on its own.
        self.told = text if "(" in text and len(text) > 6 and not self.needs else None

    def is_in(self, cell: _Shown, everywhere: set[str]) -> bool:
        if self.key in cell.keys and self.needs <= everywhere:
            return True
        return self.told is not None and self.told in cell.text


def _secrets(source: str, hidden: dict[int, str]) -> Iterator[_Secret]:
    statements = [s for s in _statements(names.parse(source)) if s.lineno in hidden]
    bindings: dict[str, set[str]] = {}
    for statement in statements:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            continue  # the same library everywhere
        for key, bound in _bindings(statement):
            for name in bound:
                bindings.setdefault(name, set()).add(key)
    for statement in statements:
        name = _changed(statement)
        if name in bindings:
            bindings[name].add(_key(statement))
    # What a hidden name is made of counts as well: follow it to the draw.
    made_of = {key: loads for s in statements for key, loads in _sources(s)}
    for name, keys in bindings.items():
        todo = list(keys)
        while todo:
            for part in made_of.get(todo.pop(), ()):
                more = bindings.get(part, set()) - keys if part != name else set()
                keys |= more
                todo += more
    for statement in statements:
        if _asserts(statement):
            yield _Secret(statement, bindings)


def _statements(tree: ast.AST) -> Iterator[ast.stmt]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.stmt))


def _asserts(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assert):
        return True
    if isinstance(statement, ast.If):
        return any(isinstance(part, ast.Raise) for part in statement.body)
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        name = ast.unparse(statement.value.func)
        return bool(_ASSERTS.search(name) or _CHECKERS.match(name))
    return False


def _key(statement: ast.stmt) -> str:
    """Return what two statements share if they do the same; an assertion's message is no part."""
    return ast.dump(statement.test if isinstance(statement, ast.Assert) else statement)


def _bindings(statement: ast.stmt) -> Iterator[tuple[str, set[str]]]:
    """Return what a statement binds: a key for how it does so, and the names."""
    head = _head(statement)
    bound = {_base(node) for part in head for node in ast.walk(part) if _is_stored(node)}
    bound.discard(None)
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        inner = (node.arg for node in ast.walk(statement) if isinstance(node, ast.arg))
        bound |= {statement.name, *inner}
    if bound:
        yield " ".join(map(ast.dump, head)), bound


def _is_stored(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", None), ast.Store)


def _base(node: ast.AST) -> str | None:
    """Return the name that ``name[0].part`` begins with."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _changed(statement: ast.stmt) -> str | None:
    """Return the name that a call such as ``rows.append(…)`` makes into something else."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return None if _asserts(statement) else _base(statement.value.func)
    return None


def _sources(statement: ast.stmt) -> Iterator[tuple[str, set[str]]]:
    head = _head(statement)
    loads = {
        node.id
        for part in head
        for node in ast.walk(part)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    yield " ".join(map(ast.dump, head)), loads


def _head(statement: ast.stmt) -> list[ast.AST]:
    """Return the parts of a statement that bind names, without the body of a loop."""
    if isinstance(statement, (ast.For, ast.AsyncFor)):
        return [statement.target, statement.iter]
    if isinstance(statement, (ast.With, ast.AsyncWith)):
        return list(statement.items)
    if isinstance(statement, (ast.If, ast.While)):
        return [statement.test]
    return [statement]


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text).replace('"', "'")


def _short(statement: ast.stmt) -> str:
    about = statement.test if isinstance(statement, ast.Assert) else statement
    text = " ".join(ast.unparse(about).split())
    return text if len(text) <= 60 else f"{text[:57]}…"
