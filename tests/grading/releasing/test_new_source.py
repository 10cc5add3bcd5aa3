"""A new source has all that an assignment needs, and says what is still to be written."""

import itertools
import re

import nbformat
import notebook_parts as parts
import pytest

from mlmusic.grading.release import ReleaseError, main, released_text
from mlmusic.grading.releasing.new_source import new_source

pytest.importorskip("nbgrader", reason="nbgrader makes the exercises (extra 'grade')")

SOLUTION = parts.ROOT / "solutions" / "00_listen.ipynb"
SLOT = re.compile(r"⟦rewrite: (.*?)⟧", re.S)


def seeds(first=1000):
    """Seeds that a test can foretell."""
    return itertools.count(first).__next__


def read(path):
    return nbformat.read(path, as_version=4)


def filled(path):
    """Do what an instructor does: delete the note, rewrite each slot."""
    notebook = read(path)
    notebook.cells = [cell for cell in notebook.cells if cell.get("id") != "note"]
    for cell in notebook.cells:
        cell.source = SLOT.sub("Something else.", cell.source)
    parts.write(notebook, path)
    return path


@pytest.fixture(params=["template", "variant"])
def made(request, tmp_path):
    path = tmp_path / "My assignment 3.ipynb"
    lines = new_source(path, SOLUTION if request.param == "variant" else None, seeds())
    return path, lines, 10 if request.param == "template" else 20


def test_what_is_to_do_is_told(made):
    path, lines, points = made
    slots = sum(cell.source.count("⟦rewrite") for cell in read(path).cells)
    assert lines == [
        f"{path}: {points} points, {slots} places marked ⟦rewrite: …⟧ are yours to write",
        f"then: mlmusic release {path} -o FOLDER-FOR-STUDENTS",
        "keep it private: it holds answers and hidden tests",
    ]


def test_a_new_source_is_valid_and_its_points_are_stated(made):
    path, _, points = made
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.mlmusic == {"points": points}
    assert notebook.cells[0].source.endswith(f"\n\nTotal: {points} points")


def test_it_is_not_released_while_a_slot_is_left(made):
    path, _, _ = made
    slots = [i for i, cell in enumerate(read(path).cells, 1) if "⟦rewrite" in cell.source]
    with pytest.raises(ReleaseError) as caught:
        released_text(path)
    assert [int(re.search(r"cell (\d+)", fault)[1]) for fault in caught.value.faults] == slots
    assert all("still has a slot" in fault for fault in caught.value.faults)
    assert released_text(filled(path)).count("NotImplementedError") >= 2


def test_the_note_to_the_instructor_is_not_released(made):
    path, _, _ = made
    notebook = read(path)
    for cell in notebook.cells:
        cell.source = SLOT.sub(r"\1", cell.source)
    parts.write(notebook, path)
    with pytest.raises(ReleaseError, match="cell 2 'note' is a note to you alone: delete it"):
        released_text(path)


def test_every_hidden_test_has_a_seed_of_its_own(made):
    path, _, _ = made
    hidden = [cell.source for cell in read(path).cells if "BEGIN HIDDEN" in cell.source]
    for seed, source in enumerate(hidden, 1000):
        _, secret = source.split("### BEGIN HIDDEN TESTS\n")
        assert f"SEED = {seed}\n" in secret
        assert "default_rng(SEED)" in secret
        assert "default_rng()" not in secret


def test_a_variant_differs_from_its_chapter(tmp_path):
    path = tmp_path / "my_assignment.ipynb"
    new_source(path, SOLUTION)
    before, after = read(SOLUTION), read(path)
    old = {cell.id: cell for cell in before.cells}
    for cell in after.cells:
        if cell.id in ("title", "note"):
            continue
        original = old[cell.id]
        marks = cell.metadata.get("nbgrader", {})
        if marks:
            assert marks.grade_id == f"my-assignment-{original.metadata.nbgrader.grade_id}"
            assert marks.get("points") == original.metadata.nbgrader.get("points")
        if cell.cell_type == "markdown" and not marks:
            headings = [line for line in cell.source.split("\n") if line.startswith("#")]
            assert SLOT.sub("", cell.source).split() == " ".join(headings).split()
        elif "BEGIN HIDDEN" in cell.source:
            assert cell.source != original.source
        else:
            assert cell.source == original.source
    text = path.read_text(encoding="utf-8")
    assert "colab.research" not in text
    assert "](../" not in text


def test_two_variants_draw_other_seeds(tmp_path):
    texts = []
    for name in "ab":
        new_source(tmp_path / f"{name}.ipynb", SOLUTION)
        texts.append(re.findall(r"SEED = (\d+)", (tmp_path / f"{name}.ipynb").read_text()))
    assert len(set(texts[0] + texts[1])) == 12


def test_an_exercise_stands_for_the_solution_beside_it(tmp_path):
    exercise = parts.ROOT / "exercises" / SOLUTION.name
    new_source(tmp_path / "a.ipynb", exercise, seeds())
    new_source(tmp_path / "b" / "a.ipynb", SOLUTION, seeds())
    assert (tmp_path / "a.ipynb").read_bytes() == (tmp_path / "b" / "a.ipynb").read_bytes()


def test_an_exercise_alone_is_refused(tmp_path):
    exercise = tmp_path / "exercises" / "00_listen.ipynb"
    exercise.parent.mkdir()
    exercise.write_bytes((parts.ROOT / "exercises" / SOLUTION.name).read_bytes())
    with pytest.raises(ValueError, match=r"00_listen.ipynb has no answers, .* name the solution"):
        new_source(tmp_path / "own.ipynb", exercise)
    assert not (tmp_path / "own.ipynb").exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("np.random.seed(0)", "np.random.seed(SEED)"),
        ("torch.manual_seed(len(text))", "torch.manual_seed(SEED)"),
        ("rng = random.Random(7)", "rng = random.Random(SEED)"),
        ("g = torch.Generator().manual_seed(0)", "g = torch.Generator().manual_seed(SEED)"),
        ("rng = np.random.RandomState()", "rng = np.random.RandomState(SEED)"),
    ],
)
def test_every_way_to_seed_is_known(tmp_path, before, after):
    path = tmp_path / "old.ipynb"
    notebook = read(parts.SAMPLE / "solutions" / "99_scale.ipynb")
    cell = next(cell for cell in notebook.cells if cell.id == "task-1-test")
    cell.source = cell.source.replace("assert octave_up(1) == 13", before)
    parts.write(notebook, path)
    new_source(tmp_path / "new.ipynb", path, seeds())
    cell = next(cell for cell in read(tmp_path / "new.ipynb").cells if cell.id == "task-1-test")
    assert f"### BEGIN HIDDEN TESTS\nSEED = 1000\n{after}\n### END" in cell.source


def test_a_hidden_test_that_draws_nothing_becomes_a_slot(tmp_path):
    new_source(tmp_path / "new.ipynb", parts.SAMPLE / "solutions" / "99_scale.ipynb")
    cell = next(cell for cell in read(tmp_path / "new.ipynb").cells if cell.id == "task-1-test")
    assert cell.source.split("\n")[1:] == [
        "### BEGIN HIDDEN TESTS",
        "# ⟦rewrite: this hidden test draws nothing anew; change its values⟧",
        "assert octave_up(1) == 13",
        "### END HIDDEN TESTS",
    ]
    with pytest.raises(ReleaseError, match="'new-test-octave_up' still has a slot"):
        released_text(tmp_path / "new.ipynb")


def test_in_a_repository_the_line_for_gitignore_is_told(tmp_path):
    (tmp_path / ".git").mkdir()
    lines = new_source(tmp_path / "private" / "own.ipynb")
    assert lines[-1].endswith(f"{tmp_path}: add the line private/own.ipynb to .gitignore")


def test_nothing_is_replaced(tmp_path, capsys):
    path = tmp_path / "own.ipynb"
    path.write_text("mine")
    assert main(["--new", str(path)]) == 1
    assert f"mlmusic release: {path} exists: choose another name\n" == capsys.readouterr().err
    assert path.read_text() == "mine"
    assert main(["--new", str(tmp_path / "own.txt")]) == 1
    assert "a notebook's name ends in .ipynb" in capsys.readouterr().err
    assert main(["--new", str(tmp_path / "b.ipynb"), "--from", str(tmp_path / "none.ipynb")]) == 1
    assert "none.ipynb" in capsys.readouterr().err


def test_from_alone_is_a_wrong_call(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--from", str(SOLUTION)])
    assert caught.value.code == 2
    assert "--from goes with --new FILE" in capsys.readouterr().err


def test_command_makes_a_new_source(tmp_path, capsys):
    path = tmp_path / "own.ipynb"
    assert main(["--new", str(path), "--from", str(SOLUTION)]) == 0
    assert capsys.readouterr().out.startswith(f"{path}: 20 points, 14 places marked")
    assert path.is_file()
