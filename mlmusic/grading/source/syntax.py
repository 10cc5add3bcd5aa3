"""What a cell's code says without running it: its names, and whether two cells are the same."""

from __future__ import annotations

import ast
import contextlib
import inspect
import re
import symtable
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

# Cell magics whose body is ordinary code; the others' (%%bash, %%html …) is not Python.
_BODY_IS_PYTHON = {"time", "timeit", "capture", "prun", "python", "python3", "ipython"}
_CELL_MAGIC = re.compile(r"\s*%%(\w*)[^\n]*")
# Python which IPython changes all the same: prompts that were copied along, an indented first line.
_CHANGED = re.compile(r"\A[ \t]|^(?:>>>|\.\.\.|(?:\[\w*\] ?)?(?:In ?\[| *\.\.\.))", re.MULTILINE)
_EMPTY = re.compile(r"(?:[^\S\n]*\n)*")
# Lines that may be commands; IPython reads the whole cell once more for each.
_COMMAND = re.compile(r"^[ \t]*[%!?,;/]|\?[ \t]*$|=[ \t]*[%!]", re.MULTILINE)
_MOST_WORK = 1_000_000  # characters that it reads of one cell, again and again: a few seconds

# What an instructor's cell calls to show something. It changes nothing, so it needn't run again.
_SHOWS = {"print", "display", "play"}
_HARMLESS = _SHOWS | {
    *("abs bool dict enumerate float format int len list max min range repr reversed").split(),
    *("round set sorted str sum tuple type zip").split(),
}
_HARMLESS_METHODS = {
    *("about astype copy count flatten format item items join keys lower max mean min").split(),
    *("numel numpy reshape round std strip sum tolist upper values").split(),
}

_Definition = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class Names:
    """The global names of a piece of code.

    Parameters
    ----------
    bound : frozenset of str
        Names that it gives a value.
    imported : frozenset of str
        Those of them that an import binds.
    now : frozenset of str
        Names whose values it needs when it runs.
    later : dict of str to frozenset of str
        For each function and class of it, the names that are needed when that is used.
    """

    bound: frozenset[str] = frozenset()
    imported: frozenset[str] = frozenset()
    now: frozenset[str] = frozenset()
    later: tuple[tuple[str, frozenset[str]], ...] = ()

    @property
    def mentioned(self) -> frozenset[str]:
        """Every name that it uses, now or later."""
        return self.now.union(*(names for _, names in self.later))


def normalised(source: str) -> str:
    """Return the text without trailing blanks and without blank lines around it."""
    return "\n".join(line.rstrip() for line in source.strip().split("\n"))


def python_of(source: str) -> str:
    """Return a cell's text as plain Python: magics and shell commands become calls.

    ``%%time`` and its like are taken away from their code; a cell in another language is "".
    """
    return _read(source)[0]


def parse(source: str) -> ast.Module | None:
    """Parse a cell, IPython's syntax included; None if it isn't code."""
    return _read(source)[1]


def _read(source: str) -> tuple[str, ast.Module | None]:
    """Return a cell as plain Python, and parsed."""
    magic = _CELL_MAGIC.match(source)
    if magic:
        if magic[1] not in _BODY_IS_PYTHON:
            return "", parse_python("")
        source = "\n" * magic[0].count("\n") + source[magic.end() :]
    # Most cells are Python already. IPython would take longer than everything else to find out.
    plain = source[_EMPTY.match(source).end() :]
    plain += "" if plain.endswith("\n") else "\n"
    tree = None if _CHANGED.search(plain) else parse_python(plain)
    if tree is not None:
        return plain, tree
    if is_laborious(source):
        return source, None
    with contextlib.suppress(SyntaxError, ValueError, RuntimeError, MemoryError):
        source = _transformer().transform_cell(source)
    return source, parse_python(source)


def is_laborious(source: str) -> bool:
    """Whether a cell has so many commands that turning them into Python would take too long."""
    return len(source) * sum(1 for _ in _COMMAND.finditer(source)) > _MOST_WORK


@lru_cache(maxsize=1)
def _transformer():
    from IPython.core.inputtransformer2 import TransformerManager

    return TransformerManager()


def parse_python(source: str) -> ast.Module | None:
    """Parse plain Python; None if it isn't."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape is the student's affair
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def fingerprint(node: ast.AST) -> str:
    """Return a text that is the same for the same code, however it is laid out.

    Comments, line breaks, quotes and the indentation of docstrings don't count: formatters change
    them. "" for code that is nested too deeply to tell.
    """
    changed: list[tuple[ast.Constant, str]] = []
    try:
        for part in ast.walk(node):
            body = getattr(part, "body", None)
            if isinstance(part, (ast.Module, *_Definition)) and body:
                docstring = getattr(body[0], "value", None)
                if isinstance(docstring, ast.Constant) and isinstance(docstring.value, str):
                    changed.append((docstring, docstring.value))
                    docstring.value = inspect.cleandoc(docstring.value).strip()
        return ast.dump(node)
    except (RecursionError, MemoryError):
        return ""
    finally:
        for docstring, text in changed:
            docstring.value = text


def keys_of(source: str, read: Callable[[str], ast.Module | None] = parse) -> Iterator[str]:
    """Yield what a cell is recognised by: its text, and its code if it has any.

    Parameters
    ----------
    source : str
        The cell.
    read : callable
        What parses it, if its text doesn't suffice.
    """
    yield f"text:{normalised(source)}"
    tree = read(source)
    if tree is not None and tree.body:
        yield f"code:{fingerprint(tree)}"


def names_of(tree: ast.Module | None) -> Names:
    """Find the global names that code binds and needs."""
    if tree is None:
        return Names()
    imported: set[str] = set()
    now: set[str] = set()
    later: dict[str, frozenset[str]] = {}
    before: set[str] = set()
    for statement in tree.body:
        for part in ast.walk(statement):
            if isinstance(part, (ast.Import, ast.ImportFrom)):
                imported |= set(_import_names(part))
        for_now, for_later = _needs(statement)
        # What an earlier statement has bound, or a loop or `with` is about to, is needed of nobody.
        for_now -= before
        if isinstance(statement, (ast.For, ast.AsyncFor, ast.With, ast.AsyncWith)):
            for_now -= set(bound_by(statement))
        before |= set(bound_by(statement))
        if isinstance(statement, _Definition):
            later[statement.name] = later.get(statement.name, frozenset()) | for_later
            now |= for_now
        else:
            now |= for_now | (for_later - before)  # a lambda may be called at once
    bound = frozenset(before)
    return Names(bound, bound & imported, frozenset(now), tuple(later.items()))


def bound_by(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement binds where it stands, not inside of functions."""
    stack = [node]
    while stack:
        part = stack.pop()
        if isinstance(part, _Definition):
            yield part.name
            continue
        if isinstance(part, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp)):
            continue
        if isinstance(part, ast.GeneratorExp):
            continue
        if isinstance(part, (ast.Import, ast.ImportFrom)):
            yield from _import_names(part)
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part.id
        elif isinstance(part, (ast.MatchAs, ast.MatchStar)) and part.name:
            yield part.name
        elif isinstance(part, ast.MatchMapping) and part.rest:
            yield part.rest
        stack.extend(ast.iter_child_nodes(part))


def _import_names(node: ast.Import | ast.ImportFrom) -> Iterable[str]:
    return [(alias.asname or alias.name).split(".")[0] for alias in node.names]


def _needs(statement: ast.stmt) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that a statement reads at once, and those that its functions read."""
    try:
        table = symtable.symtable(ast.unparse(statement), "cell", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset(), frozenset()
    now, later = set(), set()
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        now.add(statement.target.id)
    stack = [(table, False)]
    while stack:
        scope, deferred = stack.pop()
        kind, top = str(scope.get_type()), scope is table
        deferred = deferred or (kind == "function" and not scope.get_name().endswith("comp"))
        for symbol in scope.get_symbols():
            if symbol.is_referenced() and (top or symbol.is_global()):
                (later if deferred else now).add(symbol.get_name())
        stack.extend((child, deferred) for child in scope.get_children())
    return frozenset(now), frozenset(later)


def without(source: str, unwanted: Iterable[ast.stmt]) -> str:
    """Return Python source with some of its top-level statements made `pass`.

    Every other line stays where it was, so that line numbers keep their meaning.
    """
    lines = [line.encode() for line in source.split("\n")]
    for node in sorted(unwanted, key=lambda node: -node.lineno):
        marks = [(node.lineno, node.col_offset)]
        marks += [(d.lineno, d.col_offset - 1) for d in getattr(node, "decorator_list", [])]
        (first, begin), (last, end) = min(marks), (node.end_lineno, node.end_col_offset)
        rest = lines[last - 1][end:]
        lines[first - 1] = lines[first - 1][:begin] + b"pass" + (rest if first == last else b"")
        for number in range(first, last):
            lines[number] = b""
        if first != last:
            lines[first - 1] += rest
    return b"\n".join(lines).decode()


def only_shows(statement: ast.stmt, harmless: frozenset[str] = frozenset()) -> bool:
    """Whether a statement only shows something: running it again would change nothing.

    Parameters
    ----------
    statement : ast.stmt
        A statement of an instructor's cell.
    harmless : frozenset of str
        Functions that it may call besides Python's own.
    """
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Try):
        parts = [*statement.body, *statement.orelse, *statement.finalbody]
        parts += [part for handler in statement.handlers for part in handler.body]
        return all(only_shows(part, harmless) for part in parts)
    if not isinstance(statement, ast.Expr):
        return False
    if isinstance(statement.value, ast.Constant):
        return True
    call = statement.value
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
        return False
    if call.func.id not in _SHOWS:
        return False
    for part in ast.walk(call):
        if isinstance(part, ast.Call):
            function = part.func
            if isinstance(function, ast.Name):
                fine = function.id in _HARMLESS or function.id in harmless
            else:
                fine = isinstance(function, ast.Attribute) and function.attr in _HARMLESS_METHODS
            if not fine:
                return False
        elif isinstance(part, (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)):
            return False
    return True
