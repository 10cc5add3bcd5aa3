"""Mark one submission: its cells run in the sandbox, the tests here, and values go between them."""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from mlmusic.grading.limits import Limits
from mlmusic.grading.marking import guard
from mlmusic.grading.marking.answers import Finder
from mlmusic.grading.marking.namespace import CompiledCell, Namespace, compile_cell
from mlmusic.grading.marking.process import Student
from mlmusic.grading.marking.reference import Comparison, NeedsReference, Reference
from mlmusic.grading.marking.results import blank_result, fill_in
from mlmusic.grading.marking.testing import Progress, Testing
from mlmusic.grading.sandbox import Sandbox
from mlmusic.grading.source import syntax
from mlmusic.grading.source.assignment import Assignment
from mlmusic.grading.source.notebook import UnreadableNotebook, read_notebook


class Marker:
    """An assignment that is ready to mark: its public cells have run, its tests are compiled.

    Parameters
    ----------
    assignment : Assignment
        What to mark.
    limits : Limits, optional
        Instead of the assignment's own.

    Raises
    ------
    ValueError
        If a test can't be compiled.

    Notes
    -----
    Tests may change what the public cells have made: call `mark` once in each process, of which
    a fork is enough.
    """

    def __init__(self, assignment: Assignment, limits: Limits | None = None) -> None:
        self.assignment = assignment
        self.limits = limits or assignment.limits
        self.finder = Finder(assignment)
        self.full: dict[str, CompiledCell] = {}
        self.visible: dict[str, CompiledCell] = {}
        for test in assignment.tests:
            self.full[test.id] = compile_cell(test.source, f"<test {test.id}>")
            self.visible[test.id] = compile_cell(test.visible_source, f"<test {test.id}>")
        self.compiled: dict[int, CompiledCell] = {}
        self.contested = _contested(assignment)
        self.namespace = Namespace()
        self.bindings: dict[int, dict[str, Any]] = {}
        self._warm()

    def _warm(self) -> None:
        """Run what doesn't depend on answers, once, and note what each cell binds."""
        with quiet():
            for name in _modules(self.assignment):
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
            for statement in _imports_of_tests(self.assignment):
                Namespace().run(compile_cell(statement, "<import>"))
            guard.install()
            guard.seed_public()
            for cell in self.assignment.cells:
                if not cell.plain:
                    continue
                try:
                    self.compiled[cell.index] = compile_cell(cell.plain, f"<cell {cell.id}>")
                except ValueError:
                    continue
                if cell.needs_answers:
                    continue
                before = dict(self.namespace)
                self.namespace.run(self.compiled[cell.index])
                self.bindings[cell.index] = self.namespace.changes_since(before)[0]
            for name, source in self.assignment.imports.items():
                if name not in self.namespace:
                    self.namespace.run(compile_cell(source, "<import>"))
            self.imports = {
                name: self.namespace[name]
                for name in self.assignment.imports
                if name in self.namespace
            }

    def mark(
        self,
        data: bytes,
        sandbox: Sandbox,
        seed: int,
        *,
        reference: Reference | None = None,
        record: Reference | None = None,
        seconds: float | None = None,
        settled: Mapping[str, dict[str, Any]] = MappingProxyType({}),
        progress: Progress = lambda event: None,
    ) -> dict[str, Any]:
        """Mark a submission.

        Parameters
        ----------
        data : bytes
            The file that was handed in.
        sandbox : Sandbox
            Where its code runs; a fresh student's process has been started in it.
        seed : int
            The run's seed.
        reference : Reference, optional
            What the solution does.
        record : Reference, optional
            The submission is the solution: note here what it does.
        seconds : float, optional
            How long it may take, if not as long as the limits say.
        settled : mapping of str to dict, optional
            Tests that aren't run again, by id, and what came of them.
        progress : callable, optional
            Told what is known so far, for the case that this process doesn't survive.

        Returns
        -------
        dict
            The result, JSON-able and without anything that changes from run to run.

        Raises
        ------
        NeedsReference
            If there is no reference and it takes one.
        """
        deadline = time.monotonic() + (seconds or self.limits.total)
        result = blank_result(self.assignment)
        try:
            submission = self.finder.find(read_notebook(data))
        except UnreadableNotebook as error:
            result["flags"].append({"kind": "unreadable", "detail": str(error)})
            return result
        except (RecursionError, MemoryError) as error:
            detail = f"its code can't be taken apart ({type(error).__name__})"
            result["flags"].append({"kind": "unreadable", "detail": detail})
            return result
        fill_in(result, submission)
        progress({"result": result})
        student = Student(sandbox, self.limits, deadline)
        comparison = Comparison(seed, reference, record)
        with quiet() as student.stdout:
            Testing(self, submission, student, comparison, seed, settled).run(result, progress)
        return result


def mark(assignment: Assignment, data: bytes, sandbox: Sandbox, seed: int) -> dict[str, Any]:
    """Mark one submission in this process; `Worker` does it for many.

    Parameters
    ----------
    assignment : Assignment
        What to mark.
    data : bytes
        The file that was handed in.
    sandbox : Sandbox
        Made with what `sandbox_options` says.
    seed : int
        Tests draw their numbers from it.

    Returns
    -------
    dict
        See `Marker.mark`.
    """

    def once(data: bytes, **options: Reference) -> dict[str, Any]:
        sandbox.start()
        try:
            with guard.preserved():
                return Marker(assignment).mark(data, sandbox, seed, **options)
        finally:
            sandbox.stop()

    try:
        return once(data)
    except NeedsReference:
        reference = Reference(seed)
        once(assignment.source, record=reference)
        return once(data, reference=reference)


def sandbox_options(assignment: Assignment) -> dict[str, Any]:
    """Return the arguments with which a sandbox for an assignment is made: modules and cells."""
    early = [cell for cell in assignment.cells if cell.early and cell.plain]
    return {
        "modules": _modules(assignment),
        "cells": tuple(cell.plain for cell in early),
        "limits": assignment.limits,
    }


def _modules(assignment: Assignment) -> tuple[str, ...]:
    """Return the modules that public cells and solutions import: they are imported only once."""
    found = set()
    for cell in assignment.program:
        tree = syntax.parse(cell.source) if cell.role in ("public", "answer", "manual") else None
        for node in ast.walk(tree) if tree else ():
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module)
    return tuple(sorted(found))


def _imports_of_tests(assignment: Assignment) -> tuple[str, ...]:
    """Return the statements with which tests import modules, hidden ones too.

    They are for this side alone: a sandbox in which these modules had been imported would say
    what hidden tests use.
    """
    found = [
        ast.unparse(node)
        for test in assignment.tests
        for node in ast.walk(syntax.parse(test.source) or ast.Module([], []))
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and not node.level)
    ]
    return tuple(dict.fromkeys(found))


@contextlib.contextmanager
def quiet() -> Iterator[io.TextIOBase]:
    """Drop what is printed meanwhile."""
    sink = _Sink()
    with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
        yield sink


class _Sink(io.TextIOBase):
    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)


def _contested(assignment: Assignment) -> dict[str, frozenset[str]]:
    """Return, for each test, the names that it uses and that get another value further down."""
    answered: set[str] = set()
    contested: set[str] = set()
    for cell in assignment.program:
        if cell.role in ("answer", "manual", "public"):
            contested |= cell.names.bound & answered
        if cell.role in ("answer", "manual"):
            answered |= cell.names.bound & assignment.expected
    return {
        cell.id: cell.names.mentioned & contested
        for cell in assignment.program
        if cell.role == "test"
    }
