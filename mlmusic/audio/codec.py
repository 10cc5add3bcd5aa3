"""Waveform -> bytes of an MP3 or WAV file, and back."""

import io

import numpy as np

__all__ = ["decode", "encode"]

MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Sample rates, in Hz, that MPEG audio layer III knows."""


def encode(wave: np.ndarray, rate: int, format: str = "mp3") -> bytes:
    """Turn a waveform into the bytes of a sound file.

    The same waveform gives the same bytes. A minute of mono at 22,050 Hz makes about 0.4 MB of
    MP3 or 2.6 MB of WAV.

    Parameters
    ----------
    wave : np.ndarray
        Floats within ±1: (samples,), or (2, samples) for stereo.
    rate : int
        Samples per second; for MP3 one of `MP3_RATES`.
    format : {"mp3", "wav"}
        WAV has 16 bits a sample.

    Returns
    -------
    bytes

    Raises
    ------
    TypeError
        `wave` doesn't hold floats.
    ValueError
        `wave` is empty, not of one of the two shapes, has NaN or infinite samples, or peaks beyond
        ±1; the format is unknown, or can't have this rate.
    RuntimeError
        The installed libsndfile can't write MP3; the message says what to do.
    """
    import soundfile

    wave = np.asarray(wave)
    if not np.issubdtype(wave.dtype, np.floating):
        raise TypeError(
            f"wave holds {wave.dtype}; it must hold floats within ±1 (for int16: wave / 32768)"
        )
    if not (wave.ndim == 1 or (wave.ndim == 2 and len(wave) == 2)):
        raise ValueError(f"wave has shape {wave.shape}; it must be (samples,) or (2, samples)")
    if not wave.size:
        raise ValueError("wave is empty")
    peak = np.abs(wave).max()
    if not np.isfinite(peak):
        raise ValueError("wave has NaN or infinite samples")
    if peak > 1:
        raise ValueError(f"wave peaks at {peak:.3g}, beyond full scale: divide it by its peak")
    if format not in ("mp3", "wav"):
        raise ValueError(f"format is {format!r}; it must be 'mp3' or 'wav'")
    if isinstance(rate, bool) or not isinstance(rate, (int, np.integer)) or rate <= 0:
        raise ValueError(f"rate must be a whole number of samples a second, not {rate!r}")
    if format == "mp3" and rate not in MP3_RATES:
        raise ValueError(f"MP3 can't have {rate} samples a second; its rates are {MP3_RATES}")
    if format == "mp3" and "MP3" not in soundfile.available_formats():
        raise RuntimeError(
            f"libsndfile {soundfile.__libsndfile_version__} can't write MP3 (1.1 and later can): "
            "run `pip install --upgrade soundfile`, or use format='wav'"
        )
    file = io.BytesIO()
    subtype = "MPEG_LAYER_III" if format == "mp3" else "PCM_16"
    samples = wave.T.astype(np.float32)
    soundfile.write(file, samples, int(rate), format=format.upper(), subtype=subtype)
    return file.getvalue()


def decode(data: bytes) -> tuple[np.ndarray, int]:
    """Read the bytes of a sound file: WAV, MP3, FLAC or Ogg.

    Parameters
    ----------
    data : bytes
        The whole file.

    Returns
    -------
    wave : np.ndarray
        float32, (samples,) for mono, (channels, samples) otherwise.
    rate : int
        Samples per second.

    Raises
    ------
    ValueError
        The bytes are not a sound file that libsndfile can read.
    """
    import soundfile

    try:
        wave, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    except soundfile.LibsndfileError as error:
        raise ValueError(f"these {len(data)} bytes are not a sound file: {error}") from None
    return wave.T, rate
