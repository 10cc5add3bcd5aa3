"""Wrong answers that learners give in chapter 07, and the hint that each must get."""

WRONG = {
    "answer-1": [
        ("def recall_at(ranked, relevant, k): return len(set(ranked[:k]) & relevant)", "divide"),
        (
            "def recall_at(ranked, relevant, k): return len(set(ranked[:k]) & relevant) / k",
            "that is precision",
        ),
        (
            """
def recall_at(ranked, relevant, k):  # looks at the whole list
    return len(set(ranked) & relevant) / len(relevant)""",
            "only the first k",
        ),
        (
            """
def recall_at(ranked, relevant, k):  # divides by what could have been found
    return len(set(ranked[:k]) & relevant) / min(k, len(relevant))""",
            "also where that is more than k",
        ),
        (
            """
def recall_at(ranked, relevant, k):  # the list must be long enough
    return sum(ranked[p] in relevant for p in range(k)) / len(relevant)""",
            "shorter than k",
        ),
        (
            """
def recall_at(ranked, relevant, k):
    print(len(set(ranked[:k]) & relevant) / len(relevant))""",
            "return",
        ),
    ],
    "answer-2": [
        (
            """
def similar(X):  # compares listeners
    length = np.maximum(np.sqrt((X**2).sum(axis=1)), 1)
    cosines = X @ X.T / np.outer(length, length)
    np.fill_diagonal(cosines, 0)
    return cosines""",
            "compares listeners",
        ),
        (
            """
def similar(X):  # counts only
    both = X.T @ X
    np.fill_diagonal(both, 0)
    return both""",
            "divide by the lengths",
        ),
        (
            """
def similar(X):  # forgets the root
    length = np.maximum((X**2).sum(axis=0), 1)
    cosines = X.T @ X / np.outer(length, length)
    np.fill_diagonal(cosines, 0)
    return cosines""",
            "square ROOTS",
        ),
        (
            """
def similar(X):  # divides by 0
    length = np.sqrt((X**2).sum(axis=0))
    cosines = X.T @ X / np.outer(length, length)
    np.fill_diagonal(cosines, 0)
    return cosines""",
            "has no listener",
        ),
        (
            """
def similar(X):  # keeps the diagonal
    length = np.maximum(np.sqrt((X**2).sum(axis=0)), 1)
    return X.T @ X / np.outer(length, length)""",
            "the diagonal is 0",
        ),
    ],
    "answer-3": [
        (
            """
def split_at(user, item, day, moment):  # forgets what is known
    return day <= moment, day > moment""",
            "no discovery",
        ),
        (
            """
def split_at(user, item, day, moment):  # known to anybody
    train = day <= moment
    return train, ~train & ~np.isin(item, item[train])""",
            "doesn't matter",
        ),
        (
            """
def split_at(user, item, day, moment):  # leaves the moment out
    train = day < moment
    known = set(zip(user[train], item[train]))
    return train, ~train & np.array([pair not in known for pair in zip(user, item)])""",
            "belongs to training",
        ),
        (
            """
def split_at(user, item, day, moment):  # draws lots
    train = np.random.default_rng(0).random(len(day)) < 0.5
    return train, ~train""",
            "looking into the future|belongs to training|before the moment",
        ),
        (
            """
def split_at(user, item, day, moment):  # puts known pairs of the future into training
    train = day <= moment
    known = set(zip(user[train], item[train]))
    test = ~train & np.array([pair not in known for pair in zip(user, item)])
    return ~test, test""",
            "looking into the future",
        ),
        (
            """
def split_at(user, item, day, moment):  # row numbers
    return np.flatnonzero(day <= moment), np.flatnonzero(day > moment)""",
            "True or False for each",
        ),
        (
            """
def split_at(user, item, day, moment):  # leaves out later meetings in the future, too
    met = [
        any((user == user[r]) & (item == item[r]) & (day < day[r])) for r in range(len(day))
    ]
    return day <= moment, (day > moment) & ~np.array(met)""",
            "both rows are for the test",
        ),
    ],
    "answer-4": [
        (
            """
def ndcg(ranked, relevant):  # doesn't normalise
    worth = 1 / np.log2(np.arange(2, len(ranked) + 2))
    return worth[np.isin(ranked, list(relevant))].sum()""",
            "no list could be better",
        ),
        (
            """
def ndcg(ranked, relevant):  # counts places from 0
    with np.errstate(all="ignore"):
        worth = 1 / np.log2(np.arange(1, len(ranked) + 1))
        return worth[np.isin(ranked, list(relevant))].sum() / worth[: len(relevant)].sum()""",
            "count places from 1",
        ),
        (
            """
def ndcg(ranked, relevant):  # the best list is as long as all that is relevant
    worth = 1 / np.log2(np.arange(2, len(ranked) + len(relevant) + 2))
    right = np.isin(ranked, list(relevant))
    return worth[: len(ranked)][right].sum() / worth[: len(relevant)].sum()""",
            "two places can't hold five",
        ),
        (
            """
def ndcg(ranked, relevant):  # divides by a list of nothing but hits
    worth = 1 / np.log2(np.arange(2, len(ranked) + 2))
    return worth[np.isin(ranked, list(relevant))].sum() / worth.sum()""",
            "no list could be better",
        ),
        (
            """
def ndcg(ranked, relevant):  # the place doesn't matter
    return np.isin(ranked, list(relevant)).sum() / min(len(relevant), len(ranked))""",
            "isn't worth as much",
        ),
        (
            """
def ndcg(ranked, relevant):  # 1 / place
    worth = 1 / np.arange(1, len(ranked) + 1)
    return worth[np.isin(ranked, list(relevant))].sum() / worth[: len(relevant)].sum()""",
            "place 3 is worth",
        ),
    ],
    "answer-5": [
        (
            """
def fold_in(Y, likes, alpha, regularization):  # the mean of what is liked
    return Y[likes].mean(axis=0)""",
            "where is λ",
        ),
        (
            """
def fold_in(Y, likes, alpha, regularization):  # no confidence
    h = np.isin(np.arange(len(Y)), likes).astype(float)
    return np.linalg.solve(Y.T @ Y + regularization * np.eye(Y.shape[1]), Y.T @ h)""",
            "where is the confidence",
        ),
        (
            """
def fold_in(Y, likes, alpha, regularization):  # no λ
    h = np.isin(np.arange(len(Y)), likes).astype(float)
    return np.linalg.solve((Y.T * (1 + alpha * h)) @ Y, Y.T @ ((1 + alpha * h) * h))""",
            "where is λ",
        ),
        (
            """
def fold_in(Y, likes, alpha, regularization):  # the confidence on one side only
    h = np.isin(np.arange(len(Y)), likes).astype(float)
    gram = (Y.T * (1 + alpha * h)) @ Y + regularization * np.eye(Y.shape[1])
    return np.linalg.solve(gram, Y.T @ h)""",
            "on both sides",
        ),
        (
            """
def fold_in(Y, likes, alpha, regularization):  # only the liked rows
    liked = Y[likes]
    gram = (1 + alpha) * liked.T @ liked + regularization * np.eye(Y.shape[1])
    return np.linalg.solve(gram, (1 + alpha) * liked.sum(axis=0))""",
            "is still seen",
        ),
        (
            """
def fold_in(Y, likes, alpha, regularization):  # α instead of 1 + α
    h = np.isin(np.arange(len(Y)), likes).astype(float)
    gram = (Y.T * (alpha * h)) @ Y + regularization * np.eye(Y.shape[1])
    return np.linalg.solve(gram, Y.T @ (alpha * h))""",
            "1 \\+ α, not α",
        ),
    ],
    "answer-6": [
        (
            "def mixed(scores, hit, k, least): return np.argsort(-scores)[:k]",
            "at least one must not be",
        ),
        (
            """
def mixed(scores, hit, k, least):  # exactly so many
    order = np.argsort(-scores)
    chosen = np.concatenate([order[~hit[order]][:least], order[hit[order]][: k - least]])
    return chosen[np.argsort(-scores[chosen])]""",
            "AT LEAST one",
        ),
        (
            """
def mixed(scores, hit, k, least):  # doesn't order the list
    order = np.argsort(-scores)
    unknown = order[~hit[order]][:least]
    return np.concatenate([unknown, order[~np.isin(order, unknown)][: k - least]])""",
            "order the whole list",
        ),
        (
            """
def mixed(scores, hit, k, least):  # adds them on top
    order = np.argsort(-scores)
    return np.concatenate([order[:k], order[~hit[order]][:least]])""",
            "no more and no fewer",
        ),
        (
            """
def mixed(scores, hit, k, least):  # any unknown tunes
    order = np.argsort(-scores)
    unknown = np.flatnonzero(~hit)[::-1][:least]
    chosen = np.concatenate([unknown, order[~np.isin(order, unknown)][: k - least]])
    return chosen[np.argsort(-scores[chosen])]""",
            "the one that suits best",
        ),
        (
            """
def mixed(scores, hit, k, least):  # some of them twice
    order = np.argsort(-scores)
    chosen = np.concatenate([order[~hit[order]][:least], order[: k - least]])
    return chosen[np.argsort(-scores[chosen])]""",
            "AT LEAST one|twice",
        ),
    ],
    "answer-7": [
        ("estimated_mended = estimated", "still halves"),
        (
            """
def estimated_mended(similarity, counts):  # divides by the counts
    return similarity @ counts / counts.sum()""",
            "doesn't change at all",
        ),
        (
            """
def estimated_mended(similarity, counts):  # doesn't divide
    return similarity @ counts""",
            "that is the weighted sum",
        ),
        (
            """
def estimated_mended(similarity, counts):  # divides by how many there are
    return similarity @ counts / len(counts)""",
            "a mean of 2 and 4",
        ),
        (
            """
def estimated_mended(similarity, counts):  # tunes without a play pull it down
    return similarity @ counts / np.abs(similarity).sum()""",
            "has no say",
        ),
        (
            """
def estimated_mended(similarity, counts):  # keeps the sign
    known = counts > 0
    return similarity[known] @ counts[known] / similarity[known].sum()""",
            "without its sign|not 0 / 0",
        ),
        (
            """
def estimated_mended(similarity, counts):  # 0 / 0
    known = counts > 0
    return similarity[known] @ counts[known] / np.abs(similarity[known]).sum()""",
            "not 0 / 0",
        ),
    ],
}
