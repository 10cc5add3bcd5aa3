"""Which names the cell of a notebook defines and uses, for the rules of release."""

from __future__ import annotations

import ast
import re
import warnings

from mlmusic.grading.source import syntax
from mlmusic.grading.source.cells import BUILTINS

PROVIDED = BUILTINS | {*"_i _ii _iii".split()}
"""Names that a notebook has without defining them: Python's and IPython's."""

_LINE_MAGIC = "get_ipython().run_line_magic"
_OPEN_MAGICS = ("run", "pylab", "load")


def parse(source: str) -> ast.Module:
    """Parse a cell, IPython's syntax included, and find what only Python's compiler refuses.

    Raises
    ------
    SyntaxError
        If it isn't Python; `syntax.parse` doesn't say why.
    """
    code = syntax.python_of(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an odd escape in a string is no fault of the names
        try:
            compile(code, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            return ast.parse(code)
        except (ValueError, RecursionError, MemoryError) as error:  # null bytes, endless brackets
            raise SyntaxError(str(error) or type(error).__name__) from None


def defined(tree: ast.Module) -> set[str]:
    """Return the names that a cell defines for the cells after it."""
    shared = (node.names for node in ast.walk(tree) if isinstance(node, ast.Global))
    return set(syntax.names_of(tree).bound).union(*shared) - {"*"}


def definitions(tree: ast.Module) -> dict[str, set[str]]:
    """Map each name that a cell defines to the names which its definitions use."""
    found: dict[str, set[str]] = {}
    for statement in tree.body:
        part = ast.Module([statement], [])
        for name in defined(part):
            found.setdefault(name, set()).update(used(part))
    return found


def used(tree: ast.Module) -> set[str]:
    """Return the names that a cell takes from elsewhere: from other cells, or from Python."""
    return set(syntax.names_of(tree).mentioned) - defined(tree)


def functions(tree: ast.Module) -> set[str]:
    """Return the names of the functions that a cell defines at its top level."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {statement.name for statement in tree.body if isinstance(statement, kinds)}


def words_in_texts(tree: ast.Module) -> set[str]:
    """Return the words of a cell's strings, where ``eval("f(3)")`` would hide a name."""
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {word for text in texts if isinstance(text, str) for word in re.findall(r"\w+", text)}


def is_open(tree: ast.Module) -> bool:
    """Say whether a cell may define names that its source doesn't show (``import *``, `exec`)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            return True
        if isinstance(node, ast.Name) and node.id in ("exec", "globals"):
            return True
        if isinstance(node, ast.Call) and ast.unparse(node.func) == _LINE_MAGIC:
            magic = node.args[0]
            if isinstance(magic, ast.Constant) and magic.value in _OPEN_MAGICS:
                return True
    return False
