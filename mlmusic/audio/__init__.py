"""Score -> waveform (SoundFont synthesis), waveform -> log-mel and MFCC, waveform -> MP3 or WAV."""

import importlib
from typing import TYPE_CHECKING, Any

from mlmusic.audio.codec import decode, encode
from mlmusic.audio.synth import SAMPLE_RATE, synthesize

if TYPE_CHECKING:
    from mlmusic.audio.features import log_mel, mfcc

__all__ = ["SAMPLE_RATE", "decode", "encode", "log_mel", "mfcc", "synthesize"]


def __getattr__(name: str) -> Any:
    if name in ("log_mel", "mfcc"):  # on first use: synthesis shouldn't wait for torch
        return getattr(importlib.import_module("mlmusic.audio.features"), name)
    raise AttributeError(f"mlmusic.audio has no {name!r}")
