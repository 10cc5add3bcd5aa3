"""The command line of grading: ``mlmusic grade SOURCE SUBMISSIONS... -o OUT``."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from mlmusic.grading.limits import Limits
from mlmusic.grading.runs import batch, formats, report
from mlmusic.grading.runs.order import Order, Stopped, Summary
from mlmusic.grading.wording import Parser, check_folder, in_words, typed

_EXAMPLES = """\
examples:
  mlmusic grade solutions/00_listen.ipynb submissions.zip -o grades
      grade what Canvas or Moodle gave you: the zip as it is, or its folder
  mlmusic grade solutions/00_listen.ipynb submissions.zip late/ -o grades
      the same, with those who were late; only what is new or changed is graded
  mlmusic grade solutions/00_listen.ipynb submissions.zip -o grades --only 'Ada*' --force
      grade Ada again; the others' grades stay as they are
  mlmusic grade --by-hand -o grades
      give points for what no test can grade; then grade again, or export
  mlmusic grade --doctor
      see how students' code is locked in on this computer, and whether it holds

The folder OUT gets grades.csv (a row for each student, a column for each task, empty where it
waits for grading by hand), flags.csv (what you should look at), feedback/ (a page for each
student) and results/ (everything that was found). A run that was stopped is gone on with by the
same command. Students' answers are never run outside the sandbox.

Exit status: 0, or 3 if flags.csv has rows; 1 for a fault; 2 for a wrong call; 130 if interrupted.
"""


def main(argv: list[str] | None = None) -> int:
    """Run ``mlmusic grade``; return its exit status."""
    parser = _parser()
    options = parser.parse_intermixed_args(argv)  # options may stand between the files
    try:
        if options.doctor:
            from mlmusic.grading.sandbox import doctor

            return doctor.doctor()
        if options.by_hand:
            if not options.out:
                parser.error("--by-hand needs the folder of the grades: -o OUT")
            if not (options.out / "results").is_dir():
                raise ValueError(
                    f"nothing is graded in {options.out} yet: run mlmusic grade SOURCE "
                    f"SUBMISSIONS -o {typed(options.out)} first"
                )
            from mlmusic.grading.pages import by_hand

            return by_hand.main(options.out, renew=lambda: report.renew(options.out))
        if not options.source or not options.submissions:
            parser.error("name the SOURCE notebook and the SUBMISSIONS")
        return _grade(options)
    except Stopped as stopped:
        print(f"mlmusic grade: {_line(stopped)}", file=sys.stderr)
        return 130 if stopped.interrupted else 1
    except KeyboardInterrupt:
        print("mlmusic grade: interrupted", file=sys.stderr)
        return 130
    except (OSError, RuntimeError, ValueError, ModuleNotFoundError) as error:
        print(f"mlmusic grade: {_line(error)}", file=sys.stderr)
        return 1


def _line(error: Exception) -> str:
    """Return an error's message as one line."""
    return _shown(in_words(error))


def _shown(text: str) -> str:
    """Return text that is safe in a terminal: students name their files as they like."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="mlmusic grade",
        description="Grade a class's notebooks, without letting them near your files or the tests.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("source", nargs="?", type=Path, metavar="SOURCE", help="the notebook with the solution")
    add(
        "submissions",
        nargs="*",
        type=Path,
        metavar="SUBMISSIONS",
        help="folders, notebooks, or the zip of an LMS (Canvas, Moodle)",
    )
    add("-o", "--out", type=Path, metavar="OUT", help="the folder for the grades (graded/SOURCE)")
    add(
        "-j",
        "--jobs",
        type=_whole(1, 1000),
        metavar="N",
        help="how many to grade at once (as many as there are cores)",
    )
    add(
        "--only",
        action="append",
        default=[],
        metavar="PATTERN",
        help="only submissions or students called so, such as 'Ada*'; may be given several times",
    )
    add("--force", action="store_true", help="grade again what is graded already")
    add(
        "--attempt",
        choices=("latest", "best"),
        default="latest",
        help="which one counts when a student handed in several (%(default)s)",
    )
    add(
        "--seed",
        type=_whole(0, 2**32 - 1),
        metavar="N",
        help="what the tests' random inputs are drawn from (derived from all the files, and kept)",
    )
    add("--no-feedback", action="store_true", help="write no pages for the students")
    add(
        "--sandbox",
        choices=("auto", "bwrap", "landlock", "docker", "none"),
        default="auto",
        help="how students' code is locked in (%(default)s: the best that works here); none only "
        "for notebooks that you trust",
    )
    add("--dask", metavar="ADDRESS", help="grade on a Dask cluster: its scheduler's address")
    add("--doctor", action="store_true", help="tell which sandboxes work here, and try them")
    add("--by-hand", action="store_true", help="open the page for grading by hand")
    group = parser.add_argument_group("what a notebook may use (by default the assignment says)")
    meaning = {
        "call": ("seconds", "for one call of a student's function"),
        "cell": ("seconds", "for one cell"),
        "total": ("seconds", "for the whole notebook, tests included"),
        "memory": ("MB", "of memory"),
    }
    for name, (unit, text) in meaning.items():
        group.add_argument(
            f"--{name}-{unit.lower()}",
            dest=f"limit_{name}",
            type=float,
            metavar="N",
            help=f"{unit} {text} (%(default)s)".replace("%(default)s", _default(name)),
        )
    return parser


def _default(name: str) -> str:
    value = next(field.default for field in fields(Limits) if field.name == name)
    return formats.number(value / 2**20 if name == "memory" else value)


def _whole(low: int, high: int) -> Callable[[str], int]:
    """Return what reads a whole number between two bounds."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = -1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be a whole number from {low} to {high}")
        return value

    return read


def _grade(options: argparse.Namespace) -> int:
    chosen = {name: getattr(options, f"limit_{name}") for name in ("call", "cell", "total")}
    if options.limit_memory is not None:
        chosen["memory"] = int(options.limit_memory * 2**20)
    order = Order(
        source=options.source,
        submissions=tuple(options.submissions),
        out=options.out or Path("graded") / options.source.stem,
        jobs=options.jobs,
        only=tuple(options.only),
        sandbox=options.sandbox,
        force=options.force,
        attempt=options.attempt,
        seed=options.seed,
        dask=options.dask,
        feedback=not options.no_feedback,
        limits={name: value for name, value in chosen.items() if value is not None},
    )
    _check_source(order)
    check_folder(order.out, "-o")
    if order.sandbox == "none" and order.dask:  # here, the sandbox itself says it
        print(
            "WARNING: no sandbox: the students' code can read, change and send whatever the"
            " cluster's workers can",
            file=sys.stderr,
        )
    summary = batch.grade(order, _Progress())
    if hasattr(sys.stdout, "reconfigure"):  # a name may have letters that a terminal hasn't
        sys.stdout.reconfigure(errors="backslashreplace")
    print(_shown(_told(summary, order)))
    return 3 if summary.report.flags else 0


def _check_source(order: Order) -> None:
    """Raise ValueError if something else was named first than the source notebook."""
    source = order.source
    if not source.exists() or _has_answers(source):
        return  # a missing file's name is said later
    if meant := next(filter(_has_answers, order.submissions), None):
        raise ValueError(
            f"SOURCE and SUBMISSIONS are swapped: {meant} has the answers and the hidden tests, "
            f"so it comes first: mlmusic grade {typed(meant)} {typed(source)}"
        )
    kind = "folder" if source.is_dir() else "zip" if source.suffix.lower() == ".zip" else None
    if kind:
        raise ValueError(
            f"{source} is a {kind}: name the source notebook first, then what was handed in: "
            f"mlmusic grade SOURCE.ipynb {typed(source)}"
        )
    if b'"checksum"' in _notebook(source):  # written by release, kept by students
        print(
            f"WARNING: {source} marks no answers and hides no tests: is it a student's notebook? "
            "The source comes first",
            file=sys.stderr,
        )


def _has_answers(path: Path) -> bool:
    """Say whether a file is a notebook with what no student has: a source."""
    data = _notebook(path)
    return b"BEGIN SOLUTION" in data or b"BEGIN HIDDEN TESTS" in data


def _notebook(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.suffix == ".ipynb" else b""
    except OSError:
        return b""


def _told(summary: Summary, order: Order) -> str:
    """Return a summary in words."""
    counts = [f"{summary.graded} graded", f"{summary.kept} kept from before"]
    written = summary.report
    flagged = len({flag.submission for flag in written.flags if flag.submission})
    counts.append(f"{flagged} flagged")
    if written.waiting:
        counts.append(f"{written.waiting} waiting for grading by hand")
    lines = [", ".join(counts)]
    median, points = formats.number(written.median), formats.number(summary.points)
    so_far = " as long as what waits counts 0" if written.waiting else ""
    lines.append(f"median score {median} of {points}{so_far}, seed {summary.seed}")
    if summary.slow:
        slow = ", ".join(f"{name} ({seconds:.0f} s)" for name, seconds in summary.slow[:5])
        more = f" and {len(summary.slow) - 5} more" if len(summary.slow) > 5 else ""
        lines.append(f"slow: {slow}{more}")
    out = order.out
    lines.append(f"grades: {out / 'grades.csv'}")
    if written.flags:
        kinds = Counter(flag.kind for flag in written.flags).most_common()
        listed = ", ".join(f"{count} {kind}" for kind, count in kinds)
        lines.append(f"look at: {out / 'flags.csv'} ({listed})")
    if order.feedback:
        lines.append(f"feedback: {out / 'feedback'}")
    if written.waiting:
        lines.append(f"then: mlmusic grade --by-hand -o {typed(out)}")
    else:
        lines.append(f"then: mlmusic export {typed(out)} --lms canvas|moodle --roster FILE")
    return "\n".join(lines)


class _Progress:
    """Shows a run as a bar, and names what takes long."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._flagged = 0
        self._named: set[str] = set()

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        line = _shown(line)
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr)

    def begin(self, todo: int, kept: int, seed: int) -> None:
        """Show an empty bar; where nobody looks, in a log, lines are enough."""
        from tqdm import tqdm

        print(f"seed {seed}, {todo} to grade, {kept} kept from before", file=sys.stderr)
        hidden = not sys.stderr.isatty()
        self._bar = tqdm(total=todo, unit="notebook", disable=hidden, dynamic_ncols=True)
        self._bar.set_postfix_str("starting")

    def running(self, seconds: Mapping[str, float]) -> None:
        """Name what has been running for long."""
        slow = {name: s for name, s in seconds.items() if s > batch.SLOW}
        for name in slow.keys() - self._named:
            self._named.add(name)
            if self._bar.disable:
                self.say(f"{name} takes long")
        self._show(", ".join(f"{name} {s:.0f} s" for name, s in slow.items()))

    def done(self, name: str, seconds: float, flags: int) -> None:
        """Count a submission."""
        self._flagged += flags > 0
        self._bar.update()
        self._show("")

    def end(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()
        self._bar = None

    def _show(self, slow: str) -> None:
        parts = [f"{self._flagged} flagged"] if self._flagged else []
        parts += [f"waiting for {slow}"] if slow else []
        self._bar.set_postfix_str(_shown("; ".join(parts)), refresh=bool(slow))
