"""Exercise 06 asks for arrays; the same answers in PyTorch earn the same points."""

import pytest

from tests.solutions.test_wrong_answers import checks_of, code_cells

CHAPTER = "06_transformer"
ANSWERS = {
    "answer-1": """
def look(q, k):
    q, k = torch.as_tensor(q), torch.as_tensor(k)
    return torch.softmax(q @ k.T / q.shape[-1] ** 0.5, dim=-1)""",
    "answer-2": """
def window_mask(steps, back):
    far = torch.arange(steps)[:, None] - torch.arange(steps)
    return (far >= 0) & (far <= back)""",
    "answer-3": """
def turned(x, places):
    x, places = torch.as_tensor(x), torch.as_tensor(places)
    half = x.shape[1] // 2
    angle = places[:, None] * 10_000.0 ** (-torch.arange(half) / half)
    a, b, cos, sin = x[:, :half], x[:, half:], angle.cos(), angle.sin()
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=1)""",
    "answer-4": """
def chord_nats(score, notes, order):
    nats, known = torch.zeros(()), {}
    for voice in order:
        nats = nats - torch.as_tensor(score(voice, dict(known))).log_softmax(-1)[notes[voice]]
        known[voice] = notes[voice]
    return nats""",
    "answer-5": """
def taught(pupil, teacher, targets, weight):
    loss, pupil = torch.nn.functional.cross_entropy, torch.as_tensor(pupil)
    hard = loss(pupil, torch.as_tensor(targets))
    return (1 - weight) * hard + weight * loss(pupil, torch.as_tensor(teacher).softmax(-1))""",
    "answer-6": """
def next_position(q, k, v, kept, back):
    q, k, v = (torch.as_tensor(x)[None].float() for x in (q, k, v))
    keys, values = (k, v) if kept is None else (torch.cat([kept[0], k]), torch.cat([kept[1], v]))
    keys, values = keys[-back - 1 :], values[-back - 1 :]
    weights = torch.softmax(q @ keys.T / q.shape[1] ** 0.5, dim=-1)
    return (weights @ values)[0], (keys, values)""",
    "answer-7": """
def attention_mended(q, k, v):
    q, k, v = (torch.as_tensor(x).float() for x in (q, k, v))
    past = torch.ones(len(q), len(q)).tril() == 1
    fit = (q @ k.T / q.shape[1] ** 0.5).masked_fill(~past, -torch.inf)
    return torch.softmax(fit, dim=-1) @ v""",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_tensors_count_like_arrays(answer):
    names = {}
    for cell in code_cells(CHAPTER):
        if cell.id in ("imports", "helpers-6"):
            exec(cell.source, names)
    exec(ANSWERS[answer], names)
    for _ in range(3):
        for check in checks_of(CHAPTER)[answer]:
            exec(check, names)


def test_every_task_is_tried():
    assert set(ANSWERS) == set(checks_of(CHAPTER))
