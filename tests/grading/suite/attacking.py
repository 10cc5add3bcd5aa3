"""What the attacks share: where they stand in a notebook, and how they tell of their success.

An attack is Python in a cell of an unsolved notebook. Its code may use the words ``@SOURCE@`` (the
instructor's notebook), ``@OUT@`` (the folder of results), ``@SUBMISSIONS@``, ``@CANARY@`` (a folder
of the test's own), ``@PORT@`` and ``@SOCKET@`` (where the test listens), ``@VICTIM@`` (a process of
the test's) and ``@MARKER@``, which every process that it starts carries in its command line. It
knows all of these: hiding them protects nobody.

What an attack could read, it puts into the list ``found``: the visible test of `contour` then shows
it, so that it ends up in the results.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

from . import assignment
from .building import NOTHING, answer, code, dump, empty, insert

EVIDENCE = "EVIDENCE-3306"  # spelled in two parts where it stands in code


@dataclass(frozen=True)
class Attack:
    """One attack: a cell at the start or the end of an unsolved notebook, and other answers.

    Parameters
    ----------
    name : str
    source : str
        The cell's code.
    answers : dict of str to str
        Tasks that are answered in the ordinary way.
    scores : dict of str to float
        The most that each task may get.
    survives : bool
        Whether the ordinary answers must get their points in spite of the attack.
    at_end : bool
        Whether the cell stands at the end, not at the start.
    """

    name: str
    source: str
    answers: Mapping[str, str]
    scores: Mapping[str, float]
    survives: bool
    at_end: bool

    def make(self, place: Mapping[str, str]) -> bytes:
        """Return the notebook's bytes for one run of the tests."""
        notebook = empty()
        for task, source in self.answers.items():
            answer(notebook, task, filled(source, place))
        insert(notebook, "", code(filled(self.source, place), "attack"), after=self.at_end)
        return dump(notebook)


def filled(source: str, place: Mapping[str, str]) -> str:
    """Return code with the words between @ replaced."""
    source = textwrap.dedent(source).strip("\n")
    for word, value in place.items():
        source = source.replace(f"@{word}@", value)
    return source


class Attacks(list[Attack]):
    """A list of attacks that grows by calls."""

    @property
    def telling(self) -> list[Attack]:
        """Those that look for secrets or tell what they saw."""
        return [a for a in self if a.source.startswith(TELL[:20]) or "LEAK" in a.source]

    def add(
        self,
        name: str,
        source: str,
        answers: Mapping[str, str] | None = None,
        *,
        survives: bool = False,
        at_end: bool = False,
        **scores: float,
    ) -> None:
        """Add an attack; keywords name the tasks that deserve points, beside those answered."""
        answers = answers or {}
        deserved = {**NOTHING, **dict.fromkeys(answers, 3.0), **scores}
        self.append(Attack(name, source, answers, deserved, survives, at_end))

    def giving(
        self, name: str, value: str, before: str = "", only: tuple[str, ...] = assignment.TASKS
    ) -> None:
        """Add an attack that defines all names, or only some, and gives one value everywhere."""
        lines = textwrap.dedent(before).strip("\n")
        names = "".join(f"{task} = " for task in only if task != "scale")
        last = f"scale = {value}" if "scale" in only else ""
        source = f"{lines}\n{names}lambda *args, **kwargs: {value}\n{last}"
        self.add(name, source, at_end=True)


# Shows what was found in the message of a visible test.
TELL = """
found = []

def contour(*args):
    if found:
        raise RuntimeError("EVIDENCE" + "-3306 " + repr(found)[:300])

def tell(*texts):
    for text in texts:
        text = text if isinstance(text, str) else bytes(text).decode("latin-1")
        for word in ("HIDDEN-" + str(7041), "SOLUTION-" + str(5519), "CANARY-" + str(8812)):
            at = text.find(word)
            if at >= 0 and len(text) > 40:  # not just the word in this very code
                found.append(text[max(0, at - 60) : at + 60])
"""
