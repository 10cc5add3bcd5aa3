"""The commands about trained models: ``mlmusic train`` and ``evaluate``.

Nothing heavy is imported before a command runs: ``mlmusic --help`` reads this, too.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TOLERANCE = 1e-4
"""How far a held-out score may lie from that on the card: machines add up in different orders."""


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add these commands to the command line's."""
    train = commands.add_parser("train", help="train a model by its recipe, write weights and card")
    train.add_argument("name", help="the recipe, such as rnn/gru")
    train.add_argument(
        "-o",
        "--out",
        type=Path,
        help="file of the weights, ending in .safetensors; the card goes beside it"
        " (default: rnn-gru.safetensors here)",
    )
    train.add_argument("--seed", type=int, default=0, help="another seed gives other weights")
    train.set_defaults(run=_train)

    evaluate = commands.add_parser(
        "evaluate", help="compute the scores of trained weights again, beside those of their card"
    )
    evaluate.add_argument("name", help="such as rnn/gru, or a file ending in .safetensors")
    evaluate.set_defaults(run=_evaluate)


def _train(options: argparse.Namespace) -> int:
    from mlmusic import recipes

    recipe = recipes.get(options.name)  # before torch: a typing error is told at once

    from mlmusic import weights
    from mlmusic.weights.checkpoint import checked_path

    out = checked_path(options.out or f"{options.name.replace('/', '-')}.safetensors")
    began = time.process_time()
    with _interruption() as interrupted, suppress(KeyboardInterrupt):
        model = recipe.train(seed=options.seed, progress=True)
    if interrupted:  # `fit` returns what it has, but the command wouldn't make that again
        print(f"mlmusic train: interrupted, so {out} isn't written", file=sys.stderr)
        return 1
    seconds = time.process_time() - began
    model.eval()
    card = weights.Card(
        data=recipe.DATA,
        command=f"mlmusic train {options.name} --seed {options.seed}",
        seed=options.seed,
        cpu_seconds=round(seconds, 1),
        scores={name: float(score) for name, score in recipe.evaluate(model).items()},
        memorisation=recipe.memorisation(model),
        licence=recipe.LICENCE,
    )
    card = weights.save(model, options.name, card, path=out)
    print(f"{card}\nwrote {out} ({out.stat().st_size:,} bytes) and {out.with_suffix('.json')}")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from mlmusic import recipes, weights

    card = weights.card(options.name)
    recipe = recipes.get(card.name)
    scores = recipe.evaluate(weights.load(options.name))
    width = max([len(name) for name in [*scores, *card.scores]], default=0)
    print(f"{card.name}: {card.model}, {card.parameters:,} parameters; {card.command}")
    print(f"{'':<{width}}  {'now':>12}  {'card':>12}")
    differing = []
    for name in {**card.scores, **scores}:
        now, then = scores.get(name, math.nan), card.scores.get(name, math.nan)
        agrees = abs(now - then) <= TOLERANCE  # never true of NaN
        if not agrees:
            differing.append(name)
        print(f"{name:<{width}}  {now:12.6f}  {then:12.6f}{'' if agrees else '  differs'}")
    if differing:
        print(f"differs by more than {TOLERANCE:g}: {', '.join(differing)}")
        return 1
    print(f"agrees with the card within {TOLERANCE:g}")
    return 0


@contextmanager
def _interruption() -> Iterator[list[int]]:
    """Note whether Ctrl-C was pressed, also where `fit` has caught it."""
    seen: list[int] = []

    def stop(number: int, frame: object) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)
