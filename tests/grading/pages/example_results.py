"""Results of a class of our own invention, as grading would leave them: chapter 0's exercise."""

import base64
import io
import json
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[3] / "solutions" / "00_listen.ipynb"
SECRET = "HIDDEN: drawn 61, 74 and 58 expected [440.0, 987.77]"  # what no student may ever read

UNFINISHED = {
    "answer-1": "def frequency(pitch):\n    return 440 * 2 ** ((np.asarray(pitch) - 69) / 12)",
    "answer-2": '''def backwards(score):
    """Return the score read from its end to its beginning."""
    notes = score.notes.copy()
    # mirror every onset at the end of the piece
    notes["onset"] = score.duration - score.notes["onset"]
    return Score(notes, programs=score.programs)''',
    "answer-3": """def encode(row):
    runs = []
    while True:
        runs.append((row[0], 1))
    return runs""",
    "answer-4": "def pitch_of(wave, rate):\n    return np.argmax(np.abs(np.fft.rfft(wave)))",
    "answer-5": 'def same_tune(a, b):\n    raise NotImplementedError("YOUR CODE HERE")',
    "explain-fault": "It expects **note off**, but the odd file says *note on* with velocity 0.",
    "answer-6": "def read_messages_mended(messages):\n    return messages.note",
    "listening": """On *eighth notes* nothing is lost. On *quarter notes* one note is gone:

- the tune loses its only eighth notes,
- so a model trained on it would **never** write one.""",
}
MESSAGES = {
    "check-2": "the music must begin at 0: a note's new onset is counted from where the note ENDED",
    "check-4": "an A of 440 Hz is pitch 69",
    "check-6": "AttributeError: 'list' object has no attribute 'note'",
}
OUTCOMES = {
    **{"check-1": "passed", "hidden-1": "passed", "check-2": "failed", "hidden-2": "passed"},
    **{"check-3": "timeout", "hidden-3": "timeout", "check-4": "failed", "hidden-4": "failed"},
    **{"check-5": "missing", "hidden-5": "missing", "check-6": "error", "hidden-6": "error"},
}


@cache
def png() -> str:
    """A plot as a notebook saves it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.4), layout="constrained")
    axes = figure.subplots()
    axes.step(range(9), [67, 69, 71, 67, 74, 74, 71, 71, 71], where="post")
    axes.set(xlabel="beats", ylabel="MIDI pitch")
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return base64.b64encode(out.getvalue()).decode()


@cache
def player() -> str:
    """The course's player, as a notebook saves it."""
    from mlmusic import Score, play

    notes = [(0, 1, 67), (1, 0.5, 67), (1.5, 0.5, 69), (2, 1, 71), (3, 1, 67), (4, 1, 74)]
    tune = Score([*notes, (5, 1, 74), (6, 2, 71)], programs={0: 73}, title="a tune for the flute")
    slow = Score(tune.notes[[0, 3, 4, 5, 6, 7]], programs=tune.programs, title=tune.title)
    return play({"the tune": tune, "quarter notes": slow})._repr_html_()


def result(student="ada", name="Ada Ahlgren", outcomes=None, answers=None, **more):
    """One submission's result, half solved; `outcomes` and `answers` change what it says."""
    outcomes, answers = {**OUTCOMES, **(outcomes or {})}, {**UNFINISHED, **(answers or {})}
    tasks, title = [], ""
    for cell in json.loads(SOURCE.read_text(encoding="utf-8"))["cells"]:
        mark, text = cell["metadata"].get("nbgrader", {}), "".join(cell["source"])
        if cell["cell_type"] == "markdown" and text.startswith("#") and not mark:
            title = text.splitlines()[0].lstrip("# ")
        if mark.get("solution"):
            manual = bool(mark["grade"])
            tasks.append({
                "id": mark["grade_id"], "title": title, "manual": manual,
                "score": None if manual else 0.0, "points": float(mark.get("points", 0)),
                "answer": answers[mark["grade_id"]], "outputs": [], "tests": [],
            })  # fmt: skip
        elif mark.get("grade"):
            outcome, hidden = outcomes[mark["grade_id"]], "BEGIN HIDDEN" in text
            passed = outcome == "passed"
            message = SECRET if hidden else MESSAGES.get(mark["grade_id"], "")
            task = tasks[-1]
            task["tests"].append({
                "id": mark["grade_id"], "points": float(mark["points"]), "hidden": hidden,
                "score": float(mark["points"]) if passed else 0.0, "outcome": outcome,
                "message": "" if passed else message,
            })  # fmt: skip
            task["points"] += mark["points"]
            task["score"] += mark["points"] if passed else 0.0
    by_id = {task["id"]: task for task in tasks}
    by_id["answer-1"]["outputs"] = [{"mime": "image/png", "data": png()}]
    by_id["answer-4"]["outputs"] = [{"mime": "text/plain", "data": "pitch: 440\nrate:  22050\n"}]
    by_id["listening"]["outputs"] = [{"mime": "text/html", "data": player()}]
    return {
        "format": 1, "assignment": "00_listen", "submission": student, "student": student,
        "name": name, "attempt": 1, "tasks": tasks,
        "score": sum(task["score"] or 0.0 for task in tasks),
        "points": sum(task["points"] for task in tasks),
        "flags": [
            {"kind": "timeout", "detail": f"hidden-3: {SECRET}"},
            {"kind": "cell error", "detail": "cell 12: NameError: name 'tunee' is not defined"},
            {"kind": "looked around", "detail": "tried to open a socket"},
        ],
        "provenance": {
            "submission_sha256": "5f0c" * 16, "source_sha256": "77aa" * 16, "seed": 424242,
            "limits": {"call": 5.0, "memory": 2 << 30}, "sandbox": "bwrap", "versions": {},
        },
        **more,
    }  # fmt: skip


def save(out: Path, *results) -> Path:
    """Write results where a grading run leaves them."""
    folder = out / "results"
    folder.mkdir(parents=True, exist_ok=True)
    for each in results:
        text = json.dumps(each, sort_keys=True)
        (folder / f"{each['submission']}.json").write_text(text, encoding="utf-8")
    return out
