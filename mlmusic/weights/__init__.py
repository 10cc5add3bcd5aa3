"""Trained models that come with the course, each with a card that says how it was made.

``load("rnn/gru")`` returns the model, ready to use; ``card("rnn/gru")`` says from which data, with
which command and how well it does; ``names()`` lists them. The files ``rnn/gru.safetensors`` and
``rnn/gru.json`` stand in this folder, so that nothing is downloaded. `mlmusic.recipes` makes them.
"""

from mlmusic.weights.card import Card
from mlmusic.weights.checkpoint import MAX_BYTES, MODELS, card, load, names, save

__all__ = ["MAX_BYTES", "MODELS", "Card", "card", "load", "names", "save"]
