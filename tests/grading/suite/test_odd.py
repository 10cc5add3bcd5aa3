"""Honest but odd notebooks get the points that they deserve, one by one."""

import pytest

from . import assignment
from .building import Case
from .odd import ODD


def by_name(case: Case) -> str:
    return case.name


def test_names_and_files_are_unique():
    assert len({case.name for case in ODD}) == len(ODD)
    assert len({case.file for case in ODD}) == len(ODD)
    assert len(ODD) >= 35


LIST_CLASS = pytest.mark.xfail(
    strict=True, reason="an instance of a class that extends list crosses as a list"
)
SCORED = [
    pytest.param(
        case, marks=LIST_CLASS if case.name == "a class with a quirk" else (), id=case.name
    )
    for case in ODD
]


@pytest.mark.parametrize("case", SCORED)
def test_scores_are_deserved(odd_run, case):
    found = odd_run.scores(case.submission, case.scores)
    assert found == dict(case.scores), odd_run.why(case.submission)
    row = odd_run.row(case.submission)
    assert float(row["points"]) == assignment.POINTS
    assert float(row["score"]) == sum(float(row[task] or 0) for task in assignment.FULL)


@pytest.mark.parametrize("case", [case for case in ODD if case.flags], ids=by_name)
def test_flags_say_what_is_odd(odd_run, case):
    assert case.flags <= odd_run.flags(case.submission)


def test_one_row_for_each_notebook(odd_run):
    assert len(odd_run.rows) == len(ODD)
    assert odd_run.status == 3, "flags.csv has rows"


def test_nothing_secret_in_the_feedback(odd_run):
    assert len(odd_run.pages) == len(ODD)
    for name, page in odd_run.pages.items():
        for secret in assignment.SECRETS:
            assert secret not in page, name
