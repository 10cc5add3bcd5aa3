"""``mlmusic generate``, with a model that draws quarter notes whatever came before."""

import pytest
import torch

from mlmusic import Score, cli, recipes, weights
from mlmusic.audio import decode
from mlmusic.models.rnn import MelodyModel
from mlmusic.tokens import MelodyVocabulary, pitch_name
from tests.weights.test_weights import CARD

RECIPE = """
from mlmusic.tokens import MelodyVocabulary
train = evaluate = memorisation = None
DATA = LICENCE = ""
"""
ABC = "X:1\nT:One\nM:3/4\nL:1/4\nQ:1/4=90\nK:C\nCDE|\n\nX:2\nT:Two\nM:3/4\nL:1/4\nK:C\nGBd|Bdg|\n"
VOCABULARY = MelodyVocabulary()
LIKELIEST = 71


@pytest.fixture(autouse=True)
def model(tmp_path, monkeypatch):
    """Save weights that write C4 to B4, the higher the likelier; one recipe writes no music."""
    (tmp_path / "steady_quarters.py").write_text(RECIPE + "VOCABULARY = MelodyVocabulary()\n")
    (tmp_path / "steady_state.py").write_text(RECIPE)
    monkeypatch.setattr(recipes, "__path__", [*recipes.__path__, str(tmp_path)])
    monkeypatch.chdir(tmp_path)
    model = MelodyModel(VOCABULARY.size, embedding=2, hidden=2)
    with torch.no_grad():
        model.scores.weight.zero_()
        model.scores.bias.fill_(-100)
        for pitch in range(60, LIKELIEST + 1):
            model.scores.bias[VOCABULARY.names.index(f"{pitch_name(pitch)}:1")] = pitch / 4
    weights.save(model, "steady/quarters", CARD, path="it.safetensors")
    weights.save(model, "steady/state", CARD, path="other.safetensors")
    return model


def run(capsys, *arguments, name="it.safetensors"):
    status = cli.main(["generate", name, *map(str, arguments)])
    told = capsys.readouterr()
    return status, told.out, told.err


def notes(capsys, *arguments):
    status, _, err = run(capsys, "-o", "out.mid", *arguments)
    assert (status, err) == (0, "")
    return Score.from_midi("out.mid").notes


def test_steps_and_seed(capsys):
    status, out, _ = run(capsys, "-o", "out.mid", "--steps", 12)
    assert status == 0
    assert out == (
        "wrote out.mid: Score('By steady/quarters', 12 notes, 1 voice, 3 bars),"
        " 12 tokens by steady/quarters\n"
    )
    first = notes(capsys, "--steps", 12)["pitch"].tolist()
    assert len(set(first)) > 2
    assert set(first) <= set(range(60, LIKELIEST + 1))
    assert notes(capsys, "--steps", 12, "--seed", 0)["pitch"].tolist() == first
    assert notes(capsys, "--steps", 12, "--seed", 1)["pitch"].tolist() != first


@pytest.mark.parametrize(
    "options", [["--temperature", 0], ["--top-k", 1], ["--nucleus", 0.01], ["--temperature", 0.01]]
)
def test_options_of_sampling(capsys, options):
    assert set(notes(capsys, "--steps", 12, *options)["pitch"]) == {LIKELIEST}


def test_a_prompt_is_continued(capsys, tmp_path):
    prompt = Score([(0, 1, 50), (1, 0.5, 52)], tempo=[(0, 90)], programs={0: 40})
    prompt.to_midi(tmp_path / "prompt.mid")
    run(capsys, "-o", "out.mid", "--prompt", "prompt.mid", "--steps", 2)
    score = Score.from_midi("out.mid")
    assert score.notes["pitch"].tolist()[:2] == [50, 52]
    assert score.notes["onset"].tolist() == [0, 1, 1.5, 2.5]
    assert score.tempo == [(0.0, 90.0)]
    assert score.programs == {0: 40}


def test_a_tune_of_an_abc_book_is_continued(capsys, tmp_path):
    (tmp_path / "book.abc").write_text(ABC)
    found = notes(capsys, "--prompt", "book.abc", "-n", 2, "--steps", 3)
    assert found["pitch"].tolist()[:6] == [67, 71, 74, 71, 74, 79]
    assert len(found) == 9
    assert Score.from_midi("out.mid").metre == [(0.0, 3, 4)]


def test_it_ends_where_the_model_ends(capsys, model):
    with torch.no_grad():
        model.scores.bias[VOCABULARY.end] = LIKELIEST / 4
    weights.save(model, "steady/quarters", CARD, path="it.safetensors")
    assert 1 <= len(notes(capsys, "--steps", 1000)) < 100


def test_sound_and_page(capsys):
    assert run(capsys, "-o", "out.mp3", "--steps", 4)[0] == 0
    with open("out.mp3", "rb") as file:
        wave, rate = decode(file.read())
    assert len(wave) / rate >= 2.0
    assert abs(wave).max() > 0.01
    assert run(capsys, "-o", "out.html", "--steps", 4)[0] == 0
    with open("out.html", encoding="utf-8") as file:
        assert "<title>By steady/quarters</title>" in file.read()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "out.ogg"], "can't write out.ogg: name a file ending in .html"),
        (["-o", "no/out.mid"], "No such file or directory"),
        (["--prompt", "absent.mid"], "there is no file absent.mid"),
        (["--prompt", "song.ogg"], "can't read song.ogg: the formats are .mid"),
        (["--prompt", "high.mid"], "C7 is outside this vocabulary's C3–B6"),
        (["--prompt", "empty.mid"], "empty.mid has no notes"),
        (["--steps", -1], "steps must be 0 or more"),
        (["--steps", 0], "it wrote no notes: try another --seed"),
        (["--temperature", -1], "temperature must be 0 or more"),
        (["--temperature", "nan"], "temperature must be 0 or more"),
        (["--top-k", 0], "top_k must be at least 1"),
        (["--nucleus", 2], "nucleus must be above 0 and at most 1"),
    ],
)
def test_refusals_in_one_line(capsys, arguments, message):
    Score([(0, 1, 96)]).to_midi("high.mid")
    Score([]).to_midi("empty.mid")
    status, out, err = run(capsys, "-o", "out.mid", *arguments)
    assert (status, out) == (1, "")
    assert err.startswith("mlmusic generate: ")
    assert message in err
    assert err.count("\n") == 1


def test_what_writes_no_music(capsys):
    told = run(capsys, "-o", "out.mid", name="other.safetensors")
    assert told == (
        1,
        "",
        "mlmusic generate: steady/state writes no music: its recipe has no VOCABULARY\n",
    )
    assert "there are no weights 'x'" in run(capsys, "-o", "out.mid", name="x")[2]
