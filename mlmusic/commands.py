"""The commands about trained models: ``mlmusic train``, ``evaluate`` and ``generate``.

Nothing heavy is imported before a command runs: ``mlmusic --help`` reads this, too.
"""

from __future__ import annotations

import argparse
import inspect
import json
import math
import os
import signal
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mlmusic import files

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
    train.add_argument("--seed", type=_seed, default=0, help="another seed gives other weights")
    budget = train.add_mutually_exclusive_group()
    budget.add_argument("--steps", type=_positive, help="so many batches instead of the recipe's")
    budget.add_argument("--minutes", type=_minutes, help="for so long instead")
    train.add_argument("--device", help="auto (a GPU if there is one), cpu, cuda …")
    train.set_defaults(run=_train)

    evaluate = commands.add_parser(
        "evaluate", help="compute the scores of trained weights again, beside those of their card"
    )
    evaluate.add_argument(
        "name", help="such as rnn/gru, a file ending in .safetensors, or recommend"
    )
    evaluate.add_argument("--data", help="score it on these data alone, such as jsb or chorales")
    evaluate.add_argument(
        "--split", choices=["train", "valid", "test"], help="of these data (default: valid)"
    )
    evaluate.add_argument(
        "--lastfm",
        type=Path,
        metavar="FILE",
        help="with the name recommend: compare the recommenders on a file of Last.fm's format",
    )
    evaluate.add_argument("--json", action="store_true", help="print the scores as JSON")
    evaluate.set_defaults(run=_evaluate)

    generate = commands.add_parser("generate", help="let trained weights write or continue music")
    generate.add_argument("name", help="such as rnn/gru, or a file ending in .safetensors")
    generate.add_argument(
        "-o", "--out", type=Path, required=True, help=f"one of {', '.join(files.WRITABLE)}"
    )
    generate.add_argument(
        "--prompt", type=Path, help=f"what to continue: {', '.join(files.READABLE)}"
    )
    generate.add_argument("-n", "--number", type=int, default=1, help="which tune of an ABC book")
    generate.add_argument("--steps", type=int, default=200, help="at most so many tokens are added")
    generate.add_argument("--temperature", type=float, default=1.0, help="below 1 is more careful")
    generate.add_argument("--top-k", type=int, help="draw from the K likeliest tokens")
    generate.add_argument(
        "--nucleus", type=float, help="draw from the likeliest tokens that add up to P"
    )
    generate.add_argument(
        "--control",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what to ask for, such as 'key=D major'; repeat it for another one",
    )
    generate.add_argument("--seed", type=_seed, default=0, help="another seed gives other music")
    generate.set_defaults(run=_generate)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError("a seed is a whole number from 0 to 2**32 - 1")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("give a whole number of 1 or more")
    return int(text)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < math.inf:
        raise argparse.ArgumentTypeError("give a number of minutes above 0")
    return minutes


def _wish(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"a control is written NAME=VALUE, like 'key=D major', not {text!r}")
    return name, value


def _train(options: argparse.Namespace) -> int:
    from mlmusic import recipes

    recipe = recipes.get(options.name)  # before torch: a typing error is told at once

    from mlmusic import weights
    from mlmusic.weights.checkpoint import checked_path
    from mlmusic.weights.packing import pack, unpack

    name = recipes.FAMILIES.get(options.name, options.name)
    out = checked_path(options.out or f"{name.replace('/', '-')}.safetensors")
    wanted = {"steps": options.steps, "minutes": options.minutes, "device": options.device}
    wanted = {option: value for option, value in wanted.items() if value is not None}
    known = inspect.signature(recipe.train).parameters
    for option in wanted:
        if option not in known:
            raise ValueError(f"the recipe {name} takes no --{option}")
    resumes = "checkpoint" in known
    kept = out.with_suffix(".checkpoint")
    if resumes:
        wanted |= {"checkpoint": kept, "log": out.with_suffix(".csv")}
        if kept.exists():
            print(f"going on from {kept}", file=sys.stderr)
    began = time.process_time()
    with _interruption() as interrupted, suppress(KeyboardInterrupt):
        model = recipe.train(seed=options.seed, progress=True, **wanted)
    if interrupted:  # `fit` returns what it has, but the command wouldn't make that again
        on = f"; the same command goes on from {kept}" if kept.exists() else ""
        print(f"mlmusic train: interrupted, so {out} isn't written{on}", file=sys.stderr)
        return 1
    if int(os.environ.get("RANK", 0)):  # torchrun's first process does the rest
        return 0
    seconds = getattr(model, "cpu_seconds", None) or time.process_time() - began
    model.eval()
    bits = getattr(recipe, "BITS", 32)
    model.load_state_dict(unpack(pack(model.state_dict(), bits)))  # as they will be loaded
    told = "".join(
        f" --{option} {wanted[option]:g}"
        for option in known
        if option in ("steps", "minutes") and option in wanted
    )
    card = weights.Card(
        data=recipe.DATA,
        command=f"mlmusic train {name} --seed {options.seed}{told}",
        seed=options.seed,
        cpu_seconds=round(seconds, 1),
        scores={name: float(score) for name, score in recipe.evaluate(model).items()},
        memorisation=recipe.memorisation(model),
        licence=recipe.LICENCE,
    )
    card = weights.save(model, name, card, path=out, bits=bits)
    for file in (kept, *out.parent.glob(f"{out.stem}.*{kept.suffix}")):
        file.unlink(missing_ok=True)
    print(f"{card}\nwrote {out} ({out.stat().st_size:,} bytes) and {out.with_suffix('.json')}")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    if options.name == "recommend":
        return _evaluate_recommenders(options)
    if options.lastfm is not None:
        raise ValueError("--lastfm is for: mlmusic evaluate recommend")

    from mlmusic import recipes, weights

    name = recipes.FAMILIES.get(options.name, options.name)
    card = weights.card(name)
    recipe = recipes.get(card.name)
    if options.data is not None:
        if not hasattr(recipe, "evaluate_on"):
            raise ValueError(f"{card.name} is scored on its own data alone: leave out --data")
        found = recipe.evaluate_on(weights.load(name), options.data, options.split or "valid")
        if options.json:
            print(json.dumps(found))
        else:
            print("\n".join(f"{key:<14} {value}" for key, value in found.items()))
        return 0
    if options.split is not None:
        raise ValueError("--split is of the data that --data names")
    scores = recipe.evaluate(weights.load(name))
    if options.json:
        print(json.dumps(scores))
        return 0
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


def _evaluate_recommenders(options: argparse.Namespace) -> int:
    """Compare the recommenders on a file of plays: they have no weights, so all are fitted here."""
    if options.lastfm is None:
        raise ValueError("which plays? mlmusic evaluate recommend --lastfm FILE")
    if options.data is not None:
        raise ValueError("the recommenders are scored on --lastfm FILE alone: leave out --data")

    from mlmusic import datasets
    from mlmusic.models.recommend.report import report

    found = report(datasets.lastfm(options.lastfm))
    if options.json:
        print(json.dumps(found))
        return 0
    width = max(map(len, next(iter(found.values()))))
    print(" ".join([" " * width, *(f"{metric:>10}" for metric in found)]))
    for method in next(iter(found.values())):
        print(" ".join([f"{method:<{width}}", *(f"{found[m][method]:10.4f}" for m in found)]))
    return 0


def _generate(options: argparse.Namespace) -> int:
    files.writable(options.out)
    prompt = files.read(options.prompt, options.number) if options.prompt else None

    from mlmusic import recipes, weights
    from mlmusic.sampling import generate

    name = weights.card(options.name).name
    vocabulary = getattr(recipes.get(name), "VOCABULARY", None)
    if vocabulary is None:
        raise ValueError(f"{name} writes no music: its recipe has no VOCABULARY")
    wanted = dict(_wish(text) for text in options.control)
    if wanted and not hasattr(vocabulary, "controls"):
        raise ValueError(f"{name} has no controls: leave out --control")
    if prompt is None:
        start = vocabulary.prefix(**wanted)
    else:
        start = vocabulary.encode(prompt, **wanted)[:-1]  # not END
    tokens = generate(
        weights.load(options.name),
        start,
        options.steps,
        temperature=options.temperature,
        top_k=options.top_k,
        nucleus=options.nucleus,
        stop=vocabulary.end,
        seed=options.seed,
    )
    known = {} if prompt is None else {"tempo": prompt.tempo, "programs": prompt.programs}
    score = vocabulary.decode(tokens, repair=True, title=f"By {name}", **known)
    if not len(score):
        raise ValueError("it wrote no notes: try another --seed, more --steps or a --prompt")
    files.write(score, options.out, name)
    print(f"wrote {options.out}: {score}, {len(tokens) - len(start)} tokens by {name}")
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
