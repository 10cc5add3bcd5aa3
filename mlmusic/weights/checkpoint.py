"""Weights to and from files: checked before they are used."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import re
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn

from mlmusic.weights.card import Card
from mlmusic.weights.packing import pack, unpack

MODELS = {
    "ChoraleModel": "mlmusic.models.transformer",
    "Committee": "mlmusic.models.transformer",
    "MelodyGenerator": "mlmusic.models.gan",
    "MelodyModel": "mlmusic.models.rnn",
    "MelodyVAE": "mlmusic.models.vae",
    "Transformer": "mlmusic.models.transformer",
}
"""Where each class is that a card may name. A card can't name a module: whoever made it could
otherwise have any code run."""

MAX_BYTES = 8_000_000
"""Largest file of weights that the course ships."""

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """List the weights that are installed, such as ``"rnn/gru"``."""
    return sorted(
        path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.glob("*/*.json")
    )


def card(name: str | Path) -> Card:
    """Return the card of weights: data, command, cost, held-out scores, licence.

    Parameters
    ----------
    name : str or Path
        One of `names()`, or a file ending in ``.safetensors`` with its card beside it.

    Raises
    ------
    ValueError
        If there are no such weights, or the card is damaged.
    FileNotFoundError
        If a file has no card.
    """
    return Card.read(_path(name).with_suffix(".json"))


def load(name: str | Path) -> nn.Module:
    """Return a trained model, in eval mode and on the CPU.

    No random numbers are drawn from the global generators.

    Parameters
    ----------
    name : str or Path
        One of `names()`, or a file ending in ``.safetensors`` with its card beside it.

    Raises
    ------
    ValueError
        If there are no such weights, or they are damaged: another sha256 than the card's, a card
        that can't be read, an unknown class, weights of other names or shapes than the model's.
    FileNotFoundError
        If the weights or the card are missing.

    Examples
    --------
    >>> from mlmusic import weights
    >>> model = weights.load("rnn/gru")
    """
    path, found = _path(name), card(name)
    if not path.is_file():
        raise FileNotFoundError(f"there is a card, but no file {path}: {_remedy(found)}")
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != found.sha256:
        raise ValueError(
            f"{path} is damaged (its sha256 is {sha256[:8]}…, that of the card {found.sha256[:8]}…)"
            f": {_remedy(found)}"
        )
    try:
        tensors = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file: {error}") from None
    tensors, model = unpack(tensors), _build(found, path)
    _check_shapes(tensors, model, path)
    model.load_state_dict(tensors)
    return model.eval()


def save(
    model: nn.Module,
    name: str,
    card: Card,
    *,
    path: str | Path | None = None,
    bits: int = 32,
) -> Card:
    """Write a model's weights and their card.

    Parameters
    ----------
    model : nn.Module
        Of a class in `MODELS`, with the keyword arguments that built it in ``model.config``.
    name : str
        ``"family/variant"``: that of the recipe.
    card : Card
        What is known; name, model, config, parameters, versions and sha256 are filled in.
    path : str or Path, optional
        A file ending in ``.safetensors``; the card goes beside it. By default the weights become
        one of `names()`.
    bits : {32, 16, 8}
        Room for each number, see `mlmusic.weights.packing`. `load` gives back 32, but rounded:
        scores on the card should be those of the rounded weights.

    Returns
    -------
    Card
        As it was written.

    Raises
    ------
    ValueError
        If the name, the ending, the class, its config or the card can't be used, a weight isn't
        finite, or the file would be larger than `MAX_BYTES`. Nothing is written then.
    OSError
        If the files can't be written.
    """
    path = FOLDER / f"{checked_name(name)}.safetensors" if path is None else checked_path(path)
    tensors = {key: value.detach().cpu().clone() for key, value in model.state_dict().items()}
    packed = pack(tensors, bits)
    for key, value in packed.items():
        packed[key] = value.contiguous()
        if value.is_floating_point() and not value.isfinite().all():
            raise ValueError(f"{name}: the weight {key} isn't finite: has training failed?")
    data = safetensors.torch.save(packed)
    if len(data) > MAX_BYTES:
        raise ValueError(
            f"{name} takes {len(data):,} bytes, and weights may take {MAX_BYTES:,}: train a"
            " smaller model"
        )
    card = dataclasses.replace(
        card,
        name=name,
        model=type(model).__name__,
        config=_config(model),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        made_with=f"torch {torch.__version__}, numpy {np.__version__}, "
        f"{torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}",
        sha256=hashlib.sha256(data).hexdigest(),
    )
    again = _build(card, path)  # now, and not when somebody loads it, it's time to complain
    if type(again) is not type(model):
        raise ValueError(f"{type(model)} isn't the {card.model} of {type(again).__module__}")
    _check_shapes(unpack(packed), again, path)
    path.parent.mkdir(exist_ok=True)
    card.write(path.with_suffix(".json"))
    path.write_bytes(data)
    return card


def checked_name(name: str) -> str:
    """Return the name of a recipe and its weights, or say how one is written.

    Raises
    ------
    ValueError
        If it isn't ``family/variant``.
    """
    if not re.fullmatch(r"[a-z0-9]+/[a-z0-9_]+", str(name)):
        raise ValueError(f"a name is written family/variant, like rnn/gru, not {str(name)!r}")
    return name


def checked_path(path: str | Path) -> Path:
    """Return the path of weights, or say what is wrong with it.

    Raises
    ------
    ValueError
        If it doesn't end in ``.safetensors``.
    FileNotFoundError
        If it lies in no folder.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"weights are kept in a file ending in .safetensors, not {path.name}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} for {path.name}")
    return path


def _path(name: str | Path) -> Path:
    if isinstance(name, Path) or str(name).endswith(".safetensors"):
        path = checked_path(name)
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        return path
    if name not in names():
        known = ", ".join(names()) or "none yet"
        raise ValueError(f"there are no weights {str(name)!r}; there are: {known}")
    return FOLDER / f"{name}.safetensors"


def _remedy(card: Card) -> str:
    return f"reinstall mlmusic, or make it anew with `{card.command}`"


def _config(model: nn.Module) -> dict:
    config = getattr(model, "config", None)
    if not isinstance(config, dict):
        raise ValueError(
            f"{type(model).__name__} has no config: keep the keyword arguments that build it in a"
            " dict of that name"
        )
    try:
        return json.loads(json.dumps(config, allow_nan=False))  # as the card gives it back
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{type(model).__name__}.config can't be written as JSON: {error}"
        ) from None


def _build(card: Card, path: Path) -> nn.Module:
    """Build an untrained model from a card."""
    if card.model not in MODELS:
        known = ", ".join(sorted(MODELS))
        raise ValueError(f"{path}: {card.model!r} is none of the course's models: {known}")
    build = getattr(importlib.import_module(MODELS[card.model]), card.model)
    try:
        with torch.random.fork_rng(devices=[]):  # first weights are drawn, and then replaced
            return build(**card.config)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: its config doesn't build a {card.model}: {reason}") from None


def _check_shapes(tensors: dict[str, torch.Tensor], model: nn.Module, path: Path) -> None:
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    given = {key: tuple(value.shape) for key, value in tensors.items()}
    kind = type(model).__name__
    for key in sorted(wanted.keys() | given.keys()):
        if key not in given:
            raise ValueError(f"{path} has no weight {key}, which {kind} needs")
        if key not in wanted:
            raise ValueError(f"{path} has a weight {key}, which {kind} doesn't know")
        if given[key] != wanted[key]:
            raise ValueError(f"{path}: {key} has shape {given[key]}, {kind} needs {wanted[key]}")
