"""What the course is running on: the line that every notebook prints first."""

import importlib.metadata
import platform


def about() -> str:
    """Return one line with the versions that matter and the device that torch would use.

    Returns
    -------
    str
        Such as ``mlmusic 0.1.0 · Python 3.11.7 · numpy 2.4.6 · torch 2.13.0 · cpu, 2 threads``.
    """
    import torch  # here, so that the module costs nothing until it is asked

    import mlmusic

    versions = [f"mlmusic {mlmusic.__version__}", f"Python {platform.python_version()}"]
    for name in ("numpy", "torch"):
        # torch's build ("+cpu", "+cu126") says the same as the device
        versions.append(f"{name} {importlib.metadata.version(name).split('+')[0]}")
    return " · ".join([*versions, _device(torch)])


def _device(torch) -> str:
    if torch.cuda.is_available():
        return f"cuda, {torch.cuda.get_device_name()}"
    threads = torch.get_num_threads()
    return f"cpu, {threads} thread{'s' if threads > 1 else ''}"
