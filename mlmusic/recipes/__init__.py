"""How the weights were made: one module a recipe.

The recipe ``rnn/gru`` is the module ``mlmusic/recipes/rnn_gru.py``. ``mlmusic train rnn/gru`` runs
it and writes weights and card, ``mlmusic evaluate rnn/gru`` computes the card's scores again. A
recipe trains what a chapter has no time for; it has

``train(seed=0, progress=True) -> nn.Module``
    The trained model, of a class in `mlmusic.weights.MODELS`. The same seed gives the same
    weights, so it counts epochs, not seconds, and seeds before the model is built.
``evaluate(model) -> dict[str, float]``
    Scores on the held-out test split by name, with the unit in the name. No choice may depend on
    them. The same weights give the same scores, to 1e-4.
``memorisation(model) -> str``
    How much of the training data comes back, in a line with numbers: for example the longest
    passage of seeded samples that stands in a training piece. A classifier says that it writes
    nothing.
``DATA``, ``LICENCE``
    What it is trained on, and the terms of weights and data: a line each.
``VOCABULARY``
    Only of models that write music, with ``model(tokens, state)`` as `mlmusic.sampling` calls it:
    what the tokens mean. ``mlmusic generate`` writes and reads by it.

``evaluate_on(model, data, split) -> dict``
    Only where there are several sets to score it on: ``mlmusic evaluate --data`` prints this.

``BITS``
    Only where the weights are kept in 16 or 8 bits; all scores are then those of rounded weights.

``train`` may also take ``steps``, ``minutes``, ``device``, ``checkpoint`` and ``log``, as
`mlmusic.trainer.Trainer` has them: then the command takes these options, and goes on where a
training was stopped.

To ship the result, add the model's class to `mlmusic.weights.MODELS` and commit what
``mlmusic train rnn/gru -o mlmusic/weights/rnn/gru.safetensors`` writes.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

PARTS = ("train", "evaluate", "memorisation", "DATA", "LICENCE")
"""What every recipe has."""


FAMILIES = {"transformer": "transformer/chorale"}
"""Which recipe is meant where only its family is named."""


def names() -> list[str]:
    """List the recipes, such as ``"rnn/gru"``."""
    modules = [module.name for module in pkgutil.iter_modules(__path__)]
    return sorted(name.replace("_", "/", 1) for name in modules if "_" in name.strip("_"))


def get(name: str) -> ModuleType:
    """Return a recipe: a module with ``train`` and ``evaluate``.

    Raises
    ------
    ValueError
        If there is none of that name, or it lacks a part.
    """
    name = FAMILIES.get(name, name)
    if name not in names():
        known = ", ".join(names()) or "none yet"
        raise ValueError(f"there is no recipe {str(name)!r}; there are: {known}")
    recipe = importlib.import_module(f"{__name__}.{name.replace('/', '_')}")
    missing = [part for part in PARTS if not hasattr(recipe, part)]
    if missing:
        raise ValueError(f"the recipe {name} lacks {', '.join(missing)}")
    return recipe
