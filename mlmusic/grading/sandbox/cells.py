"""Run a notebook's cells as IPython would, statement by statement, and leave its commands out."""

from __future__ import annotations

import ast
import asyncio
import builtins
import linecache
import re
import types
from typing import Any

# What stands on a cell's first line and wants the rest run as it is.
_RUN_BODY = re.compile(r"\s*%%(capture|prun|time|timeit)\b[^\n]*\n")
_EMPTY = re.compile(r"(?:[ \t]*\n)*")
_OPTIONS = re.compile(r"^\s*(-\w+\s*\d*\s+)*")  # of %timeit
# Commands that would change the machine, or run something else than this notebook.
_COMMANDS = frozenset(
    "bash cd conda mamba micromamba pip perl python python2 python3 run ruby sc script sh sx "
    "system uv".split()
)
_EXTENSIONS = frozenset("autoreload tensorboard watermark".split())  # what %load_ext would add
_NAME = "<cell "  # how the file names of cells begin
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
_SIMPLE = (
    ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.UnaryOp, ast.BinOp, ast.Name,
    ast.JoinedStr, ast.FormattedValue, ast.Starred, ast.expr_context, ast.operator, ast.unaryop,
)  # fmt: skip


class Cells:
    """A namespace in which cells run one after the other.

    Attributes
    ----------
    names : dict
        What the cells have defined.
    """

    def __init__(self) -> None:
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config

        config = Config()
        config.HistoryManager.enabled = False
        config.HistoryManager.hist_file = ":memory:"
        config.InteractiveShell.colors = "NoColor"
        self.shell = InteractiveShell.instance(config=config)
        self.shell.display_formatter.active_types = ["text/plain"]
        self.names: dict[str, Any] = self.shell.user_ns
        self._notes: list[str] = []
        self._count = 0
        self._flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._loop: asyncio.AbstractEventLoop | None = None
        shell: Any = self.shell
        shell.system = shell.system_raw = shell.system_piped = self._no_command
        shell.getoutput = self._no_output
        shell.run_line_magic = self._line_magic
        shell.run_cell_magic = self._cell_magic
        shell.ask_exit = lambda: None  # what exit() calls

    def run(
        self, source: str, mode: str = "all"
    ) -> tuple[BaseException | None, int | None, list[str]]:
        """Run a cell.

        After the first error, only what defines something still runs.

        Parameters
        ----------
        source : str
            The cell, in IPython's syntax.
        mode : str
            ``"all"``, or ``"defs"`` for imports, functions, classes and simple constants only.

        Returns
        -------
        error : the first exception, or None
        line : int or None
            Where in the cell it was raised.
        notes : list of str
            The commands and magics that were left out.
        """
        self._notes = []
        self._count += 1
        name = f"{_NAME}{self._count}>"
        while found := _RUN_BODY.match(source):
            source = "\n" * found[0].count("\n") + source[found.end() :]
        try:
            # IPython would drop empty lines at the beginning, and the numbers would be wrong.
            start = _EMPTY.match(source).end()
            source = source[:start] + self.shell.transform_cell(source[start:])
            # So that tracebacks and inspect.getsource find the text.
            lines = source.splitlines(keepends=True)
            linecache.cache[name] = (len(source), None, lines, name)
            nodes = ast.parse(source, name).body
        except BaseException as error:
            return error, getattr(error, "lineno", None), self._notes
        first: BaseException | None = None
        line: int | None = None
        for node in nodes:
            if (first is not None or mode == "defs") and not _defines(node, mode == "defs"):
                continue
            own = self._own() if _is_star(node) else {}
            try:
                self._execute(compile_node(node, name, self._flags))
                self.names.update(own)
            except BaseException as error:
                if first is None:
                    first, line = error, line_in(error, name)
        return first, line, self._notes

    def _own(self) -> dict[str, Any]:
        """Return the functions and classes that cells have defined: no import * hides them."""
        return {
            name: value
            for name, value in self.names.items()
            if isinstance(value, (types.FunctionType, type)) and value.__module__ == "__main__"
        }

    def _execute(self, code: Any) -> None:
        self._flags |= code.co_flags & _FUTURES
        result = eval(code, self.names)
        if code.co_flags & 0x80:  # CO_COROUTINE: it has an await on its top level
            self.wait(result)

    def wait(self, awaitable: Any) -> Any:
        """Run something that can be awaited to its end."""
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)

        async def run() -> Any:
            return await awaitable

        return self._loop.run_until_complete(run())

    def settle(self) -> None:
        """Give up what a fork must not share with its parent."""
        if self._loop is not None:
            self._loop.close()

    def _no_command(self, command: str) -> None:
        self._notes.append(f"!{command}"[:100])

    def _no_output(self, command: str, *_: Any, **__: Any) -> list[str]:
        self._no_command(command)
        return []

    def _line_magic(self, name: str, line: str, *_: Any, **__: Any) -> Any:
        if name in ("time", "timeit", "prun"):
            return self._value(line)
        known = name in _EXTENSIONS or self.shell.find_line_magic(name) is not None
        if name in _COMMANDS or not known:
            self._notes.append(f"%{name} {line}".strip()[:100])
        return None

    def _cell_magic(self, name: str, line: str, body: str) -> None:
        if name in ("writefile", "file"):  # a module, to be imported later
            *options, path = line.split()
            with open(path, "a" if "-a" in options else "w", encoding="utf-8") as file:
                file.write(body)
            return
        self._notes.append(f"%%{name} {line}".strip()[:100])

    def _value(self, line: str) -> Any:
        """Run what follows %time and its options, and return its value if it has one."""
        line = self.shell.transform_cell(_OPTIONS.sub("", line))
        try:
            code = compile(line.strip(), "<magic>", "eval")
        except SyntaxError:
            exec(compile(line, "<magic>", "exec"), self.names)
            return None
        return eval(code, self.names)


_FUTURES = 0
for _name in __import__("__future__").all_feature_names:
    _FUTURES |= getattr(__import__("__future__"), _name).compiler_flag
_FUTURES &= ~0x10 & ~0x40  # generators, nested scopes: always on, and other flags by now


def _is_star(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.names[0].name == "*"


def compile_node(node: ast.stmt, name: str, flags: int) -> Any:
    """Compile one statement."""
    return compile(ast.Module([node], []), name, "exec", flags, dont_inherit=True)


def line_in(error: BaseException, name: str = _NAME) -> int | None:
    """Find the line of a cell, any or a certain one, that an exception passed through first."""
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith(name):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _defines(node: ast.stmt, constants: bool) -> bool:
    if isinstance(node, _DEFINITIONS):
        return True
    if isinstance(node, ast.Try):  # an import that may fail
        return all(_defines(child, constants) for child in node.body)
    if constants and isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
        return all(isinstance(part, _SIMPLE) for part in ast.walk(node.value))
    return False


def nearest_builtin(error: BaseException) -> str | None:
    """Name the builtin exception that an exception is, or extends.

    None for those that must not be raised as themselves on the trusted side: they would end a
    loop, a generator or the process.
    """
    kind = type(error)
    if not issubclass(kind, Exception) or issubclass(kind, (StopIteration, StopAsyncIteration)):
        return None
    for base in type.__dict__["__mro__"].__get__(kind):
        if getattr(builtins, base.__name__, None) is base:
            return base.__name__
    return None
