"""The report that `mlmusic evaluate recommend` prints."""

import json

import numpy as np
import pytest

from mlmusic.cli import main
from mlmusic.metrics import ranking
from mlmusic.models.recommend import EASE, Random
from mlmusic.models.recommend import report as module
from mlmusic.models.recommend.report import METHODS, report
from mlmusic.plays import Plays, hold_out
from tests.models.recommend.test_recommenders import clubs


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
    learn, tune = hold_out(train, 1 / 8, 0)
    settings = [make() for make in METHODS["ease"]]
    best = settings[np.argmax([recall(model.fit(learn), tune) for model in settings])]
    assert found["recall@20"]["ease"] == pytest.approx(recall(best.fit(train), test))


def recall(model, test):
    hidden = [row.indices for row in test.matrix()]
    return ranking.mean(ranking.recall(model.recommend_all(20), hidden))


def test_settings_are_chosen_on_validation(monkeypatch):
    plays = clubs(80)
    monkeypatch.setattr(module, "METHODS", {"one": (Random, EASE), "other": (EASE, Random)})
    found = report(plays, progress=False)
    monkeypatch.setattr(module, "METHODS", {"one": (EASE,), "other": (EASE,)})
    assert found == report(plays, progress=False)


def test_what_is_set_aside_is_not_recommended():
    """Everybody plays everything: 8 of 10 are learnt, one is aside, and the hidden one is found."""
    user, item = (x.ravel() for x in np.indices((30, 10)))
    plays = Plays(user, item, np.ones(300), range(30), range(10))
    found = report(plays, progress=False)
    assert found["ndcg@10"]["popularity"] == pytest.approx(1)


def test_nothing_to_hide():
    with pytest.raises(ValueError, match="no user has a relevant item"):
        report(Plays.from_rows([("a", "x", 1), ("b", "y", 1)]), progress=False)


@pytest.fixture
def file(tmp_path):
    plays = clubs(40)
    rows = zip(plays.user.tolist(), plays.item.tolist(), plays.count.tolist(), strict=True)
    path = tmp_path / "user_artists.dat"
    lines = ["userID\tartistID\tweight", *(f"{u}\t{i}\t{c:.0f}" for u, i, c in rows)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def test_the_command(file, capsys):
    assert main(["evaluate", "recommend", "--lastfm", file, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {metric: list(values) for metric, values in found.items()} == {
        "recall@20": list(METHODS), "ndcg@10": list(METHODS)
    }  # fmt: skip
    assert main(["evaluate", "recommend", "--lastfm", file]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == list(found)
    for row in rows:
        name, recall, ndcg = row.split()
        assert float(recall) == pytest.approx(found["recall@20"][name], abs=1e-4)
        assert float(ndcg) == pytest.approx(found["ndcg@10"][name], abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recommend"], "which plays? mlmusic evaluate recommend --lastfm FILE"),
        (["recommend", "--lastfm", "gone.dat"], "there is no file gone.dat"),
        (["recommend", "--lastfm", "x", "--data", "jsb"], "leave out --data"),
        (["rnn/gru", "--lastfm", "x"], "--lastfm is for: mlmusic evaluate recommend"),
    ],
)
def test_the_command_refuses_in_one_line(arguments, message, capsys):
    assert main(["evaluate", *arguments]) == 1
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1
