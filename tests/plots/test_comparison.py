"""Comparisons, confusion matrices, ROC curves: what is drawn, and the words for it."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib import colors

from mlmusic import plots

ROWS = {"copy": 2.5, "line": (1.9, 1.8, 2.0), "neighbours": [1.4, 1.5, 1.6]}
TRUTH, SCORES = [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]


def test_comparison_draws_a_dot_a_row_and_its_interval():
    ax = plots.comparison(ROWS, unit="semitones", better="lower", baseline="copy")
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(
        [(dot.get_xdata()[0], dot.get_ydata()[0]) for dot in dots], [(2.5, 0), (1.9, 1), (1.5, 2)]
    )
    spans = [line.get_xdata() for line in ax.lines if line.get_linewidth() == 3]
    np.testing.assert_allclose(spans, [(1.8, 2.0), (1.4, 1.6)])
    ticks = [line for line in ax.lines if line.get_marker() == "|"]
    np.testing.assert_allclose(ticks[0].get_xdata(), [1.4, 1.5, 1.6])
    hollow = [colors.to_hex(dot.get_markerfacecolor()) == "#ffffff" for dot in dots]
    assert hollow == [True, False, False]
    assert [text.get_text() for text in ax.get_yticklabels()] == list(ROWS)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first row is on top
    assert ax.get_xlabel().splitlines() == [
        "semitones (← lower is better)",
        "strokes: single runs or folds; pale bar: their range, or an interval",
    ]
    assert plots.comparison({"a": 1}).get_xlabel() == "higher is better →"
    assert plots.comparison({"a": (2, 1, 3)}).get_xlabel().endswith("\npale bar: interval")


def test_comparison_in_words():
    ax = plots.comparison(ROWS, unit="semitones", better="lower", baseline="copy")
    assert plots.alt(ax) == (
        "Comparison in semitones, lower is better: copy (the baseline) 2.50; line 1.90, from 1.80"
        " to 2.00; neighbours 1.50, from 1.40 to 1.60. The best is neighbours."
    )
    assert plots.alt(plots.comparison({"a": 1, "b": 2})).endswith("The best is b.")


def test_comparison_takes_intervals():
    interval = SimpleNamespace(value=0.7, low=0.6, high=0.9)
    assert "cnn 0.700, from 0.600 to 0.900" in plots.alt(plots.comparison({"cnn": interval}))


def test_nearer_to_the_baseline_is_better():
    rows = {"Bach": 0.4, "held": 0.1, "model": 0.6, "dull": 0.0}
    ax = plots.comparison(rows, better="nearer", baseline="Bach")
    assert ax.get_xlabel() == "the nearer to the dashed line, the better"
    assert "nearer to the baseline is better" in plots.alt(ax)
    assert plots.alt(ax).endswith("The best is model.")


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ({}, {}, "nothing to compare"),
        ({"a": np.nan}, {}, "not a finite number"),
        ({"a": []}, {}, "must be one row of numbers"),
        ({"a": "high"}, {}, "must be one row of numbers"),
        ({"a": (1.0, 2.0)}, {}, r"give \(value, low, high\)"),
        ({"a": (1.0, 2.0, 3.0)}, {}, "lies outside 2–3"),
        ({"a": 1}, {"better": "more"}, "one of higher, lower, nearer"),
        ({"a": 1}, {"better": "nearer"}, "Name the baseline"),
        ({"a": 1}, {"baseline": "b"}, "none of the rows: a"),
    ],
)
def test_comparison_refuses(rows, options, message):
    with pytest.raises(ValueError, match=message):
        plots.comparison(rows, **options)


def test_confusion_shows_shares_and_counts():
    ax = plots.confusion([[30, 10], [0, 5]], ["merry", "lament"])
    np.testing.assert_allclose(ax.images[0].get_array(), [[0.75, 0.25], [0, 1]])
    assert [text.get_text() for text in ax.texts] == ["30", "10", "0", "5"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")
    assert plots.alt(ax) == (
        "Confusion matrix of 2 classes, 78% right of 45. Found: merry 75% of 40; lament 100% of 5."
        " The commonest mistake: merry taken for lament, 25%."
    )


def test_confusion_with_a_class_that_never_occurs_and_with_many():
    text = plots.alt(plots.confusion([[2, 0], [0, 0]], ["reel", "jig"]))
    assert text.endswith("Found: reel 100% of 2.")
    ax = plots.confusion(np.eye(20, dtype=int), range(20))
    assert len(ax.texts) == 0
    assert ax.get_yticklabels()[19].get_text() == "19"


@pytest.mark.parametrize(
    ("matrix", "classes", "message"),
    [
        ([[1, 2]], ["a"], r"can't be \(1, 2\)"),
        ([[1, 2], [3, 4]], ["a"], "of 1 classes"),
        ([[0.5, 0.5], [0, 1]], ["a", "b"], "holds counts"),
        ([[1, -1], [0, 1]], ["a", "b"], "holds counts"),
        ([[0, 0], [0, 0]], ["a", "b"], "holds counts"),
        (np.zeros((0, 0), int), [], "can't be"),
    ],
)
def test_confusion_refuses(matrix, classes, message):
    with pytest.raises(ValueError, match=message):
        plots.confusion(matrix, classes)


def test_roc_draws_each_model_with_its_area():
    ax = plots.roc({"line": (TRUTH, SCORES), "oracle": (TRUTH, TRUTH)})
    diagonal, line, oracle = ax.lines
    np.testing.assert_allclose(diagonal.get_xydata(), [(0, 0), (1, 1)])
    np.testing.assert_allclose(line.get_xydata()[:3], [(0, 0), (0, 0.5), (0.5, 0.5)])
    assert line.get_linestyle() != oracle.get_linestyle()
    assert ax.get_legend().get_texts()[0].get_text() == "line: AUC 0.750"
    assert plots.alt(ax).endswith("line 0.750; oracle 1.000.")


def test_roc_refuses():
    with pytest.raises(ValueError, match="no models"):
        plots.roc({})
    with pytest.raises(ValueError, match="at least one of each"):
        plots.roc({"a": ([1, 1], [0, 1])})


def test_drawing_on_a_given_axes():
    top, bottom = plots.panels(2, height=2)
    assert plots.comparison(ROWS, bottom) is bottom
    assert plots.confusion([[1, 0], [0, 1]], "ab", top) is top
    assert plots.roc({"a": (TRUTH, SCORES)}, plots.panels()[0]).has_data()
    with pytest.raises(TypeError, match="matplotlib Axes"):
        plots.comparison(ROWS, "here")
