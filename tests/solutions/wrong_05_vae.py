"""Wrong answers that learners give in chapter 05, and the hint that each must get."""

WRONG = {
    "answer-1": [
        (
            "def price(mean, variance): return (mean**2 + variance - 1 - np.log(variance)).sum()",
            "half a nat each",
        ),
        (
            "def price(mean, variance): return 0.5 * (mean**2 + variance - 1 - np.log(variance))",
            "one number for the whole window",
        ),
        (
            """
def price(mean, variance):  # averaged
    return 0.5 * (mean**2 + variance - 1 - np.log(variance)).mean()""",
            "added up and not averaged",
        ),
        (
            """
def price(mean, variance):  # takes the second argument for σ
    return 0.5 * (mean**2 + variance**2 - 1 - np.log(variance**2)).sum()""",
            "is the variance",
        ),
        (
            """
def price(mean, variance):  # takes the second argument for ln σ²
    return 0.5 * (mean**2 + np.exp(variance) - 1 - variance).sum()""",
            "not its logarithm",
        ),
        (
            """
def price(mean, variance):  # the sign of the ELBO's term
    return 0.5 * (1 + np.log(variance) - mean**2 - variance).sum()""",
            "never negative",
        ),
        (
            "def price(mean, variance): print(0.5 * (mean**2 + variance - 1).sum())",
            "forget `return`",
        ),
    ],
    "answer-2": [
        (
            """
def draw(mean, log_variance, noise): return mean + np.exp(log_variance) * noise
def slopes(mean, log_variance, noise): return np.ones_like(mean), np.exp(log_variance) * noise""",
            "the root of the variance",
        ),
        (
            """
def draw(mean, log_variance, noise): return mean + log_variance * noise
def slopes(mean, log_variance, noise): return np.ones_like(mean), noise""",
            "scaled by",
        ),
        (
            """
def draw(mean, log_variance, noise): return np.exp(log_variance / 2) * noise
def slopes(mean, log_variance, noise): return np.ones_like(mean), noise""",
            "the middle of the cloud",
        ),
        (
            """
def draw(mean, log_variance, noise): return mean + np.exp(log_variance / 2) * noise
def slopes(mean, log_variance, noise):
    return np.ones_like(mean), np.exp(log_variance / 2) * noise""",
            "by half",
        ),
        (
            """
def draw(mean, log_variance, noise): return mean + np.exp(log_variance / 2) * noise
def slopes(mean, log_variance, noise): return mean, np.exp(log_variance / 2) * noise / 2""",
            "the draw moves by 1",
        ),
    ],
    "answer-3": [
        (
            "def to_pay(kl, floor): return np.maximum(kl, floor).mean(axis=0).sum()",
            "not each window alone",
        ),
        (
            "def to_pay(kl, floor): return np.maximum(kl.mean(axis=0) - floor, 0).sum()",
            "the least to pay",
        ),
        (
            "def to_pay(kl, floor): return np.maximum(kl.sum(axis=0), floor).sum()",
            "mean over windows",
        ),
        (
            "def to_pay(kl, floor): return np.maximum(kl.mean(axis=0), floor).mean()",
            "sum over numbers",
        ),
        (
            "def to_pay(kl, floor): return max(kl.sum(axis=1).mean(), floor)",
            "lifted to 0.5",
        ),
    ],
    "answer-4": [
        ("def arc(a, b, t): return (1 - t) * a + t * b", "the straight line"),
        (
            """
def arc(a, b, t):  # a straight line, stretched: doesn't turn evenly
    straight = (1 - t) * a + t * b
    long = (1 - t) * np.linalg.norm(a) + t * np.linalg.norm(b)
    return straight / np.linalg.norm(straight) * long""",
            "a third of the angle",
        ),
        (
            """
def arc(a, b, t):  # from b to a
    return right_arc(b, a, t)
def right_arc(a, b, t):
    angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)""",
            "from a at 0 to b at 1",
        ),
        (
            """
def arc(a, b, t):  # never scales to length 1
    angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)""",
            "scale the codes to 1 before",
        ),
        (
            """
def arc(a, b, t):  # forgets the lengths
    u, v = a / np.linalg.norm(a), b / np.linalg.norm(b)
    angle = np.arccos(u @ v)
    return (np.sin((1 - t) * angle) * u + np.sin(t * angle) * v) / np.sin(angle)""",
            "stretch them after",
        ),
    ],
    "answer-5": [
        ("def swung(row): return row.copy()", "still is"),
        (
            """
def swung(row):  # moves every third symbol
    quarters = np.array(row).reshape(-1, 4)
    quarters[:, 3], quarters[:, 2] = quarters[:, 2].copy(), 0
    return quarters.ravel()""",
            "no note gets lost",
        ),
        (
            """
def swung(row):  # doesn't look at the first symbol
    quarters = np.array(row).reshape(-1, 4)
    even = (quarters[:, 1] == 0) & (quarters[:, 2] > 1) & (quarters[:, 3] == 0)
    quarters[even, 3], quarters[even, 2] = quarters[even, 2], 0
    return quarters.ravel()""",
            "held from before",
        ),
        (
            """
def swung(row):  # only notes make a pair
    quarters = np.array(row).reshape(-1, 4)
    even = (quarters[:, 0] > 1) & (quarters[:, 1] == 0)
    even &= (quarters[:, 2] > 1) & (quarters[:, 3] == 0)
    quarters[even, 3], quarters[even, 2] = quarters[even, 2], 0
    return quarters.ravel()""",
            "the note comes later",
        ),
        (
            """
def swung(row):  # moves rests, too
    quarters = np.array(row).reshape(-1, 4)
    even = (quarters[:, 0] > 0) & (quarters[:, 1] == 0)
    even &= (quarters[:, 2] > 0) & (quarters[:, 3] == 0)
    quarters[even, 3], quarters[even, 2] = quarters[even, 2], 0
    return quarters.ravel()""",
            "only a note may come second",
        ),
        (
            """
def swung(row):  # in place
    quarters = row.reshape(-1, 4)
    even = (quarters[:, 0] > 0) & (quarters[:, 1] == 0)
    even &= (quarters[:, 2] > 1) & (quarters[:, 3] == 0)
    quarters[even, 3], quarters[even, 2] = quarters[even, 2], 0
    return row""",
            "work on a copy",
        ),
        (
            """
def swung(row):  # short and long
    quarters = np.array(row).reshape(-1, 4)
    even = (quarters[:, 0] > 0) & (quarters[:, 1] == 0)
    even &= (quarters[:, 2] > 1) & (quarters[:, 3] == 0)
    quarters[even, 1], quarters[even, 2] = quarters[even, 2], 0
    return quarters.ravel()""",
            "the fourth symbol",
        ),
        (
            """
def swung(row):  # leaves out the second bar
    out = np.array(row)
    for q in range(0, 16, 4):
        if out[q] > 0 and out[q + 1] == 0 and out[q + 2] > 1 and out[q + 3] == 0:
            out[q + 3], out[q + 2] = out[q + 2], 0
    return out""",
            "to the last",
        ),
    ],
    "answer-6": [
        (
            """
def loss_mended(logits, x, mean, log_variance):  # as it was
    return sum(terms_of(logits, x, mean, log_variance))""",
            "in BOTH terms",
        ),
        (
            """
def loss_mended(logits, x, mean, log_variance):  # two means
    missed = F.cross_entropy(logits.transpose(1, 2), x)
    price = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
    return missed + price""",
            "a sum over its steps",
        ),
        (
            """
def loss_mended(logits, x, mean, log_variance):  # two sums
    missed = F.cross_entropy(logits.transpose(1, 2), x, reduction="sum")
    price = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum()
    return missed + price""",
            "in BOTH terms",
        ),
        (
            """
def loss_mended(logits, x, mean, log_variance):  # the mean over latent numbers
    missed = F.cross_entropy(logits.transpose(1, 2), x, reduction="sum") / len(x)
    price = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
    return missed + price""",
            "a sum over the latent numbers",
        ),
    ],
}
