"""The report that `mlmusic evaluate recommend` prints."""

import numpy as np
import pytest

from mlmusic.metrics import ranking
from mlmusic.models.recommend import EASE
from mlmusic.models.recommend.report import METHODS, report
from mlmusic.plays import Plays, hold_out
from tests.models.recommend.test_recommenders import ITEMS, clubs


def test_all_methods_on_both_splits():
    plays = clubs(80)
    found = report(plays, progress=False)
    assert set(found) == {"recall@20", "ndcg@10"}
    for values in found.values():
        assert list(values) == list(METHODS)
        assert all(0 < value <= 1 for value in values.values())
    assert found == report(plays, progress=False)
    # Recall of lists of 20 among 30 items, computed again.
    train, test = hold_out(plays, 0.2, 0)
    lists = EASE().fit(train).recommend_all(20)
    assert found["recall@20"]["ease"] == pytest.approx(
        ranking.mean(ranking.recall(lists, [row.indices for row in test.matrix()]))
    )


def test_what_is_set_aside_is_not_recommended():
    """Everybody plays everything: 8 of 10 are learnt, one is aside, and the hidden one is found."""
    user, item = (x.ravel() for x in np.indices((30, 10)))
    plays = Plays(user, item, np.ones(300), range(30), range(10))
    found = report(plays, progress=False)
    assert found["ndcg@10"]["popularity"] == pytest.approx(1)
    assert ITEMS > 10


def test_nothing_to_hide():
    with pytest.raises(ValueError, match="no user has a relevant item"):
        report(Plays.from_rows([("a", "x", 1), ("b", "y", 1)]), progress=False)
