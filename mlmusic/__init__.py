"""Machine learning for music: the package that the course's notebooks share."""

import importlib
from typing import Any

__version__ = "0.1.0"

# Where each public name lives. Imported on first use, so that `import mlmusic` costs nothing
# and `from mlmusic import Score` doesn't wait for torch.
_HOMES = {
    "Score": "mlmusic.score",
    "about": "mlmusic.environment",
    "play": "mlmusic.player",
    "synthesize": "mlmusic.audio",
    "fit": "mlmusic.training",
    "seed_everything": "mlmusic.training",
}
_MODULES = ("audio", "datasets", "plots", "player", "score", "tokens", "training")

__all__ = ["Score", "about", "datasets", "fit", "play", "plots", "seed_everything", "synthesize"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"mlmusic.{name}")
    else:
        raise AttributeError(f"mlmusic has no {name!r}; it offers {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, *_MODULES])
