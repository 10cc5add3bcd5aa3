"""What models of four voices share, against loops that say the same."""

import torch
from torch import nn

from mlmusic.models.transformer.attention import Dropout
from mlmusic.models.transformer.heads import added_up, by_distance, thinkers


def test_scores_by_distance_from_what_is_known():
    pitches, scores = 5, torch.randn(3, 2, 9, generator=torch.Generator().manual_seed(0))
    reference = torch.tensor([[1, 5], [0, 3], [6, 0]])  # 0 is silence, 6 isn't known
    expected = torch.zeros(3, 6)
    for row in range(3):
        for i in range(2):
            note = int(reference[row, i])
            for symbol in range(1, 6):
                if 1 <= note <= pitches:
                    expected[row, symbol] += scores[row, i, symbol - note + pitches - 1]
    torch.testing.assert_close(by_distance(scores, reference, pitches), expected)
    assert (expected[2] == 0).all() and (expected[:2, 1:] != 0).any()


def test_rows_are_added_up_and_some_hidden_in_training():
    table, rows = nn.Embedding(7, 4), torch.tensor([[[0, 3], [6, 6]]])  # (1, 2, 2)
    blank = Dropout(0.5)
    torch.testing.assert_close(added_up(table, rows, blank.eval()), table(rows).sum(-2))
    torch.manual_seed(0)
    hidden = torch.stack([added_up(table, rows, blank.train()) for _ in range(400)])
    assert (
        len(hidden[:, 0, 0].unique(dim=0)) == 4
    )  # each of two rows is seen, twice as much, or not
    torch.testing.assert_close(hidden.mean(0), table(rows).sum(-2), atol=0.4, rtol=0)


def test_each_voice_thinks_for_itself():
    found = thinkers(8, 0.1)
    assert len(found) == 4
    x = torch.randn(5, 8)
    first, second = found.eval()[0](x), found[1](x)
    assert first.shape == (5, 8) and not torch.allclose(first, second)
