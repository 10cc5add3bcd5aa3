"""Transformer: generation and training against Hugging Face's GPT-2 of the same size."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn

from mlmusic.models.transformer import Transformer
from mlmusic.sampling import generate, generate_batch
from mlmusic.tokens import SATBVocabulary

SIZES = ((128, 4, 4), (256, 6, 8))
"""Width, layers and heads."""

TOKENS = 512
ROUNDS = 3


def run() -> list[dict]:
    """Measure both with untrained weights: what is drawn doesn't change the time."""
    torch.set_num_threads(1)
    rows = [_cache(), _last_tokens()]
    try:
        import transformers
    except ImportError:
        return [*rows, {"row": "transformer: peers", "note": "transformers isn't installed"}]
    transformers.logging.set_verbosity_error()
    for size in SIZES:
        rows += _pair(*size)
    return rows


def _cache() -> dict:
    """Our own generation, with and without keys and values kept."""
    model = _ours(*SIZES[0])
    prompt = [SATBVocabulary.start]
    read: list[torch.Tensor] = []

    def without(new: torch.Tensor, state: object) -> tuple[torch.Tensor, str]:
        read.append(new)
        return model(torch.cat(read, 1), cache=False)[0], ""

    def slowly() -> None:
        read.clear()
        generate(without, prompt, TOKENS, seed=0)

    with_, without_ = _measured(lambda: generate(model, prompt, TOKENS, seed=0), slowly)
    return {
        "row": f"cache: {TOKENS} tokens, width 128, 4 layers, against reading all again each time",
        "ours": f"{with_:.2f} s",
        "peer": f"{without_:.2f} s",
        "ratio": without_ / with_,
        "note": "CPU time, one thread; the same tokens",
    }


def _last_tokens(count: int = 32) -> dict:
    """The same for the last tokens alone, where reading all again takes longest."""
    model = _ours(*SIZES[0])
    tokens = torch.randint(5, 51, (1, TOKENS), generator=torch.Generator().manual_seed(0))

    with torch.inference_mode():
        _, state = model(tokens[:, :-count])

        def with_cache() -> None:
            now = state
            with torch.inference_mode():
                for i in range(TOKENS - count, TOKENS):
                    _, now = model(tokens[:, i : i + 1], now)

        def without() -> None:
            with torch.inference_mode():
                for i in range(TOKENS - count, TOKENS):
                    model(tokens[:, : i + 1], cache=False)

        ours, theirs = _measured(with_cache, without)
    return {
        "row": f"cache: the last {count} of {TOKENS} tokens, width 128, 4 layers, against the same",
        "ours": f"{1000 * ours / count:.2f} ms",
        "peer": f"{1000 * theirs / count:.2f} ms",
        "ratio": theirs / ours,
        "note": "a token, CPU time, one thread; the model alone, nothing drawn",
    }


def _pair(width: int, layers: int, heads: int) -> list[dict]:
    size = f"width {width}, {layers} layers"
    ours, theirs = _ours(width, layers, heads), _theirs(width, layers, heads)
    prompt = torch.full((8, 1), SATBVocabulary.start)

    def peer(rows: int) -> None:
        torch.manual_seed(0)
        with torch.no_grad():
            found = theirs.generate(
                prompt[:rows],
                attention_mask=torch.ones_like(prompt[:rows]),
                do_sample=True,
                top_k=0,
                max_new_tokens=TOKENS,
                min_new_tokens=TOKENS,
                use_cache=True,
            )
        assert found.shape == (rows, TOKENS + 1)

    note = "CPU time, one thread; both with their cache, drawing at temperature 1"
    alone = _measured(lambda: generate(ours, [1], TOKENS, seed=0), lambda: peer(1))
    batch = _measured(
        lambda: generate_batch(ours, prompt.tolist(), TOKENS, seed=0), lambda: peer(8)
    )
    tokens = torch.randint(5, 51, (16, 257), generator=torch.Generator().manual_seed(0))
    steps = _measured(
        _training(ours, lambda x: ours(x)[0], tokens),
        _training(theirs, lambda x: theirs(x).logits, tokens),
        rounds=2 * ROUNDS,
    )
    against = "against Hugging Face's GPT-2"
    return [
        _row(f"write {TOKENS} tokens, {size}, {against}", alone, note),
        _row(f"write 8 times {TOKENS} tokens at once, {size}, {against}", batch, note),
        _row(
            f"one step of training, 16 times 256 tokens, {size}, {against}",
            steps,
            "CPU time, one thread, float32, AdamW; dropout 0.1 after the embedding and in both"
            " branches of a block, none in attention",
        ),
    ]


def _ours(width: int, layers: int, heads: int) -> Transformer:
    size = SATBVocabulary().size
    return Transformer(size, width=width, layers=layers, heads=heads, context=1024).eval()


def _theirs(width: int, layers: int, heads: int) -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=SATBVocabulary().size,
        n_positions=1024,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        attn_pdrop=0.0,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    return GPT2LMHeadModel(config).eval()


def _training(model: nn.Module, logits: Callable, tokens: torch.Tensor) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        model.train()
        loss = nn.functional.cross_entropy(
            logits(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def _measured(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int = ROUNDS
) -> tuple[float, float]:
    """CPU seconds of each one's fastest round; they take turns, so that both have the same luck."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for call, found in zip((ours, theirs), times, strict=True):
            began = time.process_time()
            call()
            found.append(time.process_time() - began)
    return min(times[0]), min(times[1])


def _row(what: str, seconds: tuple[float, float], note: str) -> dict:
    ours, theirs = seconds
    return {
        "row": f"transformer: {what}",
        "ours": f"{ours:.3f} s",
        "peer": f"{theirs:.3f} s",
        "ratio": theirs / ours,
        "note": note,
    }


if __name__ == "__main__":
    for row in run():
        print(row)
