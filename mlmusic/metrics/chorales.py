"""How surprised a model is by chorales it has never seen, in the two units of the literature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mlmusic.models.transformer.chorale import ChoraleModel
from mlmusic.models.transformer.pieces import Past


def note_nats(
    model: ChoraleModel,
    pieces: Sequence[Tensor],
    *,
    context: int | None = None,
    batch: int = 16,
) -> list[np.ndarray]:
    """Return ``-log p`` of every note of every step, given all before it.

    The sum over a piece is its exact negative log-likelihood, given its length. A piece longer
    than the context is read in windows that overlap by half, each note once: it then depends on
    at least half a context of steps. Only a `Committee` that listens remembers all of the piece.

    Parameters
    ----------
    model : ChoraleModel or Committee
        In eval mode meanwhile.
    pieces : sequence of (steps, 4) int64
        Symbols.
    context : int, optional
        How many steps a window has; by default the model's.
    batch : int
        Windows at a time.

    Returns
    -------
    list of (steps, 4) float arrays
        In nats.

    Raises
    ------
    ValueError
        If there is no piece, or one is of another shape, empty or has unknown symbols.
    """
    context = model.context if context is None else context
    if not len(pieces):
        raise ValueError("likelihood needs at least one piece")
    if context < 2:
        raise ValueError(f"a context has at least 2 steps, not {context}")
    for i, piece in enumerate(pieces):
        if piece.ndim != 2 or piece.shape[1] != 4 or piece.dtype != torch.int64 or not len(piece):
            raise ValueError(
                f"piece {i} must be int64 of shape (steps, 4) with a step, not {piece.dtype} of"
                f" {tuple(piece.shape)}"
            )
        if not 0 <= int(piece.min()) <= int(piece.max()) <= model.pitches:
            raise ValueError(f"piece {i} has symbols outside 0–{model.pitches}")
    training, device = model.training, next(model.parameters()).device
    model.eval()
    try:
        with torch.no_grad():
            return _nats(model, [piece.to(device) for piece in pieces], context, batch)
    finally:
        model.train(training)


def _nats(model: ChoraleModel, pieces: list[Tensor], context: int, batch: int) -> list[np.ndarray]:
    pasts = [model.past(piece) for piece in pieces]
    windows = []  # piece, first step, first step that counts, last
    for i, piece in enumerate(pieces):
        done = 0
        while done < len(piece):
            first = max(0, done - context // 2)
            last = min(len(piece), first + context)
            windows.append((i, first, done, last))
            done = last
    found = [np.zeros((len(piece), 4)) for piece in pieces]
    windows.sort(key=lambda window: window[3] - window[1])  # those of like length together
    for start in range(0, len(windows), batch):
        some = windows[start : start + batch]
        longest = some[-1][3] - some[-1][1]
        rows = [_filled(pieces[i][first:last], longest) for i, first, _, last in some]
        notes = torch.stack(rows)  # what fills up comes last, so that nothing depends on it
        seen = [
            [_filled(part, longest) for part in pasts[i].window(first, last)]
            for i, first, _, last in some
        ]
        logits = model(notes, Past(*map(torch.stack, zip(*seen, strict=True))))
        log_p = logits.double().log_softmax(-1).gather(-1, notes[..., None])[..., 0]
        for row, (i, first, done, last) in zip(log_p, some, strict=True):
            found[i][done:last] = -row[done - first : last - first].cpu().numpy()
    return found


def _filled(part: Tensor, steps: int) -> Tensor:
    """Fill up the first axis with zeros."""
    return torch.cat([part, part.new_zeros(steps - len(part), *part.shape[1:])])


def nats_per_note(
    model: ChoraleModel, pieces: Sequence[Tensor], *, context: int | None = None
) -> float:
    """Return the joint negative log-likelihood over the number of symbols, 4 a step.

    Notes that sound on count at each step, and so does silence: the unit in which sixteenths of
    the JSB chorales are reported (Huang et al., *Counterpoint by convolution*, 2017).

    Raises
    ------
    ValueError
        As `note_nats` does.
    """
    return float(np.concatenate(note_nats(model, pieces, context=context)).mean())


def frame_nll(model: ChoraleModel, pieces: Sequence[Tensor]) -> float:
    """Return the negative log-likelihood of a frame: the sum over its notes, all frames but first.

    For a model and pieces of `mlmusic.models.transformer.frames.frames`, this is the unit in
    which quarter-note frames of the JSB chorales are reported: the published programs predict
    every frame but the first of a piece and divide by their number (Bai et al., *An empirical
    evaluation of generic convolutional and recurrent networks for sequence modeling*, 2018).

    Raises
    ------
    ValueError
        As `note_nats` does, or if no piece has a second frame.
    """
    found = [nats[1:].sum(1) for nats in note_nats(model, pieces)]
    if not sum(map(len, found)):
        raise ValueError("frames are predicted from those before: a piece needs two of them")
    return float(np.concatenate(found).mean())
