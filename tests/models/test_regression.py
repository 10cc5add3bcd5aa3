"""Chapter 01's models against scikit-learn's and PyTorch's."""

import numpy as np
import pytest
import torch
from sklearn import linear_model, neighbors, preprocessing
from torch import nn

from mlmusic.models.optimizers import SGD, Adam
from mlmusic.models.regression import (
    MLP,
    LinearRegression,
    LogisticRegression,
    NearestNeighbours,
    standardize,
)
from mlmusic.training import fit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 6)) * [1, 2, 3, 1, 1, 5] + 4
Y = X @ RNG.normal(size=(6, 2)) + RNG.normal(size=(120, 2))
LABELS = np.array(["hornpipe", "jig", "reel"])[(X[:, :3] + RNG.normal(size=(120, 3))).argmax(1)]


def test_standardize_uses_the_training_samples_only():
    train, test = standardize(X[:80], X[80:])
    scaler = preprocessing.StandardScaler().fit(X[:80])
    np.testing.assert_allclose(train, scaler.transform(X[:80]))
    np.testing.assert_allclose(test, scaler.transform(X[80:]))
    constant, other = standardize(np.ones((5, 1)), np.full((2, 1), 3.0))
    assert constant.tolist() == [[0]] * 5
    assert other.tolist() == [[2]] * 2


def test_a_line_through_points_on_it():
    model = LinearRegression().fit([[0], [1], [3]], [1, 3, 7])
    assert model.weights == pytest.approx([2])
    assert model.bias == pytest.approx(1)
    assert model.predict([[10]]) == pytest.approx([21])


@pytest.mark.parametrize("ridge", [0.0, 1.0, 50.0])
@pytest.mark.parametrize("y", [Y, Y[:, 0]], ids=["two targets", "one"])
def test_linear_regression_equals_scikit_learns(ridge, y):
    theirs = linear_model.Ridge(ridge).fit(X, y)
    ours = LinearRegression(ridge).fit(X, y)
    np.testing.assert_allclose(ours.weights.T, theirs.coef_, atol=1e-8)
    np.testing.assert_allclose(ours.bias, theirs.intercept_, atol=1e-8)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-8)


def test_repeated_features_need_ridge():
    twice = np.concatenate([X, X[:, :1]], axis=1)
    with pytest.raises(ValueError, match="repeat others.*ridge=1.0"):
        LinearRegression().fit(twice, Y)
    weights = LinearRegression(1.0).fit(twice, Y).weights
    np.testing.assert_allclose(weights[0], weights[-1])  # they share the work


@pytest.mark.parametrize("ridge", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("labels", [LABELS, LABELS == "jig"], ids=["three", "two"])
def test_logistic_regression_equals_scikit_learns(ridge, labels):
    (x,) = standardize(X)
    theirs = linear_model.LogisticRegression(C=1 / ridge, tol=1e-9, max_iter=5000).fit(x, labels)
    ours = LogisticRegression(ridge).fit(x, labels)
    assert ours.classes == theirs.classes_.tolist()
    np.testing.assert_allclose(ours.weights.T, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(ours.probabilities(x), theirs.predict_proba(x), atol=1e-5)
    np.testing.assert_array_equal(ours.predict(x), theirs.predict(x))
    np.testing.assert_allclose(ours.probabilities(x).sum(1), 1)


@pytest.mark.parametrize("how", ["mean", "vote"])
def test_neighbours_equal_scikit_learns(how):
    y = Y[:, 0] if how == "mean" else (LABELS == "jig").astype(int)
    kind = neighbors.KNeighborsRegressor if how == "mean" else neighbors.KNeighborsClassifier
    theirs, ours = kind(5).fit(X[:90], y[:90]), NearestNeighbours(5, how).fit(X[:90], y[:90])
    np.testing.assert_allclose(ours.predict(X[90:]), theirs.predict(X[90:]))
    np.testing.assert_array_equal(ours.neighbours(X[90:]), theirs.kneighbors(X[90:])[1])


def test_the_median_of_neighbours_is_a_note_that_was_sung():
    model = NearestNeighbours(3).fit(
        [[0.0], [0.1], [0.2], [9.0]], [[60, 48], [60, 52], [67, 52], [1, 1]]
    )
    assert model.predict([[0.1]]).tolist() == [[60, 52]]


def trained(optimizer_of, dtype=torch.float64, steps=40):
    """The weights after each step of the same small net."""
    torch.manual_seed(3)
    net = MLP(6, 1, (5,), "tanh").to(dtype)
    unused = nn.Parameter(torch.ones(2, dtype=dtype))  # without a gradient: stays
    optimizer = optimizer_of([*net.parameters(), unused])
    x, y = (torch.tensor(standardize(table)[0], dtype=dtype) for table in (X, Y[:, :1]))
    path = []
    for step in range(steps):
        part = slice(8 * (step % 15), 8 * (step % 15) + 8)
        optimizer.zero_grad()
        ((net(x[part]) - y[part]) ** 2).mean().backward()
        optimizer.step()
        path.append(torch.cat([p.detach().flatten() for p in (*net.parameters(), unused)]))
    assert (unused == 1).all()
    return torch.stack(path)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda p: SGD(p, 0.01), lambda p: torch.optim.SGD(p, 0.01)),
        (lambda p: SGD(p, 0.01, 0.9), lambda p: torch.optim.SGD(p, 0.01, momentum=0.9)),
        (lambda p: Adam(p, 0.01), lambda p: torch.optim.Adam(p, 0.01)),
        (
            lambda p: Adam(p, 0.05, (0.8, 0.95), 1e-4),
            lambda p: torch.optim.Adam(p, 0.05, betas=(0.8, 0.95), eps=1e-4),
        ),
    ],
    ids=["SGD", "momentum", "Adam", "Adam's options"],
)
def test_optimisers_equal_pytorchs_step_by_step(ours, theirs):
    a, b = trained(ours), trained(theirs)
    assert (a - b).abs().max() < 1e-6
    assert (a[0] - a[-1]).abs().max() > 1e-2  # they did move
    assert (trained(ours, torch.float32) - trained(theirs, torch.float32)).abs().max() < 1e-4


def test_fit_takes_our_optimisers():
    torch.manual_seed(0)
    net = MLP(6, 2, ())
    (x,) = standardize(X)
    batch = (torch.tensor(x).float(), torch.tensor(Y).float())
    history = fit(
        net, [batch], loss=lambda m, b: ((m(b[0]) - b[1]) ** 2).mean(), epochs=300,
        optimizer=lambda p: Adam(p, 0.3), progress=False,
    )  # fmt: skip
    best = ((LinearRegression().fit(x, Y).predict(x) - Y) ** 2).mean()
    assert history.train[-1] == pytest.approx(best, rel=1e-3)


def test_mlp_computes_what_it_says():
    net = MLP(2, 1, (3,), "relu").double()
    first, last = net.layers[0], net.layers[-1]
    x = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    by_hand = torch.relu(x @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(net(x), by_hand)
    assert len(MLP(4, 3, ()).layers) == 1
    assert sum(p.numel() for p in MLP(4, 3, (5, 6)).parameters()) == 25 + 36 + 21


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: standardize([1, 2]), "train must be numbers"),
        (lambda: standardize(X, X[:, :2]), "2 features, but training had 6"),
        (lambda: standardize([["a"]]), "must be numbers"),
        (lambda: LinearRegression(-1), "ridge must be 0 or more"),
        (lambda: LinearRegression().fit(X, Y[:5]), "each of 120 samples"),
        (lambda: LinearRegression().fit(np.zeros((0, 2)), []), "x must be numbers"),
        (lambda: LinearRegression().fit([[1], [np.nan]], [1, 2]), "sample 1, feature 0"),
        (lambda: LinearRegression().fit([[1], [2]], [1, np.inf]), "NaN or infinite targets"),
        (lambda: LinearRegression().predict(X), "hasn't learned yet: call fit first"),
        (lambda: LinearRegression().fit(X, Y).predict(X[:, :2]), "training had 6"),
        (lambda: LogisticRegression(0), "ridge must be above 0"),
        (lambda: LogisticRegression().fit(X, ["a"] * 120), "nothing to tell apart"),
        (lambda: LogisticRegression().fit(X, LABELS[:3]), "each of 120 samples"),
        (lambda: LogisticRegression().predict(X), "hasn't learned yet"),
        (lambda: NearestNeighbours(0), "from 1 on"),
        (lambda: NearestNeighbours(how="sum"), "'median', 'mean' or 'vote'"),
        (lambda: NearestNeighbours(9).fit(X[:3], Y[:3]), "9 neighbours need as many"),
        (lambda: NearestNeighbours().predict(X), "hasn't learned yet"),
        (lambda: MLP(2, 1, activation="bend"), "no activation 'bend'"),
        (lambda: MLP(2, 0), "at least one unit"),
        (lambda: SGD([], 0.1), "no parameters"),
        (lambda: SGD([torch.ones(1)], 0), "learning rate must be positive"),
        (lambda: SGD([torch.ones(1)], 0.1, 1.0), "momentum must be from 0"),
        (lambda: Adam([torch.ones(1)], 0.1, (0.9, 1.2)), "each beta"),
    ],
)  # fmt: skip
def test_impossible_calls_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
