"""Convolutional networks: the operation by hand, nets for melodies and for spectrograms.

Chapter 02 builds everything here. Tensors are (batch, channels, steps) for a melody and (batch,
channels, mel bands, frames) for a spectrogram.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "CONNECTIONS",
    "MelodyCNN",
    "SpectrogramCNN",
    "TokenCNN",
    "conv1d",
    "conv2d",
    "parameters",
    "receptive_field",
    "width_for",
]

CONNECTIONS = ("plain", "residual", "dense")


# The operation ---------------------------------------------------------------------------------


def conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Tensor:
    """Convolution along time, as deep learning means it (the kernel isn't turned round).

    y[b, o, t] = bias[o] + Σ_i Σ_k weight[o, i, k] · x[b, i, stride · t + dilation · k - padding],
    where x is 0 outside its steps. `torch.nn.functional.conv1d` computes the same, faster.

    Parameters
    ----------
    x : (batch, channels in, steps)
    weight : (channels out, channels in, kernel)
    bias : (channels out,), optional
    stride, padding, dilation : int
        Steps from one output to the next; zeros added at either end; steps between two taps.

    Returns
    -------
    Tensor
        (batch, channels out, (steps + 2 · padding - dilation · (kernel - 1) - 1) // stride + 1).

    Raises
    ------
    ValueError
        If shapes don't fit, or the kernel reaches beyond the padded input.
    """
    if weight.ndim != 3 or x.ndim != 3:
        raise ValueError(
            f"conv1d needs 3 axes each, not {tuple(x.shape)} and {tuple(weight.shape)}"
        )
    # A row of one: time is the second axis of an image that is one cell high.
    image = conv2d(
        x[:, :, None],
        weight[:, :, None],
        bias,
        stride=(1, stride),
        padding=(0, padding),
        dilation=(1, dilation),
    )
    return image[:, :, 0]


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
) -> Tensor:
    """Convolution over an image; `torch.nn.functional.conv2d` computes the same, faster.

    Parameters
    ----------
    x : (batch, channels in, height, width)
    weight : (channels out, channels in, kernel height, kernel width)
    bias : (channels out,), optional
    stride, padding, dilation : int or (vertical, horizontal)
        As for `conv1d`, along each axis.

    Returns
    -------
    Tensor
        (batch, channels out, height out, width out), each as in `conv1d`.

    Raises
    ------
    ValueError
        If shapes don't fit, or the kernel reaches beyond the padded input.
    """
    if x.ndim != 4 or weight.ndim != 4 or x.shape[1] != weight.shape[1]:
        raise ValueError(
            f"x {tuple(x.shape)} and weight {tuple(weight.shape)} don't fit: their second axes are"
            " the channels that come in, and must be equal"
        )
    (sy, sx), (py, px), (dy, dx) = (
        (n, n) if isinstance(n, int) else n for n in (stride, padding, dilation)
    )
    if min(sy, sx, dy, dx) < 1 or min(py, px) < 0:
        raise ValueError("stride and dilation must be at least 1, padding at least 0")
    x = F.pad(x, (px, px, py, py))
    rows, columns = weight.shape[2:]
    high = (x.shape[2] - dy * (rows - 1) - 1) // sy + 1
    wide = (x.shape[3] - dx * (columns - 1) - 1) // sx + 1
    if high < 1 or wide < 1:
        raise ValueError(f"the kernel is larger than its padded input {tuple(x.shape[2:])}")
    y = x.new_zeros(len(x), len(weight), high, wide)
    for row in range(rows):
        for column in range(columns):
            # What this tap of the kernel sees at every output: (batch, in, high, wide).
            seen = x[:, :, dy * row :: sy, dx * column :: sx][:, :, :high, :wide]
            y = y + torch.einsum("oi,bihw->bohw", weight[:, :, row, column], seen)
    return y if bias is None else y + bias[:, None, None]


def receptive_field(layers: Sequence[tuple[int, ...]]) -> tuple[int, int]:
    """How many inputs one output sees, and how far apart two neighbouring outputs look.

    A layer adds (kernel - 1) · dilation taps, each as far apart as the strides before it have
    multiplied to: r = 1 + Σ_l (k_l - 1) · d_l · Π_{m < l} s_m.

    Parameters
    ----------
    layers : sequence of (kernel, stride, dilation)
        From the input on, pooling included; stride and dilation may be left out (1).

    Returns
    -------
    tuple of int
        Receptive field and stride, in steps of the input; (1, 1) for no layers.

    Raises
    ------
    ValueError
        If a number is below 1, or a layer hasn't one to three of them.

    Examples
    --------
    >>> receptive_field([(3,), (2, 2), (3,)])  # convolution, pooling by two, convolution
    (8, 2)
    """
    field, jump = 1, 1
    for layer in layers:
        if not 1 <= len(layer) <= 3 or min(layer) < 1:
            raise ValueError(f"a layer is (kernel, stride, dilation), from 1 on, not {layer}")
        kernel, stride, dilation = (*layer, 1, 1)[:3]
        field += (kernel - 1) * dilation * jump
        jump *= stride
    return field, jump


# Networks --------------------------------------------------------------------------------------


class Layer(nn.Module):
    """Convolution, batch normalisation, ReLU and dropout, over time; keeps the length."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int, dropout: float):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(inputs, outputs, kernel, dilation=dilation, padding="same"),
            nn.BatchNorm1d(outputs),
            nn.ReLU(),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class MelodyCNN(nn.Module):
    """Classifies a melody given as channels over steps.

    Layers of dilated convolutions; then each channel's mean and maximum over time, so that the
    place of a pattern doesn't matter; then one linear layer.

    Parameters
    ----------
    inputs, classes : int
        Channels of the melody, and classes to tell apart.
    width : int
        Channels of each layer; with dense connections, what each layer adds.
    dilations : sequence of int
        One for each layer after the first, which has dilation 1.
    kernel : int
        Taps of each layer.
    connection : {"plain", "residual", "dense"}
        What a layer f makes of x: f(x); x + f(x) (He et al. 2016); or x and f(x) side by side
        (Huang et al. 2017).
    dropout : float
        Share of values set to 0 in training, 0 to below 1.

    Raises
    ------
    ValueError
        If the connection isn't known.
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        width: int = 32,
        dilations: Sequence[int] = (1, 2, 4),
        kernel: int = 5,
        connection: str = "residual",
        dropout: float = 0.3,
    ):
        super().__init__()
        if connection not in CONNECTIONS:
            raise ValueError(f"connection is {connection!r}; it must be one of {CONNECTIONS}")
        self.config = {
            "inputs": inputs,
            "classes": classes,
            "width": width,
            "dilations": list(dilations),
            "kernel": kernel,
            "connection": connection,
            "dropout": dropout,
        }
        self.connection = connection
        self.first = Layer(inputs, width, kernel, 1, 0.0)
        self.layers, channels = nn.ModuleList(), width
        for dilation in dilations:
            self.layers.append(Layer(channels, width, kernel, dilation, dropout))
            channels += width if connection == "dense" else 0
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(2 * channels, classes)

    @property
    def receptive_field(self) -> int:
        """Steps of the melody that one place of the last layer sees."""
        kernel = self.config["kernel"]
        return receptive_field([(kernel, 1, d) for d in (1, *self.config["dilations"])])[0]

    def features(self, x: Tensor) -> Tensor:
        """Return the last layer's channels: (batch, channels, steps)."""
        if x.ndim != 3 or x.shape[1] != self.config["inputs"]:
            raise ValueError(
                f"a melody is (batch, {self.config['inputs']} channels, steps), not"
                f" {tuple(x.shape)}"
            )
        x = self.first(x)
        for layer in self.layers:
            y = layer(x)
            if self.connection == "residual":
                y = x + y
            elif self.connection == "dense":
                y = torch.cat([x, y], dim=1)
            x = y
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Return logits: (batch, classes)."""
        x = self.features(x)
        pooled = torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1)  # (batch, 2 · channels)
        return self.out(self.dropout(pooled))


class TokenCNN(nn.Module):
    """Embedding → Conv1D → LSTM: classifies rows of tokens of unequal length.

    Three things go wrong in many copies of this network. Conv1d wants channels before time and
    the LSTM after it; the LSTM's last state must be that of the last token, not of the padding
    behind it; and the padding's embedding must stay zero, as nothing comes after the end.

    Parameters
    ----------
    vocabulary, classes : int
        Token 0 is padding, and stands only at a row's end.
    embedding, channels, hidden : int
        Sizes of the three parts.
    kernel : int
        Odd, so that the convolution keeps the length.
    dropout : float
        Before the convolution and before the last layer.
    """

    def __init__(
        self,
        vocabulary: int,
        classes: int,
        embedding: int = 16,
        channels: int = 32,
        hidden: int = 32,
        kernel: int = 5,
        dropout: float = 0.3,
    ):
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"kernel is {kernel}; it must be odd, to keep the length")
        self.config = {
            "vocabulary": vocabulary,
            "classes": classes,
            "embedding": embedding,
            "channels": channels,
            "hidden": hidden,
            "kernel": kernel,
            "dropout": dropout,
        }
        self.embed = nn.Embedding(vocabulary, embedding, padding_idx=0)
        self.conv = nn.Conv1d(embedding, channels, kernel, padding=kernel // 2)
        self.lstm = nn.LSTM(channels, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits, (batch, classes), for tokens (batch, steps) of int64."""
        if tokens.ndim != 2 or not bool((tokens != 0).any(dim=1).all()):
            raise ValueError("tokens must be (batch, steps), with at least one in each row")
        lengths = (tokens != 0).sum(dim=1)
        x = self.dropout(self.embed(tokens))  # (batch, steps, embedding), 0 where padded
        x = F.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)  # (batch, steps, channels)
        packed = nn.utils.rnn.pack_padded_sequence(
            x, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        _, (hidden, _) = self.lstm(packed)  # (1, batch, hidden): after each row's last token
        return self.out(self.dropout(hidden[-1]))


class SpectrogramCNN(nn.Module):
    """Classifies a log-mel spectrogram: four convolutions, each halving, then the mean of all.

    Parameters
    ----------
    classes : int
        To tell apart.
    width : int
        Channels of the first layer; the others have 2, 3 and 4 times as many.
    dropout : float
        Before the last layer.
    """

    def __init__(self, classes: int, width: int = 16, dropout: float = 0.3):
        super().__init__()
        self.config = {"classes": classes, "width": width, "dropout": dropout}
        # A stride of 2 in place of pooling: it does a quarter of the work, and loses nothing here.
        layers: list[nn.Module] = []
        for k, (inputs, kernel) in enumerate([(1, 5), (width, 3), (2 * width, 3), (3 * width, 3)]):
            outputs = (k + 1) * width
            layers.append(nn.Conv2d(inputs, outputs, kernel, stride=2, padding=kernel // 2))
            layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(4 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, (batch, classes), for log-mels (batch, 1, bands, frames), 16 at least."""
        if x.ndim != 4 or x.shape[1] != 1 or min(x.shape[2:]) < 16:
            raise ValueError(
                "a spectrogram is (batch, 1, bands, frames), 16 bands and frames at least, not"
                f" {tuple(x.shape)}"
            )
        x = self.body(x)  # (batch, 4 · width, bands / 16, frames / 16), rounded up
        return self.out(self.dropout(x.mean(dim=(2, 3))))


def parameters(model: nn.Module) -> int:
    """Count the numbers that training changes."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def width_for(connection: str, budget: int, inputs: int, classes: int, **options) -> int:
    """Return the width with which a `MelodyCNN` comes nearest to so many parameters.

    Raises
    ------
    ValueError
        If even a width of 1 has more than twice as many.
    """

    def size(width: int) -> int:
        return parameters(MelodyCNN(inputs, classes, width=width, connection=connection, **options))

    width = 1
    if size(width) > 2 * budget:
        raise ValueError(f"even width 1 takes {size(width)} parameters, not {budget}")
    while size(width + 1) <= budget:
        width += 1
    return min((width, width + 1), key=lambda w: abs(size(w) - budget))
