"""A recipe that is trained at once: it learns by heart how high the next note is."""

import torch
from torch import nn

from mlmusic import fit, seed_everything

DATA = "the notes 0 to 7, made up"
LICENCE = "MIT; no data of others"


class Tiny(nn.Module):
    def __init__(self, *, width=2):
        super().__init__()
        self.config = {"width": width}
        self.layer = nn.Linear(1, width)
        self.register_buffer("scale", torch.ones(()))

    def forward(self, x):
        return self.layer(x).sum(-1, keepdim=True) * self.scale


def train(seed=0, progress=True):
    seed_everything(seed)
    model = Tiny()
    x = torch.arange(8.0)[:, None] / 8
    fit(model, [(x, 2 * x + 1)], loss=_loss, epochs=20, lr=0.1, seed=seed, progress=False)
    return model


def evaluate(model):
    x = torch.tensor([[1.0]])
    with torch.no_grad():
        return {"squared error of note 8": _loss(model, (x, 2 * x + 1)).item()}


def memorisation(model):
    return "writes nothing"


def _loss(model, batch):
    return (model(batch[0]) - batch[1]).square().mean()
