"""Wrong answers that learners give in chapter 02, and the hint that each must get."""

WRONG = {
    "answer-1": [
        (
            "def field(layers): return sum(kernel for kernel, _ in layers) or 1",
            "they overlap",
        ),
        (
            "def field(layers): return 1 + sum(kernel - 1 for kernel, _ in layers)",
            "after pooling by two",
        ),
        (
            """
def field(layers):  # a layer's stride spreads its own taps, too
    size, jump = 1, 1
    for kernel, stride in layers:
        jump *= stride
        size += (kernel - 1) * jump
    return size""",
            "after pooling by two|AFTER it",
        ),
        (
            """
def field(layers):  # multiplies instead of adding
    size = 1
    for kernel, stride in layers:
        size *= kernel
    return size""",
            "they overlap",
        ),
        (
            """
def field(layers):  # the field and the stride, as the package's function gives them
    from mlmusic.models.cnn import receptive_field

    return receptive_field(layers)""",
            "one number",
        ),
    ],
    "answer-2": [
        (
            """
def convolve(x, weight, bias, stride=1):  # mathematicians' convolution: the kernel turned round
    taps = weight.shape[2]
    starts = range(0, x.shape[1] - taps + 1, stride)
    seen = np.stack([x[:, s : s + taps][:, ::-1] for s in starts])
    return np.einsum("oik,tik->ot", weight, seen) + bias[:, None]""",
            "don't turn the kernel round",
        ),
        (
            """
def convolve(x, weight, bias, stride=1):  # hears the first channel only
    taps = weight.shape[2]
    starts = range(0, x.shape[1] - taps + 1, stride)
    seen = np.stack([x[:1, s : s + taps] for s in starts])
    return np.einsum("oik,tik->ot", weight[:, :1], seen) + bias[:, None]""",
            "all channels",
        ),
        (
            """
def convolve(x, weight, bias, stride=1):  # the last place is lost
    taps = weight.shape[2]
    starts = range(0, x.shape[1] - taps, stride)
    seen = np.stack([x[:, s : s + taps] for s in starts])
    return np.einsum("oik,tik->ot", weight, seen) + bias[:, None]""",
            "fits at 4 places",
        ),
        (
            """
def convolve(x, weight, bias, stride=1):  # a dilation, not a stride
    taps = weight.shape[2]
    outputs = x.shape[1] - (taps - 1) * stride
    seen = np.stack([x[:, t : t + (taps - 1) * stride + 1 : stride] for t in range(outputs)])
    return np.einsum("oik,tik->ot", weight, seen) + bias[:, None]""",
            "stands at steps 0 and 2 only",
        ),
        (
            """
def convolve(x, weight, bias, stride=1):  # forgets the bias
    taps = weight.shape[2]
    starts = range(0, x.shape[1] - taps + 1, stride)
    seen = np.stack([x[:, s : s + taps] for s in starts])
    return np.einsum("oik,tik->ot", weight, seen)""",
            "bias is added",
        ),
        (
            """
def convolve(x, weight, bias, stride=1):  # each tap overwrites the one before
    taps = weight.shape[2]
    starts = range(0, x.shape[1] - taps + 1, stride)
    y = np.zeros((len(weight), len(starts)))
    for t, start in enumerate(starts):
        for k in range(taps):
            y[:, t] = bias + weight[:, :, k] @ x[:, start + k]
    return y""",
            "Add up what all the taps give",
        ),
    ],
    "answer-3": [
        (
            """
def hide(score):  # pitches instead of intervals
    notes = score.notes
    lasts = np.append(np.diff(notes["onset"]), notes["duration"][-1])
    return np.column_stack([notes["pitch"][1:], np.log2(lasts[1:] / lasts[:-1])])""",
            "next pitch minus this one",
        ),
        (
            """
def hide(score):  # the difference of lengths instead of their ratio
    notes = score.notes
    lasts = np.append(np.diff(notes["onset"]), notes["duration"][-1])
    return np.column_stack([np.diff(notes["pitch"].astype(int)), np.diff(lasts)])""",
            "their ratio doesn't",
        ),
        (
            """
def hide(score):  # natural logarithm
    notes = score.notes
    lasts = np.append(np.diff(notes["onset"]), notes["duration"][-1])
    return np.column_stack([np.diff(notes["pitch"].astype(int)), np.diff(np.log(lasts))])""",
            "logarithm to base 2",
        ),
        (
            """
def hide(score):  # durations instead of the time from onset to onset
    notes = score.notes
    ratios = np.diff(np.log2(notes["duration"]))
    return np.column_stack([np.diff(notes["pitch"].astype(int)), ratios])""",
            "from onset to onset",
        ),
        (
            """
def hide(score):  # a row too many
    notes = score.notes
    lasts = np.append(np.diff(notes["onset"]), notes["duration"][-1])
    rows = np.column_stack([np.diff(notes["pitch"].astype(int)), np.diff(np.log2(lasts))])
    return np.vstack([[0, 0], rows])""",
            "eight steps from note to note",
        ),
    ],
    "answer-4": [
        (
            """
def occlude(listen, x, size):  # covers x itself
    whole, falls = listen(x), []
    for start in range(x.shape[1] - size + 1):
        x[:, start : start + size] = 0
        falls.append(whole - listen(x))
    return np.array(falls)""",
            "cover a copy",
        ),
        (
            """
def occlude(listen, x, size):  # what is left instead of the fall
    falls = []
    for start in range(x.shape[1] - size + 1):
        covered = x.copy()
        covered[:, start : start + size] = 0
        falls.append(listen(covered))
    return np.array(falls)""",
            "a fall is positive",
        ),
        (
            """
def occlude(listen, x, size):  # the first channel only
    whole, falls = listen(x), []
    for start in range(x.shape[1] - size + 1):
        covered = x.copy()
        covered[0, start : start + size] = 0
        falls.append(whole - listen(covered))
    return np.array(falls)""",
            "BOTH its channels",
        ),
        (
            """
def occlude(listen, x, size):  # one copy for all places
    whole, falls, covered = listen(x), [], x.copy()
    for start in range(x.shape[1] - size):
        covered[:, start : start + size] = 0
        falls.append(whole - listen(covered))
    return np.array(falls)""",
            "four numbers",
        ),
        (
            """
def occlude(listen, x, size):  # how far the answer moves, up or down
    whole, falls = listen(x), []
    for start in range(x.shape[1] - size + 1):
        covered = x.copy()
        covered[:, start : start + size] = 0
        falls.append(abs(whole - listen(covered)))
    return np.array(falls)""",
            "the fall is negative",
        ),
    ],
    "answer-5": [
        (
            """
def detector(motif):  # any one of the intervals is enough
    weight = np.zeros((25, len(motif)))
    for tap, interval in enumerate(motif):
        if interval is not None:
            weight[interval + 12, tap] = 1
    return weight, -0.5""",
            "isn't the motif",
        ),
        (
            """
def detector(motif):  # a perfect fit comes to 0, which isn't above 0
    weight = np.zeros((25, len(motif)))
    for tap, interval in enumerate(motif):
        if interval is not None:
            weight[interval + 12, tap] = 1
    return weight, -float(len(motif))""",
            "may not be so low",
        ),
        (
            """
def detector(motif):  # None counts in the bias, although it can't fit
    weight = np.zeros((25, len(motif)))
    for tap, interval in enumerate(motif):
        if interval is not None:
            weight[interval + 12, tap] = 1
    return weight, 0.5 - len(motif)""",
            "any interval will do",
        ),
        (
            """
def detector(motif):  # forgets that row 12 is interval 0
    weight = np.zeros((25, len(motif)))
    for tap, interval in enumerate(motif):
        if interval is not None:
            weight[interval, tap] = 1
    return weight, 0.5 - sum(i is not None for i in motif)""",
            "the interval plus 12",
        ),
    ],
    "answer-6": [
        (
            """
def read_mended(tokens, table, weight):  # the fault itself
    return weight @ table[tokens].reshape(table.shape[1], len(tokens))""",
            "token t's own numbers",
        ),
        (
            """
def read_mended(tokens, table, weight):  # the axes of the result are the wrong way round
    return table[tokens] @ weight.T""",
            r"\(1, 3\)",
        ),
        (
            """
def read_mended(tokens, table, weight):  # reads the table in another order
    return weight @ table[tokens].reshape(table.shape[1], len(tokens), order="F")[:, ::-1]""",
            "token t's own numbers",
        ),
    ],
}
