import numpy as np
import pytest

from mlmusic import Score, plots
from mlmusic.plots.attention import place

FOUR = Score(
    [
        (4 * bar + beat, 1, 60 + 5 * voice, 80, voice)
        for bar in range(3)
        for beat in range(4)
        for voice in range(4)
    ]
)


def test_the_text_names_the_three_steps_most_looked_at():
    weights = np.zeros(40)
    weights[[16, 21, 38, 3]] = 0.5, 0.2, 0.15, 0.05
    ax = plots.attention_on_score(FOUR, weights, 40)
    text = plots.alt(ax)
    assert text.startswith(
        "Attention of the step at bar 3 beat 3. Most looked at: bar 2 beat 1 (50%),"
        " bar 2 beat 2.25 (20%), bar 3 beat 2.5 (15%). On it: Piano roll:"
    )
    assert {"1", "2", "3"} <= {each.get_text() for each in ax.texts}
    assert plots.png(ax).startswith(b"\x89PNG")


def test_bars_are_as_tall_as_the_attention():
    weights = np.array([0.1, 0.4, 0.2, 0.0])
    ax = plots.attention_on_score(FOUR, weights, 4, plots.panels()[0])
    bars = ax.containers[0].patches
    tall = np.array([bar.get_height() for bar in bars])
    assert tall / tall.max() == pytest.approx(weights / weights.max())
    assert [bar.get_x() for bar in bars] == [0, 0.25, 0.5, 0.75]
    assert all(bar.get_y() + bar.get_height() < 58 for bar in bars)  # below the lowest note


def test_fewer_than_three():
    assert "It looks nowhere." in plots.alt(plots.attention_on_score(FOUR, [0.0, 0.0], 2))
    text = plots.alt(plots.attention_on_score(FOUR, [0.0, 1.0], 2, steps_per_quarter=2))
    assert "at bar 1 beat 2. Most looked at: bar 1 beat 1.5 (100%). On it" in text


@pytest.mark.parametrize(
    ("metre", "onset", "name"),
    [
        ([(0, 4, 4)], 5.25, "bar 2 beat 2.25"),
        ([(1, 4, 4)], 0.5, "bar 0 beat 1.5"),
        ([(1, 4, 4)], 1, "bar 1 beat 1"),
        ([(0, 6, 8)], 4, "bar 2 beat 3"),
        ([(0, 4, 4), (4, 3, 4)], 7, "bar 3 beat 1"),
    ],
)
def test_places(metre, onset, name):
    assert place(Score(FOUR.notes, metre=metre), onset) == name


def test_bad_input():
    with pytest.raises(ValueError, match="one for each of the 3 steps"):
        plots.attention_on_score(FOUR, [1.0], 3)
    with pytest.raises(ValueError, match="0 or more"):
        plots.attention_on_score(FOUR, [1.0, -1.0], 2)
    with pytest.raises(ValueError, match="0 or more"):
        plots.attention_on_score(FOUR, [1.0, np.nan], 2)
    with pytest.raises(ValueError, match="after the end"):
        plots.attention_on_score(FOUR, np.ones(48) / 48, 48)
    with pytest.raises(ValueError, match="no notes"):
        plots.attention_on_score(Score([]), [1.0], 1)
    with pytest.raises(TypeError, match="Score"):
        plots.attention_on_score([60], [1.0], 1)
