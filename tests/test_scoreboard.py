"""The scoreboard: rows that stay, are replaced, and survive a damaged file."""

import pytest

from mlmusic import scoreboard


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("MLMUSIC_CACHE", str(tmp_path / "cache"))


def test_rows_stay_and_are_replaced():
    assert scoreboard.rows() == [] and repr(scoreboard.show()) == "The scoreboard is empty."
    scoreboard.add("VAE", "05", cpu_seconds=30)
    scoreboard.add("GRU", "03", nats_per_note=2.5, cpu_seconds=17.04, metrics={"copied": 9})
    scoreboard.add("GRU", "03", nats_per_note=2.4, cpu_seconds=17.04, metrics={"copied": 9})
    assert scoreboard.rows() == [
        {"name": "GRU", "chapter": "03", "nats per note": 2.4, "CPU seconds": 17.04, "copied": 9},
        {"name": "VAE", "chapter": "05", "CPU seconds": 30},
    ]
    board = scoreboard.show()
    assert repr(board).splitlines() == [
        "name  chapter  nats per note  CPU seconds  copied",
        "GRU   03       2.4            17.04        9",
        "VAE   05       –              30           –",
    ]
    assert board._repr_html_().count("<tr>") == 3
    assert [row["name"] for row in scoreboard.show("05").rows] == ["VAE"]
    scoreboard.clear("03")
    assert [row["name"] for row in scoreboard.rows()] == ["VAE"]
    scoreboard.clear()
    assert "empty" in scoreboard.show()._repr_html_()


def test_names_are_text_not_html():
    scoreboard.add("<b>", "03", cpu_seconds=1)
    assert "&lt;b&gt;" in scoreboard.show()._repr_html_()


def test_a_damaged_file_is_an_empty_one():
    scoreboard.add("GRU", "03")
    scoreboard.path().write_text("[{", encoding="utf-8")
    assert scoreboard.rows() == []
    scoreboard.path().write_text('{"a": 1}', encoding="utf-8")
    assert scoreboard.rows() == []
    scoreboard.add("GRU", "03")
    assert len(scoreboard.rows()) == 1


def test_bad_input():
    with pytest.raises(ValueError, match="needs the model's name"):
        scoreboard.add("", "03")
    with pytest.raises(ValueError, match="nats per note of GRU must be a finite number"):
        scoreboard.add("GRU", "03", nats_per_note=float("nan"))
    assert scoreboard.rows() == []
