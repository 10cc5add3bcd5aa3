"""All attacks, in the order in which they are graded."""

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


def file_of(attack: Attack) -> str:
    """Return an attack's file name; a batch is graded in the order of the names."""
    name = re.sub(r"\W+", "-", attack.name).strip("-")
    return f"{_NUMBER[attack.name]:03} {name}.ipynb"


def next_to(name: str) -> str:
    """Return the name of the right notebook that is graded next."""
    return name.removesuffix(".ipynb") + " then right.ipynb"
