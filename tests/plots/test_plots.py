"""Figures: the right marks in the right places, words that match them, and the same bytes."""

import html.parser
import io

import numpy as np
import pytest
from matplotlib import colors, pyplot
from matplotlib.collections import PolyCollection

from mlmusic import Score, plots
from mlmusic.plots import style
from mlmusic.plots.roll import LOOKS
from mlmusic.training import History

TUNE = Score(
    [(0, 1, 62), (1, 2, 70), (3, 1, 67), (4, 3, 62)],
    metre=[(1, 3, 4)],
    key=[(0, -2, "minor")],
    title="Our tune",
)
QUARTET = Score([(beat, 1, 72 - 7 * v, 80, v) for beat in range(4) for v in range(4)])
HISTORY = History([3.0, 2.0, 1.0], [3.5, 2.5, 2.75], [1, 2, 3], 2, "all epochs done")
RATE = 8000
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)


def bars(ax):
    """Left, right and pitch of every note drawn, and the look of its voice."""
    drawn = []
    for collection in ax.collections:
        if isinstance(collection, PolyCollection):
            for path in collection.get_paths():
                (left, bottom), (right, top) = path.vertices.min(0), path.vertices.max(0)
                drawn.append((left, right, (bottom + top) / 2))
    return drawn


def labels(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


# Piano roll -----------------------------------------------------------------------------------


def test_roll_draws_every_note_at_its_place():
    ax = plots.piano_roll(TUNE)
    np.testing.assert_allclose(bars(ax), [(0, 1, 62), (1, 3, 70), (3, 4, 67), (4, 7, 62)])
    assert ax.get_xlim() == (0, 7)
    assert ax.get_title(loc="left") == "Our tune"


def test_roll_has_bar_lines_and_names():
    ax = plots.piano_roll(TUNE)
    assert ax.get_xlabel() == "bar (3/4)"
    assert labels(ax.xaxis) == ["0", "1", "2"]
    assert ax.get_xticks().tolist() == [0, 1, 4]
    named = dict(zip(ax.get_yticks(), labels(ax.yaxis), strict=True))
    assert named[60] == "C4"
    assert named[67] == "G4"


def test_roll_tells_in_words_what_it_shows():
    assert plots.alt(plots.piano_roll(TUNE)) == (
        "Piano roll of Our tune: 3 bars with a pickup in 3/4, 1 voice, 4 notes, pitches D4 to B♭4."
        " It begins on D4, ends on D4."
    )
    text = plots.alt(plots.piano_roll(QUARTET, names=["soprano", "alto", "tenor", "bass"]))
    assert "4 voices, 16 notes, pitches E♭3 to C5" in text
    assert "Tenor: B♭3 to B♭3, begins on B♭3" in text


def test_voices_differ_without_colour():
    """No two voices share hatching, height and brightness in grey."""
    ax = plots.piano_roll(QUARTET)
    drawn = [c for c in ax.collections if isinstance(c, PolyCollection)]
    looks = {(c.get_hatch(), tuple(np.round(c.get_facecolor()[0], 3))) for c in drawn}
    assert len(looks) == 4
    grey = [
        colors.to_rgb(c.get_facecolor()[0][:3]) @ np.array([0.299, 0.587, 0.114]) for c in drawn
    ]
    plain = sorted(g for g, c in zip(grey, drawn, strict=True) if not c.get_hatch())
    assert np.diff(plain).min() > 0.3
    assert len({hatch for _, hatch, _ in LOOKS if hatch}) == 4
    assert ax.get_legend().get_texts()[3].get_text() == "bass"


def test_long_scores_have_few_labels():
    ax = plots.piano_roll(Score([(4 * bar, 4, 60) for bar in range(100)]))
    assert labels(ax.xaxis)[:3] == ["1", "9", "17"]
    wide = Score([(0, 1, 21), (1, 1, 108)])
    assert set(labels(plots.piano_roll(wide).yaxis)) == {f"C{octave}" for octave in range(1, 9)}


# Sound ----------------------------------------------------------------------------------------


def test_waveform_keeps_every_peak():
    wave = np.zeros(100_000)
    wave[77_777] = 0.9
    ax = plots.waveform(wave, 50_000)
    drawn = ax.collections[0].get_paths()[0].vertices
    assert drawn[:, 1].max() == 0.9
    assert drawn[np.argmax(drawn[:, 1]), 0] == pytest.approx(77_777 / 50_000, abs=2e-3)
    assert (ax.get_xlabel(), ax.get_xlim(), ax.get_ylim()) == ("time (s)", (0, 2), (-1, 1))
    assert "2 seconds at 50000 samples a second: peak 0.9 of full scale at 1.556 s" in plots.alt(ax)


def test_waveform_shows_single_samples_and_overload():
    ax = plots.waveform(np.array([0, 1.5, -2.0]), 3)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [(0, 0), (1 / 3, 1.5), (2 / 3, -2)])
    assert ax.get_ylim()[0] < -2
    assert "silent" in plots.alt(plots.waveform(np.zeros(10), 10))


def test_spectrogram_finds_the_tone():
    ax = plots.spectrogram(TONE, RATE)
    image = ax.images[0]
    left, right, bottom, top = image.get_extent()
    level = image.get_array()
    assert (left, right) == (0, 2)
    heights = 2 ** np.linspace(bottom, top, len(level))
    middle = level[:, level.shape[1] // 2]
    assert heights[np.argmax(middle)] == pytest.approx(440, rel=0.03)
    assert level.max() == pytest.approx(0)
    assert middle[np.argmin(abs(heights - 2000))] < -60
    assert "strongest on average near 4" in plots.alt(ax)
    assert ax.get_ylabel() == "frequency (Hz)"
    assert labels(ax.yaxis)[:4] == ["55", "110", "220", "440"]


def test_spectrogram_hears_high_tones_between_rows():
    """Rows are wider than bins up there: none of the bins may be skipped."""
    for frequency in (3001.0, 3517.0, 3900.0):
        tone = np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE)
        level = plots.spectrogram(tone, RATE).images[0].get_array()
        assert level[:, level.shape[1] // 2].max() > -3


def test_spectrogram_of_silence_and_of_a_single_sample():
    ax = plots.spectrogram(np.zeros(RATE), RATE)
    assert (ax.images[0].get_array() == -80).all()
    assert plots.alt(ax) == "Spectrogram of 1 seconds of silence."
    assert np.isfinite(plots.spectrogram(np.ones(1), RATE).images[0].get_array()).all()


# Loss -----------------------------------------------------------------------------------------


def test_loss_draws_both_curves_differently_and_marks_the_best():
    ax = plots.loss(HISTORY, unit="nats per note")
    train, valid, _, star = ax.lines
    np.testing.assert_array_equal(train.get_xydata(), [(1, 3), (2, 2), (3, 1)])
    np.testing.assert_array_equal(valid.get_ydata(), HISTORY.valid)
    assert (train.get_linestyle(), train.get_marker()) != (
        valid.get_linestyle(),
        valid.get_marker(),
    )
    assert star.get_xydata().tolist() == [[2, 2.5]]
    assert ax.get_ylabel() == "loss (nats per note)"
    assert plots.alt(ax) == (
        "Loss by epoch, 3 epochs. Training: from 3 to 1, lowest 1 in epoch 3."
        " Validation: from 3.5 to 2.75, lowest 2.5 in epoch 2."
        " The weights of epoch 2, at 2.5 nats per note, were kept."
    )


def test_loss_of_one_epoch_without_validation():
    ax = plots.loss(History([1.5], [], [1.0], 1))
    assert "Training: 1.5. The weights of epoch 1, at 1.5, were kept." in plots.alt(ax)


# All of them ----------------------------------------------------------------------------------

DRAWINGS = {
    "piano_roll": lambda ax=None: plots.piano_roll(QUARTET, ax),
    "waveform": lambda ax=None: plots.waveform(TONE, RATE, ax),
    "spectrogram": lambda ax=None: plots.spectrogram(TONE, RATE, ax),
    "loss": lambda ax=None: plots.loss(HISTORY, ax),
}


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_same_bytes_whatever_the_user_has_set(draw):
    first = plots.png(draw())
    with pyplot.style.context("dark_background"), pyplot.rc_context({"font.size": 20}):
        assert plots.png(draw()) == first
    assert first.startswith(b"\x89PNG")
    assert b"Software" not in first
    height, width, _ = pyplot.imread(io.BytesIO(first)).shape
    assert width == 7 * style.DPI
    assert height in (2 * style.DPI, 3 * style.DPI)


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_drawing_on_a_given_axes(draw):
    top, bottom = plots.panels(2, height=2)
    assert draw(bottom) is bottom
    assert not top.has_data()
    assert plots.alt(bottom.figure) == plots.alt(bottom)
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes or None, not str"):
        draw("here")


class Images(html.parser.HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_an_axes_shows_itself_as_an_image_with_its_text():
    ax = plots.piano_roll(Score([(0, 1, 60)], title='"Fire" & <smoke>'))
    [(tag, attributes)] = Images(ax._repr_html_()).tags
    assert tag == "img"
    assert attributes["alt"] == plots.alt(ax)
    assert attributes["src"].startswith("data:image/png;base64,")
    assert attributes["width"] == "672"


def test_show_displays_once_even_with_pyplot(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    figure, (left, right) = pyplot.subplots(1, 2)
    plots.loss(HISTORY, left)
    plots.set_alt(right, "An empty\n   panel.")
    plots.show(left)
    [(_, attributes)] = Images(shown[0].data).tags
    assert attributes["alt"] == plots.alt(left) + " An empty panel."
    assert not pyplot.fignum_exists(figure.number)


def test_figures_without_a_text_are_not_shown():
    [ax] = plots.panels()
    with pytest.raises(ValueError, match="no text yet"):
        plots.show(ax)
    with pytest.raises(TypeError, match="expected a matplotlib Axes or Figure, not int"):
        plots.show(3)


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda: plots.piano_roll(TONE), TypeError, "shows a Score, not ndarray"),
        (lambda: plots.piano_roll(Score([])), ValueError, "the score has no notes"),
        (lambda: plots.piano_roll(QUARTET, names=["a"]), ValueError, "1 names for 4 voices"),
        (lambda: plots.waveform([]), ValueError, "wave must be one row of numbers"),
        (lambda: plots.waveform(["a"]), ValueError, "wave must be one row of numbers"),
        (lambda: plots.waveform(np.zeros((2, 9))), ValueError, r"float64 of shape \(2, 9\)"),
        (lambda: plots.waveform([0, np.nan]), ValueError, r"wave\[1\] is nan, not a finite"),
        (lambda: plots.waveform([0.0], 0), ValueError, "rate must be a positive number .* not 0"),
        (lambda: plots.spectrogram([0.0], "a"), ValueError, "rate must be a positive number"),
        (lambda: plots.spectrogram(TONE, RATE, window=3), ValueError, "window must be a whole"),
        (lambda: plots.spectrogram(TONE, RATE, low=4000), ValueError, "half the rate .4000 Hz"),
        (lambda: plots.spectrogram(TONE, RATE, range_db=0), ValueError, "range_db must be posit"),
        (lambda: plots.loss(History()), ValueError, "no epoch was finished"),
        (lambda: plots.loss(History([np.nan])), ValueError, r"history.train\[0\] is nan"),
    ],
)
def test_bad_input_is_one_clear_line(draw, error, message):
    with pytest.raises(error, match=message):
        draw()
