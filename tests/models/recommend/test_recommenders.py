"""What every recommender promises, and each method against its definition, done slowly."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from mlmusic.models import recommend
from mlmusic.models.recommend.factors import _unplayed
from mlmusic.models.recommend.neighbors import _keep
from mlmusic.plays import Plays

ITEMS = 30
FEATURES = np.random.default_rng(5).normal(size=(ITEMS, 4))
METHODS = {
    "random": lambda: recommend.Random(seed=3),
    "popularity": recommend.Popularity,
    "user-knn": lambda: recommend.UserKNN(neighbors=8),
    "user-knn tfidf": lambda: recommend.UserKNN(neighbors=8, scheme="tfidf", shrinkage=2.0),
    "item-knn": lambda: recommend.ItemKNN(neighbors=8),
    "item-knn bm25": lambda: recommend.ItemKNN(neighbors=8, scheme="bm25", shrinkage=2.0),
    "content": lambda: recommend.Content(FEATURES),
    "hybrid": lambda: recommend.Hybrid((recommend.EASE(9.0), 20), (recommend.Content(FEATURES), 1)),
    "als": lambda: recommend.ALS(factors=6, iterations=5),
    "bpr": lambda: recommend.BPR(factors=6, epochs=60),
    "ease": lambda: recommend.EASE(10.0),
    "two towers": lambda: recommend.TwoTower(factors=8, epochs=40, rate=0.02),
    "sasrec": lambda: recommend.SASRec(8, layers=1, longest=12, epochs=40, rate=0.02),
}  # fmt: skip
PERSONAL = [name for name in METHODS if name not in ("random", "popularity")]


def clubs(users: int = 60, seed: int = 0) -> Plays:
    """Make plays of two clubs: each plays its own half of the items, and a bit of all."""
    random = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        own = random.choice(ITEMS // 2, 7, replace=False) + (user % 2) * (ITEMS // 2)
        items = np.unique(np.concatenate([own, random.choice(ITEMS, 1)]))
        rows += [(user, item, random.integers(1, 9), random.random()) for item in items.tolist()]
    user, item, count, time = (np.array(x) for x in zip(*rows, strict=True))
    return Plays(user, item, count, range(users), range(ITEMS), time)


@pytest.fixture(scope="module")
def plays():
    return clubs()


@pytest.fixture(scope="module")
def fitted(plays):
    return {name: make().fit(plays) for name, make in METHODS.items()}


@pytest.mark.parametrize("name", METHODS)
def test_lists_hold_the_best_unseen_items(fitted, plays, name):
    model = fitted[name]
    seen = plays.matrix().toarray() > 0
    scores = model.score(model.history)
    lists = model.recommend_all(5)
    assert lists.shape == (60, 5)
    for user in (0, 1, 37):
        expected = np.argsort(-np.where(seen[user], -np.inf, scores[user]), kind="stable")[:5]
        # Scores of a batch and of one row differ in their last bits: compare the scores.
        assert scores[user, lists[user]] == pytest.approx(scores[user, expected], abs=1e-5)
        alone = model.recommend(user, 5)
        assert scores[user, alone] == pytest.approx(scores[user, expected], abs=1e-5)
        assert not seen[user, alone].any()
    with_seen = model.recommend_all(5, exclude_seen=False)
    best = -np.sort(-scores, axis=1)[:, :5]
    assert np.take_along_axis(scores, with_seen, 1) == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_fitting_twice_gives_the_same(fitted, plays, name):
    model = fitted[name]
    again = METHODS[name]().fit(plays)
    assert np.array_equal(again.score(again.history), model.score(model.history))


@pytest.mark.parametrize("name", PERSONAL)
def test_newcomers_get_what_their_club_plays(fitted, name):
    model = fitted[name]
    if name == "content":
        return  # the features have nothing to do with the clubs
    for club in (0, 1):
        listed = model.recommend_to([0 + 15 * club, 3 + 15 * club, 6 + 15 * club], k=6)
        assert (listed // 15 == club).mean() > 0.6, listed


def test_content_recommends_what_sounds_alike():
    features = np.concatenate([np.eye(2)[[0] * 5], np.eye(2)[[1] * 5]]) + 0.01
    plays = Plays.from_rows([("a", i, 1) for i in range(10)])
    model = recommend.Content(features).fit(plays)
    assert set(model.recommend_to([0, 1], 3)) == {2, 3, 4}
    assert set(model.recommend_to([7], 4)) == {5, 6, 8, 9}


@pytest.mark.parametrize("name", METHODS)
def test_an_empty_history_is_served_by_popularity(fitted, plays, name):
    if name == "random":
        return
    expected = np.argsort(-plays.popularity(), kind="stable")[:7]
    assert fitted[name].recommend_to([], 7).tolist() == expected.tolist()


@pytest.mark.parametrize("name", METHODS)
def test_a_tune_that_nobody_has_played(plays, monkeypatch, name):
    """It's scored by all, and recommended only by what listens."""
    monkeypatch.setitem(globals(), "FEATURES", np.vstack([FEATURES, FEATURES[3]]))
    new = Plays(plays.user, plays.item, plays.count, plays.users, range(ITEMS + 1), plays.time)
    model = METHODS[name]().fit(new)
    assert np.isfinite(model.score(model.history)).all()
    if name == "content":
        assert model.recommend_to([3], 1) == [ITEMS]
    elif name == "ease" or name.split()[0] in ("popularity", "user-knn", "item-knn"):
        assert not model.score(model.history)[:, ITEMS].any()


@pytest.mark.parametrize("name", METHODS)
def test_a_list_longer_than_the_catalogue_ends(fitted, plays, name):
    model = fitted[name]
    seen = plays.matrix()[4].indices
    listed = model.recommend(4, k=100)
    assert sorted(listed) == sorted(set(range(ITEMS)) - set(seen.tolist()))
    assert len(model.recommend(4, k=100, exclude_seen=False)) == ITEMS
    rows = model.recommend_all(100)
    assert rows.shape == (60, 100)
    assert (rows[4] == -1).sum() == 100 - len(listed)
    assert len(model.recommend_to(list(range(ITEMS)), 3)) == 0


@pytest.mark.parametrize("name", METHODS)
def test_bad_questions_are_refused(fitted, name):
    model = fitted[name]
    with pytest.raises(ValueError, match=r"there is no user 60: they are 0 to 59"):
        model.recommend(60)
    with pytest.raises(ValueError, match="there is no user -1"):
        model.explain(-1, 0)
    with pytest.raises(ValueError, match="there is no item 30"):
        model.explain(0, 30)
    for k in (0, -3):
        with pytest.raises(ValueError, match="k must be at least 1"):
            model.recommend(0, k)
    with pytest.raises(ValueError, match="item 99 isn't among the 30 items"):
        model.recommend_to([99])
    with pytest.raises(ValueError, match="item must be whole numbers"):
        model.recommend_to([1.7])
    with pytest.raises(ValueError, match="count -1.0 must be a number above 0"):
        model.recommend_to([1], counts=[-1])
    with pytest.raises(ValueError, match="histories of 7 items, but it was fitted on 30"):
        model.score(csr_matrix((1, 7)))


@pytest.mark.parametrize("name", METHODS)
def test_questions_before_fitting_are_refused(name):
    model = METHODS[name]()
    for ask in (
        lambda: model.recommend(0),
        lambda: model.recommend_all(),
        lambda: model.recommend_to([1]),
        lambda: model.explain(0, 1),
        lambda: model.score(csr_matrix((1, 30))),
    ):
        with pytest.raises(RuntimeError, match="on plays first"):
            ask()
    with pytest.raises(ValueError, match="no plays to learn from"):
        model.fit(Plays.from_rows([]))


@pytest.mark.parametrize(
    "make",
    [
        recommend.Popularity,
        recommend.UserKNN,
        lambda: recommend.ItemKNN(scheme="bm25", shrinkage=1.0),
        lambda: recommend.EASE(2.0),
        lambda: recommend.ALS(factors=6, iterations=5),
        lambda: recommend.Content(FEATURES),
    ],
)
def test_the_numbering_of_users_does_not_matter(plays, make):
    order = np.random.default_rng(1).permutation(60)
    place = np.argsort(order)
    renamed = Plays(place[plays.user], plays.item, plays.count, range(60), range(ITEMS), plays.time)
    one, other = make().fit(plays), make().fit(renamed)
    assert other.score(other.history) == pytest.approx(one.score(one.history)[order], abs=1e-4)


@pytest.mark.parametrize("name", METHODS)
def test_who_is_deleted_leaves_no_trace(plays, name):
    """Fitted without a user, the model is the one that never met them, to the last bit."""
    after = METHODS[name]().fit(plays.without(7))
    rows = [row for row in zip(plays.user, plays.item, plays.count, plays.time, strict=True)
            if row[0] != 7]  # fmt: skip
    user, item, count, time = (np.array(x) for x in zip(*rows, strict=True))
    never = METHODS[name]().fit(Plays(
        user - (user > 7), item, count, [u for u in range(60) if u != 7], range(ITEMS), time
    ))  # fmt: skip
    probe = [1, 2, 17]
    assert np.array_equal(after.score(after.newcomer(probe)), never.score(never.newcomer(probe)))
    assert np.array_equal(after.recommend_all(5), never.recommend_all(5))
    with pytest.raises(ValueError, match="there is no user 59"):
        after.recommend(59)


def test_reasons(fitted, plays):
    """What is named carries the most: without it the item is scored lower."""
    for name in ("item-knn", "ease", "als", "user-knn"):
        model = fitted[name]
        item = int(model.recommend(0, 1)[0])
        reasons = model.explain(0, item, 3)
        assert 1 <= len(reasons) <= 3
        assert all(plays.matrix()[0, played] for played, _ in reasons)
        weights = [weight for _, weight in reasons]
        assert weights == sorted(weights, reverse=True) and weights[-1] > 0
        history = plays.matrix()[0].toarray().astype(np.float32)
        whole = model.score(csr_matrix(history))[0, item]
        history[0, reasons[0][0]] = 0
        rest = model.score(csr_matrix(history))[0, item]
        assert whole - rest == pytest.approx(weights[0], abs=1e-4)
    assert fitted["popularity"].explain(0, 3) == []  # nothing that you played matters


def test_reasons_of_item_knn_are_its_similarities(fitted):
    model = fitted["item-knn"]
    item = int(model.recommend(2, 1)[0])
    similar = model.similarity.toarray()[:, item]
    for played, weight in model.explain(2, item, 9):
        assert weight == pytest.approx(similar[played], abs=1e-5)


# Each against its definition ---------------------------------------------------------------------


def cosine(a, b):
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def test_user_knn_by_hand(plays):
    table = plays.matrix().toarray()
    model = recommend.UserKNN(neighbors=5, shrinkage=2.0).fit(plays)
    similar = np.array([cosine(table[3], other) for other in table])
    similar *= (table @ table[3]) / (table @ table[3] + 2.0)
    similar[3] = 0
    near = np.argsort(-similar, kind="stable")[:5]
    scores = similar[near] @ table[near]
    assert model.score(model.history[3])[0] == pytest.approx(scores, abs=1e-5)


def test_item_knn_by_hand(plays):
    table = plays.matrix().toarray()
    rarity = np.log((1 + ITEMS) / (1 + table.sum(1))) + 1  # a user who plays much says less
    weighed = table * rarity[:, None]
    similar = np.array([[cosine(a, b) for b in weighed.T] for a in weighed.T])
    np.fill_diagonal(similar, 0)
    for row in similar:
        row[np.argsort(-row, kind="stable")[4:]] = 0
    model = recommend.ItemKNN(neighbors=4, scheme="tfidf").fit(plays)
    assert model.similarity.toarray() == pytest.approx(similar, abs=1e-5)
    assert model.score(model.history) == pytest.approx(table @ similar, abs=1e-5)


def test_more_neighbours_than_items_take_no_more_room(plays):
    """A table of items × neighbours would be 240 GB here."""
    every, all_others = (recommend.ItemKNN(n).fit(plays) for n in (10**9, ITEMS))
    assert np.array_equal(every.score(every.history), all_others.score(all_others.history))
    lonely = recommend.ItemKNN().fit(Plays.from_rows([("a", "x", 1), ("b", "y", 1)]))
    assert lonely.recommend(0).tolist() == [1]


def test_bm25_by_hand():
    plays = Plays.from_rows([("a", "x", 4), ("a", "y", 1), ("b", "x", 1), ("c", "z", 2)])
    counts = plays.matrix("count").toarray()
    common = (counts > 0).sum(0)
    rarity = np.log1p((3 - common + 0.5) / (common + 0.5))
    length = counts.sum(1, keepdims=True) / counts.sum(1).mean()
    weighed = counts * 2.2 / (counts + 1.2 * (0.25 + 0.75 * length)) * rarity
    model = recommend.UserKNN(scheme="bm25", weight="count").fit(plays)
    expected = cosine(weighed[0], weighed[1])
    assert model.score(model.history[1])[0] == pytest.approx([expected, expected, 0], abs=1e-6)


@pytest.mark.parametrize("make", [recommend.UserKNN, recommend.ItemKNN])
def test_estimates_are_weighted_means(plays, make):
    """If everybody plays twice as much, twice as much is expected."""
    twice = Plays(plays.user, plays.item, 2 * plays.count, plays.users, plays.items)
    one, two = (make(neighbors=10, weight="count").fit(p) for p in (plays, twice))
    counts = plays.matrix("count").toarray()
    tried = 0
    for user in range(5):
        for item in one.recommend(user, 3).tolist():
            estimate = one.estimate(user, item)
            if not np.isnan(estimate):
                tried += 1
                assert two.estimate(user, item) == pytest.approx(2 * estimate, rel=1e-4)
                assert 1 <= estimate <= counts.max()
    assert tried > 5
    lonely = Plays.from_rows([("a", "x", 1), ("b", "y", 1)])
    assert np.isnan(make(weight="count").fit(lonely).estimate(0, 1))


@pytest.mark.parametrize("users", [20, 90])  # fewer than items: the dual; more: the primal
def test_ease_is_ridge_regression_without_oneself(users):
    plays = clubs(users)
    table = plays.matrix().toarray()
    expected = np.zeros_like(table)
    for item in range(ITEMS):
        others = np.delete(table, item, axis=1)
        gram = others.T @ others + 2.5 * np.eye(ITEMS - 1)
        expected[:, item] = others @ np.linalg.solve(gram, others.T @ table[:, item])
    model = recommend.EASE(2.5).fit(plays)
    assert model.score(model.history) == pytest.approx(expected, abs=1e-4)
    newcomer = np.zeros(ITEMS)
    newcomer[[2, 5]] = 1
    weights = np.zeros(ITEMS)
    for item in range(ITEMS):
        rest = np.delete(np.arange(ITEMS), item)
        gram = table[:, rest].T @ table[:, rest] + 2.5 * np.eye(ITEMS - 1)
        weights[item] = newcomer[rest] @ np.linalg.solve(gram, table[:, rest].T @ table[:, item])
    assert model.score(model.newcomer([2, 5]))[0] == pytest.approx(weights, abs=1e-4)


def test_als_solves_its_regressions(plays):
    """The factors of a history are the exact solution, and each turn lowers the loss."""
    model = recommend.ALS(factors=5, alpha=4.0, regularization=0.7).fit(plays)
    y, table = model.item_factors.astype(float), plays.matrix().toarray()
    scores = model.score(model.history)
    for user in (0, 11):
        confidence = np.diag(1 + 4.0 * table[user])
        gram = y.T @ confidence @ y + 0.7 * np.eye(5)
        expected = y @ np.linalg.solve(gram, y.T @ confidence @ table[user])
        assert scores[user] == pytest.approx(expected, abs=1e-4)

    def loss(iterations):
        fitted = recommend.ALS(
            factors=5, alpha=4.0, regularization=0.7, iterations=iterations
        ).fit(plays)  # fmt: skip
        y = fitted.item_factors
        x = fitted.score(fitted.history) @ np.linalg.pinv(y.T)
        squares = (1 + 4.0 * table) * (table - x @ y.T) ** 2
        return squares.sum() + 0.7 * ((x**2).sum() + (y**2).sum())

    losses = [loss(n) for n in (1, 2, 4, 8)]
    assert losses == sorted(losses, reverse=True)


def test_weighing_counts_matters(plays):
    """Who plays one tune a hundred times is told apart from who plays it once."""
    once = recommend.ALS(factors=6, weight="log").fit(plays)
    loud = np.where((plays.user == 0) & (plays.item == plays.item[0]), 500, plays.count)
    often = recommend.ALS(factors=6, weight="log").fit(
        Plays(plays.user, plays.item, loud, plays.users, plays.items)
    )
    assert not np.allclose(once.score(once.history)[0], often.score(often.history)[0], atol=1e-3)


@pytest.mark.parametrize("name", ["bpr", "two towers", "sasrec"])
def test_what_descends_keeps_its_losses(fitted, name):
    losses = fitted[name].losses
    assert len(losses) == fitted[name].epochs
    assert np.isfinite(losses).all() and losses[-1] < losses[0]


def test_bpr_compares_with_what_is_not_played(plays):
    """Each unplayed item is as likely as the other, and a played one never comes."""
    history = plays.matrix()
    users = torch.arange(4).repeat_interleave(20_000)
    drawn = _unplayed(history, users, torch.Generator().manual_seed(0)).reshape(4, -1)
    for row, found in zip(history[:4].toarray(), drawn.numpy(), strict=True):
        counts = np.bincount(found, minlength=ITEMS)
        assert (counts[row > 0] == 0).all()
        assert counts[row == 0] / len(found) == pytest.approx(1 / (row == 0).sum(), rel=0.2)


def test_bpr_and_somebody_who_plays_everything():
    """They have nothing to compare with, and change nothing for the others."""
    everything = [(0, item, 1) for item in range(5)]
    model = recommend.BPR(factors=2, epochs=3)
    assert model.fit(Plays.from_rows(everything)).losses == [0, 0, 0]
    assert np.isfinite(model.score(model.history)).all()
    mixed = Plays.from_rows([*everything, *((1, item, 1) for item in range(3))])
    model.fit(mixed)
    assert np.isfinite(model.losses).all()
    assert set(model.recommend(1, 5).tolist()) == {3, 4}


def test_sasrec_looks_at_the_order():
    """After a comes b, after b comes a: only the last one tells what is next."""
    random = np.random.default_rng(0)
    rows = []
    for user in range(120):
        start = int(random.integers(0, 12))
        rows += [(user, (start + step) % 12, 1, float(step)) for step in range(6)]
    plays = Plays(*(np.array(x) for x in list(zip(*rows, strict=True))[:3]), range(120), range(12),
                  np.array([row[3] for row in rows]))  # fmt: skip
    model = recommend.SASRec(
        factors=16, heads=2, layers=1, longest=8, negatives=32, dropout=0.0, epochs=25, rate=0.01
    ).fit(plays)
    right = [model.recommend_to([(i + j) % 12 for j in range(4)], 1)[0] == (i + 4) % 12
             for i in range(12)]  # fmt: skip
    assert np.mean(right) >= 0.9
    backwards = [model.recommend_to([(i - j) % 12 for j in range(4)], 1)[0] for i in range(12)]
    forwards = [model.recommend_to([(i + j - 3) % 12 for j in range(4)], 1)[0] for i in range(12)]
    assert backwards != forwards  # the same four items, in another order


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: recommend.UserKNN(scheme="jaccard"), "scheme must be one of cosine, tfidf, bm25"),
        (lambda: recommend.ItemKNN(neighbors=0), "neighbors must be at least 1"),
        (lambda: recommend.EASE(0), "regularization must be above 0"),
        (lambda: recommend.ALS(factors=0), "factors and iterations must be at least 1"),
        (lambda: recommend.BPR(rate=0), "the rate above 0"),
        (lambda: recommend.SASRec(factors=9, heads=2), "heads must divide the factors"),
        (lambda: recommend.TwoTower(epochs=0), "epochs must be at least 1"),
        (lambda: recommend.Content([1.0, 2.0]), "features must be a table of numbers"),
        (lambda: recommend.Content([[np.nan]]), "features must be a table of numbers"),
        (lambda: recommend.Hybrid(), "a hybrid needs parts"),
        (lambda: recommend.Hybrid((recommend.EASE(), -1.0)), "a hybrid needs parts"),
        (
            lambda: recommend.Hybrid((recommend.EASE(), 1), (recommend.EASE(weight="log"), 1)),
            "the parts weigh plays differently: binary, log",
        ),
    ],
)
def test_impossible_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_features_of_another_catalogue(plays):
    for make in (recommend.Content, lambda features: recommend.TwoTower(features=features)):
        with pytest.raises(ValueError, match="features of 29 items, but plays of 30"):
            make(FEATURES[:29]).fit(plays)


def test_ease_refuses_what_does_not_fit(monkeypatch, plays):
    from mlmusic.models.recommend import ease

    monkeypatch.setattr(ease, "_LARGEST", 10)
    with pytest.raises(ValueError, match="keep the items that are played most"):
        recommend.EASE().fit(plays)


def test_of_equally_near_neighbours_the_first_are_kept():
    random = np.random.default_rng(2)
    dense = random.integers(-1, 4, (40, 25)).astype(np.float32)
    table = csr_matrix(dense)
    table = table[:, ::-1][:, ::-1]  # columns in no order
    for most in (1, 6, 30):
        kept = _keep(table.copy(), most)
        order = np.argsort(-dense, axis=1, kind="stable")[:, :most]
        expected = np.zeros_like(dense)
        np.put_along_axis(expected, order, np.take_along_axis(dense, order, 1), 1)
        assert np.array_equal(kept.toarray(), np.maximum(expected, 0))
        assert kept.has_sorted_indices
