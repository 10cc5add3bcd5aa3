"""Wrong answers that learners give in chapter 04, and the hint that each must get."""

WRONG = {
    "answer-1": [
        ("def best_critic(p, q): return q / (p + q)", "it's rather real, above 1/2"),
        ("def best_critic(p, q): return p / q", "toss a coin"),
        ("def best_critic(p, q): return (p > q).astype(float)", "toss a coin"),
        ("def best_critic(p, q): return p", "toss a coin"),
        ("def best_critic(p, q): return (1 + p - q) / 2", "which share is real"),
        ("def best_critic(p, q): print(p / (p + q))", "return"),
    ],
    "answer-2": [
        (
            "def forger_loss(scores): return -nn.functional.softplus(scores).mean()",
            "that is the minimax loss",
        ),
        (
            "def forger_loss(scores): return torch.log(torch.sigmoid(scores)).mean()",
            "turn the sign",
        ),
        (
            "def forger_loss(scores): return nn.functional.softplus(scores).mean()",
            "good for the forger",
        ),
        (
            "def forger_loss(scores): return -torch.log(torch.sigmoid(scores)).mean()",
            "the loss overflows",
        ),
        ("def forger_loss(scores): return nn.functional.softplus(-scores)", "the mean"),
        ("def forger_loss(scores): return nn.functional.softplus(-scores).sum()", "ln 2"),
    ],
    "answer-3": [
        (
            """
def penalty(W, v, x, target):  # the sum over the batch
    slopes = (v * (1 - np.tanh(x @ W.T) ** 2)) @ W
    return ((np.linalg.norm(slopes, axis=1) - target) ** 2).sum()""",
            "take the mean",
        ),
        (
            """
def penalty(W, v, x, target):  # the norm of the whole array
    slopes = (v * (1 - np.tanh(x @ W.T) ** 2)) @ W
    return ((np.linalg.norm(slopes) - target) ** 2).mean()""",
            "axis=1, then the mean",
        ),
        (
            """
def penalty(W, v, x, target):  # leaves v out
    slopes = (1 - np.tanh(x @ W.T) ** 2) @ W
    return ((np.linalg.norm(slopes, axis=1) - target) ** 2).mean()""",
            "has v been left out",
        ),
        (
            """
def penalty(W, v, x, target):  # W the wrong way round, everywhere
    slopes = (v * (1 - np.tanh(x @ W) ** 2)) @ W.T
    return ((np.linalg.norm(slopes, axis=1) - target) ** 2).mean()""",
            "is W the wrong way round",
        ),
        (
            """
def penalty(W, v, x, target):  # W the wrong way round, in the sum only
    slopes = (v * (1 - np.tanh(x @ W.T) ** 2)) @ W.T
    return ((np.linalg.norm(slopes, axis=1) - target) ** 2).mean()""",
            "is W the wrong way round",
        ),
        (
            """
def penalty(W, v, x, target):  # W the wrong way round, in the score only
    slopes = (v * (1 - np.tanh(x @ W) ** 2)) @ W
    return ((np.linalg.norm(slopes, axis=1) - target) ** 2).mean()""",
            "a side of W is taken for another",
        ),
        (
            """
def penalty(W, v, x, target):  # forgets the inner derivative
    slopes = np.tile(v @ W, (len(x), 1))
    return ((np.linalg.norm(slopes, axis=1) - target) ** 2).mean()""",
            "1 - tanh² been left out",
        ),
        (
            """
def penalty(W, v, x, target):  # one length for the whole batch
    slopes = (v * (1 - np.tanh(x @ W.T) ** 2)) @ W
    return (np.linalg.norm(slopes.mean(axis=0)) - target) ** 2""",
            "each sample has its own length",
        ),
        (
            """
def penalty(W, v, x, target):  # the sum of absolute values is no length
    slopes = (v * (1 - np.tanh(x @ W.T) ** 2)) @ W
    return ((np.abs(slopes).sum(axis=1) - target) ** 2).mean()""",
            "with length 5",
        ),
    ],
    "answer-4": [
        (
            "def copied(made, training): return float(np.isin(made, training).mean())",
            "the same in every step",
        ),
        (
            """
def copied(made, training):  # each bar once
    known = {tuple(bar) for bar in training.tolist()}
    own = {tuple(bar) for bar in made.tolist()}
    return len(own & known) / len(own)""",
            "2 of 3",
        ),
        (
            """
def copied(made, training):  # forgets the order
    known = {tuple(sorted(bar)) for bar in training.tolist()}
    return sum(tuple(sorted(bar)) in known for bar in made.tolist()) / len(made)""",
            "the order of the steps counts",
        ),
        (
            """
def copied(made, training):  # counts, but no share
    known = {tuple(bar) for bar in training.tolist()}
    return sum(tuple(bar) in known for bar in made.tolist())""",
            "divide by how many",
        ),
    ],
    "answer-5": [
        (
            """
def turns(pitches):  # counts, but no share
    moves = np.sign(np.diff(pitches))
    return float((moves[1:] * moves[:-1] < 0).sum())""",
            "of 64, 62 and 65 two are turns",
        ),
        (
            """
def turns(pitches):  # any change of direction, also into a repeated note
    moves = np.sign(np.diff(pitches))
    return float((moves[1:] != moves[:-1]).mean()) if len(moves) > 1 else 0.0""",
            "a repeated note is no direction",
        ),
        (
            """
def turns(pitches):  # divides by all notes
    moves = np.sign(np.diff(pitches))
    return float((moves[1:] * moves[:-1] < 0).sum() / len(pitches)) if len(moves) else 0.0""",
            "of 64, 62 and 65 two are turns",
        ),
        (
            """
def turns(pitches):  # NaN for short melodies
    moves = np.sign(np.diff(pitches))
    with np.errstate(all="ignore"):
        products = moves[1:] * moves[:-1] < 0
        return np.float64(products.sum()) / np.float64(len(products))""",
            "less than three notes",
        ),
    ],
    "answer-6": [
        ("between_mended = between", "one share for a sample"),
        (
            """
def between_mended(real, fake, seed):  # one share for all
    share = np.random.default_rng(seed).random()
    return share * real + (1 - share) * fake""",
            "draw a share for each sample",
        ),
        (
            """
def between_mended(real, fake, seed):  # the middle
    return (real + fake) / 2""",
            "draw a share for each sample",
        ),
        (
            """
def between_mended(real, fake, seed):  # beyond the ends
    share = np.random.default_rng(seed).normal(0.5, 1, (len(real),) + (1,) * (real.ndim - 1))
    return share * real + (1 - share) * fake""",
            "beyond the ends",
        ),
        (
            """
def between_mended(real, fake, seed):  # always the same
    share = np.random.default_rng(0).random((len(real),) + (1,) * (real.ndim - 1))
    return share * real + (1 - share) * fake""",
            "another seed",
        ),
    ],
}
