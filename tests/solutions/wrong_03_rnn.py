"""Wrong answers that learners give in chapter 03, and the hint that each must get."""

WRONG = {
    "answer-1": [
        (
            "def nats_per_note(chances, notes): return np.log(chances).sum() / notes",
            "turn its sign",
        ),
        ("def nats_per_note(chances, notes): return -np.log2(chances).sum() / notes", "1 bit"),
        (
            "def nats_per_note(chances, notes): return -np.log(chances).mean()",
            "divide by the notes",
        ),
        (
            "def nats_per_note(chances, notes): return -np.log(chances[:notes]).mean()",
            "add up all tokens",
        ),
        (
            "def nats_per_note(chances, notes): return -np.log(np.prod(chances)) / notes",
            "add up logarithms",
        ),
        ("def nats_per_note(chances, notes): return -np.log(chances) / notes", "one number"),
        ("def nats_per_note(chances, notes): print(-np.log(chances).sum() / notes)", "return"),
    ],
    "answer-2": [
        (
            "def smoothed(counts, below, discount): return counts / counts.sum()",
            "never followed may still follow",
        ),
        (
            """
def smoothed(counts, below, discount):  # adds one to everything
    return (counts + 1) / (counts.sum() + len(counts))""",
            "the shorter memory thinks likelier",
        ),
        (
            """
def smoothed(counts, below, discount):  # shares out a discount for every token, heard or not
    total = counts.sum()
    return np.maximum(counts - discount, 0) / total + discount * len(counts) / total * below""",
            "add up to 1.125",
        ),
        (
            """
def smoothed(counts, below, discount):  # shares out evenly
    total, kinds = counts.sum(), (counts > 0).sum()
    return np.maximum(counts - discount, 0) / total + discount * kinds / total / len(counts)""",
            "the shorter memory thinks likelier",
        ),
        (
            """
def smoothed(counts, below, discount):  # mixes, instead of taking from the counts
    return (1 - discount) * counts / counts.sum() + discount * below""",
            "take 0.5 from both counts",
        ),
        (
            """
def smoothed(counts, below, discount):  # what was taken goes only to those that never followed
    taken = discount * (counts > 0).sum() / counts.sum()
    return np.where(counts > 0, (counts - discount) / counts.sum(), taken * below)""",
            "among all tokens",
        ),
        (
            """
def smoothed(counts, below, discount):  # divides by nothing
    total, kinds = counts.sum(), (counts > 0).sum()
    return np.maximum(counts - discount, 0) / total + discount * kinds / total * below""",
            "never heard",
        ),
    ],
    "answer-3": [
        (
            """
def gates(bar_lines):  # forgets nothing
    first = np.concatenate([[True], bar_lines[:-1]]) & ~bar_lines
    return np.ones(len(first)), first.astype(float)""",
            "where you write, nothing may stay",
        ),
        (
            """
def gates(bar_lines):  # writes everything
    first = np.concatenate([[True], bar_lines[:-1]]) & ~bar_lines
    return 1.0 - first, np.ones(len(first))""",
            "added to the first",
        ),
        (
            """
def gates(bar_lines):  # holds the last note
    return np.zeros(len(bar_lines)), np.ones(len(bar_lines))""",
            "replaces the first",
        ),
        (
            """
def gates(bar_lines):  # the forget gate the wrong way round
    first = np.concatenate([[True], bar_lines[:-1]]) & ~bar_lines
    return first.astype(float), first.astype(float)""",
            "what STAYS",
        ),
        (
            """
def gates(bar_lines):  # writes at the bar line itself
    return 1.0 - bar_lines, bar_lines.astype(float)""",
            "melody's first note isn't written",
        ),
        (
            """
def gates(bar_lines):  # forgets at the bar line already
    first = np.concatenate([[True], bar_lines[:-1]]) & ~bar_lines
    return 1.0 - (first | bar_lines), first.astype(float)""",
            "at the bar line the memory still holds",
        ),
        (
            """
def gates(bar_lines):  # takes whatever follows a bar line for a note
    after_line = np.concatenate([[True], bar_lines[:-1]])
    return 1.0 - after_line, after_line.astype(float)""",
            "two bar lines side by side",
        ),
    ],
    "answer-4": [
        (
            "def causal(x, weights, dilation): return np.convolve(x, weights, 'same')",
            "before it happens",
        ),
        (
            """
def causal(x, weights, dilation):  # the weights turned around
    return causal_right(x, weights[::-1], dilation)
def causal_right(x, weights, dilation):
    padded = np.concatenate([np.zeros((len(weights) - 1) * dilation), x])
    return sum(w * padded[k * dilation : k * dilation + len(x)] for k, w in enumerate(weights))""",
            "turned around",
        ),
        (
            """
def causal(x, weights, dilation):  # no padding
    n = len(x) - (len(weights) - 1) * dilation
    return sum(w * x[k * dilation : k * dilation + n] for k, w in enumerate(weights))""",
            "zeros before the beginning",
        ),
        (
            """
def causal(x, weights, dilation):  # forgets the dilation
    return np.convolve(x, weights[::-1])[: len(x)]""",
            "with dilation 2",
        ),
        (
            """
def causal(x, weights, dilation):  # takes two weights for granted
    earlier = np.concatenate([np.zeros(dilation), x[:-dilation]])
    return weights[-2] * earlier + weights[-1] * x""",
            "the first weight sees",
        ),
        (
            """
def causal(x, weights, dilation):  # goes round: the end is heard at the beginning
    return sum(w * np.roll(x, k * dilation) for k, w in enumerate(weights[::-1]))""",
            "before the beginning is silence",
        ),
    ],
    "answer-5": [
        (
            """
def nucleus(probabilities, share):  # leaves out the token that carries it over
    order = np.argsort(-probabilities)
    inside = order[np.cumsum(probabilities[order]) <= share]
    kept = np.zeros(len(probabilities))
    kept[inside] = probabilities[inside]
    return kept / max(kept.sum(), 1e-9)""",
            "carries the sum over|always in the nucleus",
        ),
        (
            """
def nucleus(probabilities, share):  # forgets to scale
    order = np.argsort(-probabilities)
    before = np.cumsum(probabilities[order]) - probabilities[order]
    kept = np.zeros(len(probabilities))
    kept[order[before < share]] = probabilities[order[before < share]]
    return kept""",
            "add up to 1 again",
        ),
        (
            """
def nucleus(probabilities, share):  # gives them back sorted
    ranked = np.sort(probabilities)[::-1]
    ranked[np.cumsum(ranked) - ranked >= share] = 0
    return ranked / ranked.sum()""",
            "carries the sum over|stay in their places|the likeliest",
        ),
        (
            """
def nucleus(probabilities, share):  # takes the share for a threshold
    kept = np.where(probabilities >= 1 - share, probabilities, 0)
    return kept / max(kept.sum(), 1e-9)""",
            "carries the sum over",
        ),
        (
            """
def nucleus(probabilities, share):  # goes through the tokens in their order, not by chance
    kept = np.where(np.cumsum(probabilities) - probabilities < share, probabilities, 0)
    return kept / kept.sum()""",
            "carries the sum over",
        ),
    ],
    "answer-6": [
        (
            """
def may_follow(pitches):  # forgets the second rule
    return np.abs(np.arange(128) - pitches[-1]) <= 12""",
            "after a leap up of 8",
        ),
        (
            """
def may_follow(pitches):  # goes on in the same direction
    moves = np.arange(128) - pitches[-1]
    leap = pitches[-1] - pitches[-2] if len(pitches) > 1 else 0
    if abs(leap) > 7:
        return np.isin(moves * np.sign(leap), (1, 2))
    return np.abs(moves) <= 12""",
            "a step down of 1 or 2",
        ),
        (
            """
def may_follow(pitches):  # a fifth counts as a leap
    moves = np.arange(128) - pitches[-1]
    leap = pitches[-1] - pitches[-2] if len(pitches) > 1 else 0
    if abs(leap) >= 7:
        return np.isin(-moves * np.sign(leap), (1, 2))
    return np.abs(moves) <= 12""",
            "must be MORE than 7",
        ),
        (
            """
def may_follow(pitches):  # the octave itself is left out
    return np.abs(np.arange(128) - pitches[-1]) < 12""",
            "both ends included",
        ),
        (
            """
def may_follow(pitches):  # slices wrap around below 0
    mask = np.zeros(128, bool)
    leap = pitches[-1] - pitches[-2] if len(pitches) > 1 else 0
    if leap > 7:
        mask[pitches[-1] - 2 : pitches[-1]] = True
    elif leap < -7:
        mask[pitches[-1] + 1 : pitches[-1] + 3] = True
    else:
        mask[pitches[-1] - 12 : pitches[-1] + 13] = True
    return mask""",
            "doesn't wrap around",
        ),
        (
            """
def may_follow(pitches):  # numbers instead of a mask
    return list(range(pitches[-1] - 12, pitches[-1] + 13))""",
            "128 times True or False",
        ),
    ],
    "answer-7": [
        (
            """
def chances_at_mended(logits, temperature):  # multiplies
    logits = np.asarray(logits) * temperature
    chances = np.exp(logits - logits.max())
    return chances / chances.sum()""",
            "cold makes the likeliest token likelier",
        ),
        (
            """
def chances_at_mended(logits, temperature):  # too large a number
    chances = np.exp(logits / temperature)
    return chances / chances.sum()""",
            "take away the maximum",
        ),
        (
            """
def chances_at_mended(logits, temperature):  # the maximum of the logits before they were divided
    chances = np.exp(logits / temperature - np.max(logits))
    return chances / chances.sum()""",
            "the maximum to take away",
        ),
        ("chances_at_mended = chances_at", "divide before softmax"),
        (
            """
def chances_at_mended(logits, temperature):  # only leaves out the scaling
    return np.exp(logits) / np.exp(logits).sum() / temperature""",
            "still give the same|add up to|divide before softmax|likelier|DIVIDED",
        ),
        (
            """
def chances_at_mended(logits, temperature):  # a power of the logits
    chances = np.exp(logits - np.max(logits)) ** temperature
    return chances / chances.sum()""",
            "cold makes the likeliest token likelier",
        ),
    ],
}
