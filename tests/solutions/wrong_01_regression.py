"""Wrong answers that learners give in chapter 01, and the hint that each must get."""

WRONG = {
    "answer-1": [
        ("def above_bass(chords): return chords - chords[:, 3:]", r"must be \(4, 3\)"),
        ("def above_bass(chords): return chords[:, 3:] - chords[:, :3]", "positive"),
        ("def above_bass(chords): return chords[:, :3] - chords[0, 3]", "a bass of its own"),
        ("def above_bass(chords): return chords[:, :3] - chords.min()", "a bass of its own"),
        ("def above_bass(chords): chords[:, :3] - chords[:, 3:]", "forget `return`"),
        ("def above_bass(chords): return chords[:, 2::-1] - chords[:, 3:]", "soprano first"),
    ],
    "answer-2": [
        (
            """
def best_line(x, y):  # through 0
    return np.linalg.solve(x.T @ x, x.T @ y), 0.0""",
            "needs a bias",
        ),
        (
            """
def best_line(x, y):  # all in one
    x1 = np.hstack([x, np.ones((len(x), 1))])
    return np.linalg.solve(x1.T @ x1, x1.T @ y)""",
            "give back a pair",
        ),
        (
            """
def best_line(x, y):  # each feature by itself
    dx, dy = x - x.mean(axis=0), y - y.mean()
    w = (dx * dy[:, None]).sum(axis=0) / (dx**2).sum(axis=0)
    return w, y.mean() - x.mean(axis=0) @ w""",
            "another line is better",
        ),
        (
            """
def best_line(x, y):  # the bias first
    x1 = np.hstack([np.ones((len(x), 1)), x])
    w = np.linalg.solve(x1.T @ x1, x1.T @ y)
    return w[:-1], w[-1]""",
            "needs a bias",
        ),
    ],
    "answer-3": [
        (
            """
def slope(w, b, x, y):  # uphill is downhill
    p = 1 / (1 + np.exp(-(x @ w + b)))
    return x.T @ (y - p) / len(y), np.mean(y - p)""",
            "is the sign right",
        ),
        (
            """
def slope(w, b, x, y):  # the sum
    p = 1 / (1 + np.exp(-(x @ w + b)))
    return x.T @ (p - y), np.sum(p - y)""",
            "MEAN stays",
        ),
        (
            """
def slope(w, b, x, y):  # the line's error, without the sigmoid
    p = x @ w + b
    return x.T @ (p - y) / len(y), np.mean(p - y)""",
            "sigmoid AND the bias|is the sign right",
        ),
        (
            """
def slope(w, b, x, y):  # forgets the bias in the chance
    p = 1 / (1 + np.exp(-(x @ w)))
    return x.T @ (p - y) / len(y), np.mean(p - y)""",
            "sigmoid AND the bias",
        ),
        (
            """
def slope(w, b, x, y):  # one number a row
    p = 1 / (1 + np.exp(-(x @ w + b)))
    return p - y, np.mean(p - y)""",
            "two slopes for the weights",
        ),
    ],
    "answer-4": [
        (
            """
def auc(truth, scores):  # ties count as lost
    return np.mean(scores[truth == 1][:, None] > scores[truth == 0])""",
            "ties count one half",
        ),
        (
            """
def auc(truth, scores):  # ties count as won
    return np.mean(scores[truth == 1][:, None] >= scores[truth == 0])""",
            "ties count one half",
        ),
        (
            """
def auc(truth, scores):  # that is accuracy
    return np.mean((scores > 0.5) == truth)""",
            "there is no threshold",
        ),
        (
            """
def auc(truth, scores):  # the means only
    a, b = scores[truth == 1].mean(), scores[truth == 0].mean()
    return float(a > b) + 0.5 * float(a == b)""",
            "count pairs|ties count one half",
        ),
    ],
    "answer-5": [
        (
            """
def split_melodies(groups, share, rng):  # draws pieces
    order, count = rng.permutation(len(groups)), round(share * len(groups))
    return order[count:], order[:count]""",
            "Draw groups, not pieces",
        ),
        (
            """
def split_melodies(groups, share, rng):  # masks
    test = np.isin(groups, rng.permutation(np.unique(groups))[:2])
    return ~test, test""",
            "give back indices",
        ),
        (
            """
def split_melodies(groups, share, rng):  # always the first groups
    test, names = np.zeros(len(groups), dtype=bool), np.unique(groups)
    for group in names[:-1]:
        if test.sum() < share * len(groups):
            test |= groups == group
    return np.flatnonzero(~test), np.flatnonzero(test)""",
            "draw from rng",
        ),
        (
            """
def split_melodies(groups, share, rng):  # a share of the groups, however large
    names = rng.permutation(np.unique(groups))
    test = np.isin(groups, names[: max(1, round(share * len(names)))])
    return np.flatnonzero(~test), np.flatnonzero(test)""",
            "stop drawing groups when there are enough",
        ),
        (
            """
def split_melodies(groups, share, rng):  # throws away what would be on both sides
    order, count = rng.permutation(len(groups)), round(share * len(groups))
    test = order[:count]
    train = np.flatnonzero(~np.isin(groups, groups[test]))
    return train, test""",
            "some are missing",
        ),
    ],
    "answer-6": [
        ("predict_mended = predict", "topics of the TEST songs"),
        (
            """
def predict_mended(x, y, train, test, keep=10):  # chooses nothing at all
    return predict(x[:, :keep], y, train, test, keep)""",
            "feature 70",
        ),
        (
            """
def predict_mended(x, y, train, test, keep=10):  # keeps every feature
    return predict(x, y, train, test, x.shape[1])""",
            "feature 70",
        ),
        (
            """
def predict_mended(x, y, train, test, keep=10):  # mends the wrong side: chooses on the test
    a, b = x[test][y[test] == 1], x[test][y[test] == 0]
    best = np.argsort(abs(a.mean(axis=0) - b.mean(axis=0)))[-keep:]
    return predict(x[:, best], y, train, test, keep)""",
            "topics of the TEST songs",
        ),
        (
            """
def predict_mended(x, y, train, test, keep=10):  # guesses
    return np.zeros(len(test), dtype=int)""",
            "feature 70",
        ),
    ],
}
