"""Wrong answers that learners give in chapter 06, and the hint that each must get."""

WRONG = {
    "answer-1": [
        ("def look(q, k): return softmax(q @ k.T)", "the root of d"),
        ("def look(q, k): return softmax(q @ k.T / q.shape[-1])", "not by d"),
        ("def look(q, k): return softmax((q @ k.T / np.sqrt(q.shape[-1])).T).T", "the rows add up"),
        ("def look(q, k): return q @ k.T / np.sqrt(q.shape[-1])", "shares out 1"),
        ("def look(q, k): return softmax(k @ q.T / np.sqrt(q.shape[-1]))", "one row for each"),
        ("def look(q, k): return softmax(q @ k.T / np.sqrt(len(k)))", "the root of"),
        ("def look(q, k): print(softmax(q @ k.T / np.sqrt(q.shape[-1])))", "forget `return`"),
    ],
    "answer-2": [
        (
            """
def window_mask(steps, back):  # only causal
    return np.tril(np.ones((steps, steps), dtype=bool))""",
            "3 steps back",
        ),
        (
            """
def window_mask(steps, back):  # looks both ways
    far = np.arange(steps)[:, None] - np.arange(steps)
    return np.abs(far) <= back""",
            "saw the future",
        ),
        (
            """
def window_mask(steps, back):  # turned over
    far = np.arange(steps) - np.arange(steps)[:, None]
    return (far >= 0) & (far <= back)""",
            "turned over",
        ),
        (
            """
def window_mask(steps, back):  # one step short
    far = np.arange(steps)[:, None] - np.arange(steps)
    return (far >= 0) & (far < back)""",
            "2 steps back",
        ),
        (
            """
def window_mask(steps, back):  # not itself
    far = np.arange(steps)[:, None] - np.arange(steps)
    return (far > 0) & (far <= back)""",
            "look at itself",
        ),
        (
            """
def window_mask(steps, back):  # numbers
    far = np.arange(steps)[:, None] - np.arange(steps)
    return 1.0 * ((far >= 0) & (far <= back))""",
            "True or False",
        ),
    ],
    "answer-3": [
        (
            """
def turned(x, places):  # neighbours are pairs
    half = x.shape[1] // 2
    angle = places[:, None] * 10_000.0 ** (-np.arange(half) / half)
    a, b, out = x[:, ::2], x[:, 1::2], np.empty(x.shape)
    out[:, ::2] = a * np.cos(angle) - b * np.sin(angle)
    out[:, 1::2] = a * np.sin(angle) + b * np.cos(angle)
    return out""",
            "neighbours",
        ),
        (
            """
def turned(x, places):  # the other way round
    half = x.shape[1] // 2
    angle = places[:, None] * 10_000.0 ** (-np.arange(half) / half)
    a, b, cos, sin = x[:, :half], x[:, half:], np.cos(angle), np.sin(angle)
    return np.concatenate([a * cos + b * sin, b * cos - a * sin], axis=1)""",
            "wrong way round",
        ),
        (
            """
def turned(x, places):  # all pairs alike
    half = x.shape[1] // 2
    angle = places[:, None] * np.ones(half)
    a, b, cos, sin = x[:, :half], x[:, half:], np.cos(angle), np.sin(angle)
    return np.concatenate([a * cos - b * sin, a * sin + b * cos], axis=1)""",
            "more slowly",
        ),
        (
            """
def turned(x, places):  # i / d instead of 2 i / d
    half = x.shape[1] // 2
    angle = places[:, None] * 10_000.0 ** (-np.arange(half) / x.shape[1])
    a, b, cos, sin = x[:, :half], x[:, half:], np.cos(angle), np.sin(angle)
    return np.concatenate([a * cos - b * sin, a * sin + b * cos], axis=1)""",
            "by a hundredth",
        ),
        (
            """
def turned(x, places):  # a sum of sines, as in the first transformer
    half = x.shape[1] // 2
    angle = places[:, None] * 10_000.0 ** (-np.arange(half) / half)
    return x + np.concatenate([np.sin(angle), np.cos(angle)], axis=1)""",
            "nothing is turned",
        ),
        (
            """
def turned(x, places):  # each place once, whatever it is
    half = x.shape[1] // 2
    angle = (places > 0)[:, None] * 10_000.0 ** (-np.arange(half) / half)
    a, b, cos, sin = x[:, :half], x[:, half:], np.cos(angle), np.sin(angle)
    return np.concatenate([a * cos - b * sin, a * sin + b * cos], axis=1)""",
            "the place counts",
        ),
    ],
    "answer-4": [
        (
            """
def chord_nats(score, notes, order):  # each voice for itself
    return sum(-np.log(softmax(score(v, {}))[notes[v]]) for v in order)""",
            "knows what the others sing",
        ),
        (
            """
def chord_nats(score, notes, order):  # everyone knows everything
    known = dict(enumerate(notes))
    return sum(-np.log(softmax(score(v, dict(known)))[notes[v]]) for v in order)""",
            "its own note was known",
        ),
        (
            """
def chord_nats(score, notes, order):  # from the top
    nats, known = 0.0, {}
    for v in range(4):
        nats -= np.log(softmax(score(v, dict(known)))[notes[v]])
        known[v] = notes[v]
    return nats""",
            "in the order",
        ),
        (
            """
def chord_nats(score, notes, order):  # symbols of the wrong voices
    nats, known = 0.0, {}
    for place, v in enumerate(order):
        nats -= np.log(softmax(score(v, dict(known)))[notes[place]])
        known[v] = notes[place]
    return nats""",
            "their own symbols",
        ),
        (
            """
def chord_nats(score, notes, order):  # the probability
    p, known = 1.0, {}
    for v in order:
        p *= softmax(score(v, dict(known)))[notes[v]]
        known[v] = notes[v]
    return p""",
            "negative logarithm",
        ),
        (
            """
def chord_nats(score, notes, order):  # the log-probability
    log_p, known = 0.0, {}
    for v in order:
        log_p += np.log(softmax(score(v, dict(known)))[notes[v]])
        known[v] = notes[v]
    return log_p""",
            "never negative",
        ),
        (
            """
def chord_nats(score, notes, order):  # the mean
    nats, known = [], {}
    for v in order:
        nats.append(-np.log(softmax(score(v, dict(known)))[notes[v]]))
        known[v] = notes[v]
    return np.mean(nats)""",
            "no mean",
        ),
    ],
    "answer-5": [
        (
            """
def taught(pupil, teacher, targets, weight):  # the other way round
    log_p = np.log(softmax(pupil))
    hard = -log_p[np.arange(len(targets)), targets].mean()
    soft = -(softmax(pupil) * np.log(softmax(teacher))).sum(axis=1).mean()
    return (1 - weight) * hard + weight * soft""",
            "the other way round",
        ),
        (
            """
def taught(pupil, teacher, targets, weight):  # only the favourite
    log_p, rows = np.log(softmax(pupil)), np.arange(len(targets))
    hard, soft = -log_p[rows, targets].mean(), -log_p[rows, teacher.argmax(axis=1)].mean()
    return (1 - weight) * hard + weight * soft""",
            "favourite",
        ),
        (
            """
def taught(pupil, teacher, targets, weight):  # the weights swapped
    log_p = np.log(softmax(pupil))
    hard = -log_p[np.arange(len(targets)), targets].mean()
    soft = -(softmax(teacher) * log_p).sum(axis=1).mean()
    return weight * hard + (1 - weight) * soft""",
            "the teacher is silent",
        ),
        (
            """
def taught(pupil, teacher, targets, weight):  # the mean over symbols, too
    log_p = np.log(softmax(pupil))
    hard = -log_p[np.arange(len(targets)), targets].mean()
    soft = -(softmax(teacher) * log_p).mean()
    return (1 - weight) * hard + weight * soft""",
            "minus the sum|a sum over them",
        ),
        (
            """
def taught(pupil, teacher, targets, weight):  # sums over tokens
    log_p = np.log(softmax(pupil))
    hard = -log_p[np.arange(len(targets)), targets].sum()
    soft = -(softmax(teacher) * log_p).sum()
    return (1 - weight) * hard + weight * soft""",
            "the mean",
        ),
        (
            """
def taught(pupil, teacher, targets, weight):  # just added
    log_p = np.log(softmax(pupil))
    hard = -log_p[np.arange(len(targets)), targets].mean()
    soft = -(softmax(teacher) * log_p).sum(axis=1).mean()
    return hard + weight * soft""",
            "minus the sum|three quarters",
        ),
        (
            """
def taught(pupil, teacher, targets, weight):  # takes logits for log-probabilities
    hard = -pupil[np.arange(len(targets)), targets].mean()
    soft = -(softmax(teacher) * pupil).sum(axis=1).mean()
    return (1 - weight) * hard + weight * soft""",
            "first softmax",
        ),
        (
            """
def taught(pupil, teacher, targets, weight):  # each token's row with all targets
    log_p = np.log(softmax(pupil))
    hard = -log_p[:, targets].mean()
    soft = -(softmax(teacher) * log_p).sum(axis=1).mean()
    return (1 - weight) * hard + weight * soft""",
            "row i",
        ),
    ],
    "answer-6": [
        (
            """
def next_position(q, k, v, kept, back):  # forgets nothing
    keys, values = ([], []) if kept is None else kept
    keys, values = [*keys, k], [*values, v]
    return softmax(np.stack(keys) @ q / np.sqrt(len(q))) @ np.stack(values), (keys, values)""",
            "what is older is forgotten",
        ),
        (
            """
def next_position(q, k, v, kept, back):  # looks at few, keeps all
    keys, values = ([], []) if kept is None else kept
    keys, values = [*keys, k], [*values, v]
    some, theirs = np.stack(keys[-back - 1 :]), np.stack(values[-back - 1 :])
    return softmax(some @ q / np.sqrt(len(q))) @ theirs, (keys, values)""",
            "what is kept grows",
        ),
        (
            """
def next_position(q, k, v, kept, back):  # changes what was kept
    keys, values = ([], []) if kept is None else kept
    keys.append(k)
    values.append(v)
    del keys[: -back - 1], values[: -back - 1]
    return softmax(np.stack(keys) @ q / np.sqrt(len(q))) @ np.stack(values), (keys, values)""",
            "you changed it",
        ),
        (
            """
def next_position(q, k, v, kept, back):  # one too few
    keys, values = ([], []) if kept is None else kept
    keys, values = [*keys, k][-max(back, 1) :], [*values, v][-max(back, 1) :]
    return softmax(np.stack(keys) @ q / np.sqrt(len(q))) @ np.stack(values), (keys, values)""",
            "three in all",
        ),
        (
            """
def next_position(q, k, v, kept, back):  # forgets the newest
    keys, values = ([], []) if kept is None else kept
    keys, values = [*keys, k][: back + 1], [*values, v][: back + 1]
    return softmax(np.stack(keys) @ q / np.sqrt(len(q))) @ np.stack(values), (keys, values)""",
            "not the newest",
        ),
        (
            """
def next_position(q, k, v, kept, back):  # looks only back
    keys, values = ([k], [v]) if kept is None else kept
    found = softmax(np.stack(keys) @ q / np.sqrt(len(q))) @ np.stack(values)
    return found, ([*keys, k][-back - 1 :], [*values, v][-back - 1 :])""",
            "looks at itself, too",
        ),
        (
            """
def next_position(q, k, v, kept, back):  # not scaled
    keys, values = ([], []) if kept is None else kept
    keys, values = [*keys, k][-back - 1 :], [*values, v][-back - 1 :]
    return softmax(np.stack(keys) @ q) @ np.stack(values), (keys, values)""",
            "scaled, and with softmax",
        ),
        (
            """
def next_position(q, k, v, kept, back):  # [-0:] keeps everything
    keys, values = ([], []) if kept is None else kept
    keys, values = [*keys, k], [*values, v]
    found = softmax(np.stack(keys) @ q / np.sqrt(len(q))) @ np.stack(values)
    return found, (keys[-back:], values[-back:])""",
            "0 positions back",
        ),
    ],
    "answer-7": [
        (
            """
def attention_mended(q, k, v):  # as it was
    fit = q @ k.T / np.sqrt(q.shape[1])
    return (softmax(fit) * np.tril(np.ones(fit.shape))) @ v""",
            "before the softmax",
        ),
        (
            """
def attention_mended(q, k, v):  # zero isn't minus infinity
    fit = q @ k.T / np.sqrt(q.shape[1]) * np.tril(np.ones((len(q), len(q))))
    return softmax(fit) @ v""",
            "by -infinity",
        ),
        (
            """
def attention_mended(q, k, v):  # hides the past
    fit = q @ k.T / np.sqrt(q.shape[1])
    return softmax(np.where(np.triu(np.ones(fit.shape)) == 1, fit, -np.inf)) @ v""",
            "still moves",
        ),
        (
            """
def attention_mended(q, k, v):  # the softmax of the wrong axis
    fit = q @ k.T / np.sqrt(q.shape[1])
    fit = np.where(np.tril(np.ones(fit.shape)) == 1, fit, -np.inf)
    return softmax(fit.T).T @ v""",
            "still moves|add up to 1",
        ),
        (
            """
def attention_mended(q, k, v):  # not scaled
    fit = np.where(np.tril(np.ones((len(q), len(q)))) == 1, q @ k.T, -np.inf)
    return softmax(fit) @ v""",
            "the root of d",
        ),
        (
            """
def attention_mended(q, k, v):  # sees itself only
    return v.copy()""",
            "sees the first",
        ),
    ],
}
