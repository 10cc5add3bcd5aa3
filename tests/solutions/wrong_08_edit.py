"""Wrong answers that learners give in chapter 08, and the hint that each must get."""

WRONG = {
    "answer-1": [
        (
            """
def hide_bar(grid, bar, voices):  # counts bars from 0
    hidden = grid.copy()
    hidden[voices, 16 * bar : 16 * bar + 16] = MASK
    return hidden""",
            "counted from 1",
        ),
        (
            """
def hide_bar(grid, bar, voices):  # all voices
    hidden = grid.copy()
    hidden[:, 16 * (bar - 1) : 16 * bar] = MASK
    return hidden""",
            "weren't named",
        ),
        (
            """
def hide_bar(grid, bar, voices):  # in place
    grid[voices, 16 * (bar - 1) : 16 * bar] = MASK
    return grid""",
            "work on a copy",
        ),
        (
            """
def hide_bar(grid, bar, voices):  # a step too few
    hidden = grid.copy()
    hidden[voices, 16 * (bar - 1) : 16 * bar - 1] = MASK
    return hidden""",
            "steps 16 to 31",
        ),
        (
            """
def hide_bar(grid, bar, voices):  # cuts the bar out
    return np.delete(grid, np.s_[16 * (bar - 1) : 16 * bar], axis=1)""",
            "keeps its shape",
        ),
    ],
    "answer-2": [
        ("def loss(nats, hidden): return nats.mean()", "known cells don't count"),
        ("def loss(nats, hidden): return nats[hidden].mean()", "each window counts alike"),
        (
            "def loss(nats, hidden): return (nats * hidden).sum(axis=(1, 2)).mean()",
            "not a sum",
        ),
        (
            "def loss(nats, hidden): return (nats * hidden).mean(axis=(1, 2)).mean()",
            "not by how many there are",
        ),
        (
            "def loss(nats, hidden): return (nats * hidden).sum(axis=(1, 2)) / hidden.sum((1, 2))",
            "one number for the batch",
        ),
    ],
    "answer-3": [
        (
            """
def parallel_fifths(upper, lower):  # where it starts
    fifth = (upper - lower) % 12 == 7
    moved = (np.diff(upper) != 0) & (np.diff(lower) != 0)
    return np.flatnonzero(fifth[1:] & fifth[:-1] & moved).tolist()""",
            "where it arrives",
        ),
        (
            """
def parallel_fifths(upper, lower):  # nobody has to move
    fifth = (upper - lower) % 12 == 7
    return (1 + np.flatnonzero(fifth[1:] & fifth[:-1])).tolist()""",
            "both voices have to move",
        ),
        (
            """
def parallel_fifths(upper, lower):  # no octaves between
    fifth = upper - lower == 7
    moved = (np.diff(upper) != 0) & (np.diff(lower) != 0)
    return (1 + np.flatnonzero(fifth[1:] & fifth[:-1] & moved)).tolist()""",
            "a twelfth",
        ),
        (
            """
def parallel_fifths(upper, lower):  # in the same direction only
    fifth = (upper - lower) % 12 == 7
    a, b = np.diff(upper), np.diff(lower)
    return (1 + np.flatnonzero(fifth[1:] & fifth[:-1] & (a * b > 0))).tolist()""",
            "contrary motion",
        ),
        (
            """
def parallel_fifths(upper, lower):  # any interval that stays
    size = (upper - lower) % 12
    moved = (np.diff(upper) != 0) & (np.diff(lower) != 0)
    return (1 + np.flatnonzero((size[1:] == size[:-1]) & moved)).tolist()""",
            "only fifths",
        ),
        (
            """
def parallel_fifths(upper, lower):  # arriving at a fifth is enough
    fifth = (upper - lower) % 12 == 7
    moved = (np.diff(upper) != 0) & (np.diff(lower) != 0)
    return (1 + np.flatnonzero((fifth[1:] | fifth[:-1]) & moved)).tolist()""",
            "isn't: that is a third|parallel fifths; D",
        ),
    ],
    "answer-4": [
        (
            """
def unmask(grid, p, many):  # all cells take part, given ones, too
    after = grid.copy()
    chosen = np.argsort(-p.max(axis=2), axis=None)[:many]
    after.flat[chosen] = p.argmax(axis=2).flat[chosen]
    return after""",
            "only hidden cells",
        ),
        (
            """
def unmask(grid, p, many):  # all at once
    return np.where(grid == MASK, p.argmax(axis=2), grid)""",
            "two stay hidden",
        ),
        (
            """
def unmask(grid, p, many):  # the least certain first
    after = grid.copy()
    certain = np.where(grid == MASK, p.max(axis=2), 2)
    chosen = np.argsort(certain, axis=None)[:many]
    after.flat[chosen] = p.argmax(axis=2).flat[chosen]
    return after""",
            "least certain",
        ),
        (
            """
def unmask(grid, p, many):  # from left to right
    after = grid.copy()
    for voice, step in np.argwhere(grid == MASK)[:many]:
        after[voice, step] = p[voice, step].argmax()
    return after""",
            "most certain hidden cell",
        ),
        (
            """
def unmask(grid, p, many):  # in place
    certain = np.where(grid == MASK, p.max(axis=2), -1)
    chosen = np.argsort(-certain, axis=None)[:many]
    grid.flat[chosen] = p.argmax(axis=2).flat[chosen]
    return grid""",
            "work on a copy",
        ),
    ],
    "answer-5": [
        (
            """
def kept_to(p, chords, low, high):  # doesn't add up to 1
    pitches = np.arange(128)
    allowed = np.array([np.isin(pitches % 12, list(chord)) for chord in chords])
    allowed &= (pitches >= low) & (pitches <= high)
    return np.where(allowed, p, 0.0)""",
            "add up to 1 again",
        ),
        (
            """
def kept_to(p, chords, low, high):  # forgets the range
    allowed = np.array([np.isin(np.arange(128) % 12, list(chord)) for chord in chords])
    left = np.where(allowed, p, 0.0)
    left = np.where(left.sum(axis=1, keepdims=True) > 0, left, allowed)
    return left / left.sum(axis=1, keepdims=True)""",
            "above what the voice may sing",
        ),
        (
            """
def kept_to(p, chords, low, high):  # divides by 0
    pitches = np.arange(128)
    allowed = np.array([np.isin(pitches % 12, list(chord)) for chord in chords])
    allowed &= (pitches >= low) & (pitches <= high)
    left = np.where(allowed, p, 0.0)
    with np.errstate(invalid="ignore"):
        return left / left.sum(axis=1, keepdims=True)""",
            "don't divide by 0",
        ),
        (
            """
def kept_to(p, chords, low, high):  # pitches, not pitch classes
    pitches = np.arange(128)
    allowed = np.array([np.isin(pitches, list(chord)) for chord in chords])
    left = np.where(allowed, p, 0.0) + 1e-12
    return left / left.sum(axis=1, keepdims=True)""",
            "D isn't in the chord",
        ),
        (
            """
def kept_to(p, chords, low, high):  # all that is allowed is equally likely, always
    pitches = np.arange(128)
    allowed = np.array([np.isin(pitches % 12, list(chord)) for chord in chords])
    allowed &= (pitches >= low) & (pitches <= high)
    return allowed / allowed.sum(axis=1, keepdims=True)""",
            "half of what is left",
        ),
        (
            """
def kept_to(p, chords, low, high):  # nothing left: the whole range
    pitches = np.arange(128)
    inside = (pitches >= low) & (pitches <= high)
    allowed = np.array([np.isin(pitches % 12, list(chord)) for chord in chords]) & inside
    left = np.where(allowed, p, 0.0)
    left = np.where(left.sum(axis=1, keepdims=True) > 0, left, inside)
    return left / left.sum(axis=1, keepdims=True)""",
            "are five pitches",
        ),
    ],
    "answer-6": [
        (
            """
def sweep_mended(grid, free, drawn, dice, share):  # as it was
    hidden = dice < share
    grid[hidden] = drawn[hidden]
    return grid""",
            "work on a copy",
        ),
        (
            """
def sweep_mended(grid, free, drawn, dice, share):  # a copy, but free plays no part
    return np.where(dice < share, drawn, grid)""",
            "look at `free`",
        ),
        (
            """
def sweep_mended(grid, free, drawn, dice, share):  # free, but still in place
    hidden = free & (dice < share)
    grid[hidden] = drawn[hidden]
    return grid""",
            "work on a copy",
        ),
        (
            """
def sweep_mended(grid, free, drawn, dice, share):  # all that is free
    return np.where(free, drawn, grid)""",
            "only a share",
        ),
        (
            """
def sweep_mended(grid, free, drawn, dice, share):  # the wrong way round
    return np.where(free & (dice >= share), drawn, grid)""",
            "with a share of 1",
        ),
    ],
}
