"""How surprised a model is by chorales it has never seen, in the two units of the literature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mlmusic.models.transformer.chorale import ChoraleModel


def note_nats(
    model: ChoraleModel, pieces: Sequence[Tensor], *, context: int | None = None
) -> list[np.ndarray]:
    """Return ``-log p`` of every note of every step, given all before it.

    The sum over a piece is its exact negative log-likelihood, given its length. A piece longer
    than the context is read in windows that overlap by half, each note once: it then depends on
    at least half a context of steps.

    Parameters
    ----------
    model : ChoraleModel
        In eval mode meanwhile.
    pieces : sequence of (steps, 4) int64
        Symbols.
    context : int, optional
        How many steps a window has; by default the model's.

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
            return [_piece_nats(model, piece.to(device), context) for piece in pieces]
    finally:
        model.train(training)


def _piece_nats(model: ChoraleModel, piece: Tensor, context: int) -> np.ndarray:
    seen = model.past(piece[None])
    done, parts = 0, []
    while done < len(piece):
        first = max(0, done - context // 2)
        last = min(len(piece), first + context)
        logits = model(piece[None, first:last], seen.window(first, last))[0, done - first :]
        log_p = logits.double().log_softmax(-1)
        parts.append(-log_p.gather(-1, piece[done:last, :, None])[..., 0])
        done = last
    return torch.cat(parts).cpu().numpy()


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
