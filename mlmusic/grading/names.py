"""Which names the cell of a notebook defines and uses, read from its source without running it."""

from __future__ import annotations

import ast
import builtins
import re
import symtable
import warnings

PROVIDED = frozenset(dir(builtins)) | frozenset(
    "__name__ __doc__ __file__ display get_ipython exit quit In Out _ __ ___ _i _ii _iii".split()
)
"""Names that a notebook has without defining them: Python's and IPython's."""

_BODY_MAGIC = re.compile(r"\A\s*%%(time|timeit|capture|prun)\b[^\n]*")
_LINE_MAGIC = "get_ipython().run_line_magic"
_OPEN_MAGICS = ("run", "pylab", "load")


def parse(source: str) -> ast.Module:
    """Parse a cell, with IPython's syntax: magics, ``!commands``, ``await`` outside a function.

    The body of ``%%time`` and its like is parsed as the code that it is.

    Raises
    ------
    SyntaxError
        If it isn't Python.
    """
    from IPython.core.inputtransformer2 import TransformerManager

    source = _BODY_MAGIC.sub("", source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an odd escape in a string is no fault of the names
        code = TransformerManager().transform_cell(source)
        tree = compile(code, "<cell>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        # `return` outside a function and its like are found by the compiler alone.
        compile(tree, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return tree


def defined(tree: ast.Module) -> set[str]:
    """Return the names that a cell defines for the cells after it."""
    return set(definitions(tree))


def definitions(tree: ast.Module) -> dict[str, set[str]]:
    """Map each name that a cell defines to the names which its definitions use."""
    found: dict[str, set[str]] = {}
    for statement in tree.body:
        bound, free = _names(statement)
        for name in bound:
            found.setdefault(name, set()).update(free)
    return found


def used(tree: ast.Module) -> set[str]:
    """Return the names that a cell takes from elsewhere: from other cells, or from Python."""
    return _names(*tree.body)[1]


def functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the functions that a cell defines at its top level."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [statement for statement in tree.body if isinstance(statement, kinds)]


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


def _names(*statements: ast.stmt) -> tuple[set[str], set[str]]:
    """Return the names that statements bind and those that they use without binding them.

    Python's own symbol table decides: the statements become the body of a function, whose locals
    are what they bind and whose globals are what they need.
    """
    # A function can't hold `import *`; what it would bind is unknown anyway.
    body = [s for s in statements if not (isinstance(s, ast.ImportFrom) and s.names[0].name == "*")]
    if not body:
        return set(), set()
    cell = ast.parse("async def cell(): pass")
    cell.body[0].body = body
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = symtable.symtable(ast.unparse(cell), "<cell>", "exec").get_children()[0]
    bound = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_local()}
    declared, free, tables = set(), set(), [table]
    while tables:
        inner = tables.pop()
        tables += inner.get_children()
        for symbol in inner.get_symbols():
            if symbol.is_declared_global() and symbol.is_assigned():
                declared.add(symbol.get_name())
            elif symbol.is_global() and symbol.is_referenced():
                free.add(symbol.get_name())
    return bound | declared, free - declared
