"""All attacks, in the order in which they are graded."""

import os
import re

from . import attacks_on_machine, attacks_on_replies, attacks_on_tests
from .attacking import Attack

ATTACKS: list[Attack] = [
    *attacks_on_tests.ATTACKS,
    *attacks_on_replies.ATTACKS,
    *attacks_on_machine.ATTACKS,
]
_NUMBER = {attack.name: number for number, attack in enumerate(ATTACKS)}
assert len(_NUMBER) == len(ATTACKS), "two attacks have the same name"


def for_kind(kind: str, kinds: list[str]) -> list[Attack]:
    """Return the attacks to run in a kind of sandbox: all in the first of those that work here.

    In the others it's the same code that answers, decodes and compares, so there all attacks on
    the machine, those that read and tell, and a quarter of the rest do, unless MLMUSIC_ALL_ATTACKS is set.
    """
    if kind == kinds[0] or "MLMUSIC_ALL_ATTACKS" in os.environ:
        return ATTACKS
    always = [*attacks_on_machine.ATTACKS, *attacks_on_tests.ATTACKS.telling]
    return [a for number, a in enumerate(ATTACKS) if a in always or number % 4 == 0]


def file_of(attack: Attack) -> str:
    """Return an attack's file name; a batch is graded in the order of the names."""
    name = re.sub(r"\W+", "-", attack.name).strip("-")
    return f"{_NUMBER[attack.name]:03} {name}.ipynb"


def next_to(name: str) -> str:
    """Return the name of the right notebook that is graded next."""
    return name.removesuffix(".ipynb") + " then right.ipynb"
