"""The namespace of the tests: the instructor's names at hand, the student's fetched when used."""

from __future__ import annotations

import ast
import asyncio
import builtins
import re
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from mlmusic.grading.source import syntax

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
_IS_COROUTINE = 0x80  # a code object with await on its top level


@dataclass(frozen=True)
class Statement:
    """A compiled statement of a cell."""

    code: Any
    defines: bool


@dataclass(frozen=True)
class CompiledCell:
    """A cell that is ready to run.

    Parameters
    ----------
    name : str
        The name of its file in tracebacks.
    statements : tuple of Statement
        Its statements.
    tree : ast.Module
        Its syntax tree, to find the text of an assertion.
    source : str
        Its text as Python.
    """

    name: str
    statements: tuple[Statement, ...]
    tree: ast.Module
    source: str

    def __bool__(self) -> bool:
        return bool(self.statements)

    def definitions(self) -> CompiledCell:
        """Return the cell with nothing but its definitions and imports."""
        return replace(self, statements=tuple(s for s in self.statements if s.defines))

    def assertion(self, error: BaseException) -> str:
        """Return the text of the assertion that failed; "" if it wasn't one of this cell."""
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename == self.name
        ]
        for node in ast.walk(self.tree) if lines else ():
            if isinstance(node, ast.Assert) and node.lineno <= lines[-1] <= node.end_lineno:
                return " ".join((ast.get_source_segment(self.source, node.test) or "").split())
        return ""


def compile_cell(source: str, name: str) -> CompiledCell:
    """Compile a cell of the instructor's; magics and shell commands do nothing.

    Raises
    ------
    ValueError
        If it isn't Python.
    """
    python = syntax.python_of(source)
    tree = syntax.parse_python(python)
    if tree is None:
        raise ValueError(f"{name.strip('<>')} is not Python")
    statements = [
        Statement(
            compile(
                ast.Module([node], []),
                name,
                "exec",
                ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
                dont_inherit=True,
            ),
            isinstance(node, _DEFINITIONS),
        )
        for node in tree.body
    ]
    return CompiledCell(name, tuple(statements), tree, python)


class Namespace(dict):
    """Global names of the trusted code; a name that it lacks is looked for elsewhere.

    Attributes
    ----------
    find : callable
        Takes a name and returns its value; raises KeyError if there is none.
    offers : callable
        Takes a name and says whether `find` would find it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.find: Callable[[str], Any] = _nothing
        self.offers: Callable[[str], bool] = lambda name: False
        # A class body looks names up in the builtins, not in __missing__.
        self._builtins = _Builtins(vars(builtins))
        self._builtins.namespace = self
        self.reset()

    def reset(self) -> None:
        """Forget every name but those that each notebook has."""
        self.clear()
        self.update(vars(builtins))  # so that looking one up doesn't ask the student
        shell = _Shell()
        self.update(
            __name__="__main__",
            __builtins__=self._builtins,
            display=shell,
            get_ipython=lambda: shell,
        )

    def __missing__(self, name: str) -> Any:
        return self.find(name)

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, name) or (isinstance(name, str) and self.offers(name))

    def run(self, cell: CompiledCell) -> BaseException | None:
        """Run a cell; after an error only its definitions, which other cells may need.

        Returns
        -------
        BaseException or None
            The first error.
        """
        first: BaseException | None = None
        for statement in cell.statements:
            if first is not None and not statement.defines:
                continue
            try:
                result = eval(statement.code, self)
                if statement.code.co_flags & _IS_COROUTINE:
                    _loop().run_until_complete(result)
            except BaseException as error:
                first = first or error
        return first

    def changes_since(self, before: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Return what was bound anew since, and what has gone."""
        new = {k: v for k, v in self.items() if k not in before or before[k] is not v}
        return new, [name for name in before if not dict.__contains__(self, name)]


class _Builtins(dict):
    namespace: Namespace

    def __missing__(self, name: str) -> Any:
        return self.namespace.find(name)


class _Shell:
    """Stands for IPython's shell and for `display`: takes everything and does nothing."""

    def __call__(self, *_: Any, **__: Any) -> None:
        return None

    def __getattr__(self, name: str) -> _Shell:
        if name.startswith("__"):
            raise AttributeError(name)
        return self


_loops: list[asyncio.AbstractEventLoop] = []


def _loop() -> asyncio.AbstractEventLoop:
    if not _loops or _loops[0].is_closed():
        _loops[:] = [asyncio.new_event_loop()]
    return _loops[0]


def _nothing(name: str) -> Any:
    raise KeyError(name)


def plain_text(words: Iterable[str] | str, longest: int = 500) -> str:
    """Return a message that is the same in every run: no addresses, not too long."""
    text = words if isinstance(words, str) else " ".join(words)
    text = re.sub(r"0x[0-9a-fA-F]{6,}", "0x…", text)
    text = text.encode("utf-8", "replace").decode().strip()
    return text if len(text) <= longest else text[: longest - 1] + "…"
