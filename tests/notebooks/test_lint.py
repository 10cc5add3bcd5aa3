"""Each rule of the lint lets the sample pass and catches what it is for."""

import notebook_lint
import notebook_parts as parts
import pytest
from nbformat import v4

REPO = parts.Repository("owner/name", "main")
CHAPTER = parts.SAMPLE / "notebooks" / "99_scale.ipynb"
SOLUTION = parts.SAMPLE / "solutions" / "99_scale.ipynb"


def faults(change, path=CHAPTER, written=True):
    """Return what the lint says about a sample notebook after `change(notebook)`."""
    notebook = parts.read(path)
    change(notebook)
    text = parts.text_of(notebook) if written else path.read_text(encoding="utf-8")
    return notebook_lint.lint(notebook_lint.Page(path, notebook, text, REPO, parts.SAMPLE))


def cell(notebook, name):
    return next(cell for cell in notebook.cells if cell.id == name)


def edit(name, old, new):
    """Return a change that replaces text in one cell."""

    def change(notebook):
        found = cell(notebook, name)
        assert old in found.source
        found.source = found.source.replace(old, new)

    return change


def put(name, **values):
    """Return a change that sets values of one cell."""
    return lambda notebook: cell(notebook, name).update(values)


def rename(name, new):
    return put(name, id=new)


def without(name):
    return lambda notebook: notebook.cells.remove(cell(notebook, name))


def insert(name, new):
    """Return a change that puts a cell after the one named."""

    def change(notebook):
        place = notebook.cells.index(cell(notebook, name)) + 1
        notebook.cells.insert(place, new)

    return change


def markdown(source):
    return v4.new_markdown_cell(source, id="extra-text")


def code(source, **values):
    return v4.new_code_cell(source, id="extra-code", **values)


def metadata(**values):
    return lambda notebook: notebook.metadata.update(values)


@pytest.mark.parametrize("path", parts.notebooks(root=parts.SAMPLE), ids=parts.relative)
def test_sample_keeps_the_rules(path):
    assert notebook_lint.lint(notebook_lint.load(path, REPO, parts.SAMPLE)) == []


PNG = [v4.new_output("display_data", data={"image/png": "iVBORw0KGgo="})]
STREAM = [v4.new_output("stream", text="1\n")]

CAUGHT = {
    "old format": (lambda nb: nb.update(nbformat_minor=4), "is nbformat 4.4, not 4.5"),
    "invalid": (lambda nb: cell(nb, "idea").update(cell_type="poem"), "isn't a valid notebook"),
    "kernel": (metadata(kernelspec={"name": "ir", "display_name": "R"}), "names another kernel"),
    "language": (metadata(language_info={"name": "python", "version": "3"}), "language_info"),
    "extra metadata": (metadata(colab={}), "that no one needs: colab"),
    "same id twice": (rename("idea", "listen"), "'listen' more than once"),
    "random id": (rename("idea", "3f2a9b1c"), "id '3f2a9b1c'"),
    "uuid": (rename("idea", "deadbeef-dead-beef"), "id 'deadbeef-dead-beef'"),
    "no title id": (rename("title", "first"), "first cell must have the id 'title'"),
    "no setup id": (rename("setup", "install"), "no cell has the id 'setup'"),
    "count": (put("check-octave", execution_count=3), "cell check-octave: has an execution count"),
    "stray output": (put("check-octave", outputs=STREAM), "cell check-octave: has outputs"),
    "unchecked": (put("build-scale", outputs=[]), "keeps no output to compare"),
    "kept picture": (put("build-scale", outputs=PNG), "keeps image/png; only text"),
    "statement": (edit("title", "numbers?", "numbers"), "title must be a question"),
    "no title": (edit("title", "# Is", "Is"), "must be markdown and start with"),
    "missing field": (edit("title", "- **Reading:** about 2 minutes\n", ""), "must have the lines"),
    "empty field": (edit("title", "a major scale from its steps", "…"), "'You will build' says"),
    "vague cost": (edit("title", "about 5 CPU seconds", "fast"), "'Running' says 'fast'"),
    "no link": (edit("title", "[Open in Colab]", "[Colab]"), "first cell lacks the line"),
    "other branch": (edit("title", "/main/", "/old/"), "first cell lacks the line"),
    "fork's link": (
        insert("idea", markdown(f"[x]({REPO.colab('x').replace('owner', 'other')})")),
        "leads to another repository",
    ),
    "other setup": (edit("setup", "-q ", ""), "setup cell differs"),
    "code before setup": (insert("title", code("1 + 1")), "first code cell must be the setup"),
    "more setup": (insert("setup", code("1 + 1")), "must hold the setup cell and no other code"),
    "missing part": (without("check"), "level-2 headings must be"),
    "swapped parts": (edit("measure", "Measure", "Play with"), "level-2 headings must be"),
    "own heading": (insert("idea", markdown("## Intermezzo")), "level-2 headings must be"),
    "unknown part": (metadata(mlmusic={"without": ["Dance"]}), "don't exist: ['Dance']"),
    "no references": (edit("summary", "### References", "Read"), "lacks '### References'"),
    "picture": (insert("idea", markdown("![](sample.png)")), "sample.png has no alt text"),
    "html picture": (insert("idea", markdown('<img src="x" alt="">')), "has no alt text"),
    "plot": (insert("idea", code("plt.plot([1, 2])")), "show it with plots.show"),
    "roll": (insert("idea", code("plots.piano_roll(score)")), "show it with plots.show"),
    "long cell": (insert("idea", code("x = 1\n" * 31)), "has 31 lines"),
    "dead link": (insert("idea", markdown("[x](nothing.md)")), "nothing.md doesn't exist"),
    "dead anchor": (insert("idea", markdown("[x](#Nowhere)")), "#Nowhere is no heading"),
    "http": (insert("idea", markdown("[x](http://example.org)")), "should be https"),
    "fetched": (insert("idea", markdown("![a](https://a.org/b.png)")), "would be fetched"),
    "no exercises": (
        edit("summary", "(../exercises/99_scale.ipynb)", "(#Summary)"),
        "doesn't link",
    ),
}


@pytest.mark.parametrize(("change", "message"), CAUGHT.values(), ids=CAUGHT)
def test_rule_catches(change, message):
    found = faults(change)
    assert any(message in fault for fault in found), found


def test_unformatted_file_is_caught():
    assert faults(edit("idea", "adds up", "sums"), written=False) == [
        "isn't formatted as nbformat writes it: run `make badges`"
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("task-4"), "has 3 tasks; 4 to 6 are wanted"),
        (edit("task-2", "Task 2", "Task 3"), "level-2 headings must be"),
        (without("find-the-fault"), "level-2 headings must be"),
        (edit("title", "You will practise", "You will hear"), "must have the lines"),
    ],
)
def test_rules_of_solutions_catch(change, message):
    found = faults(change, SOLUTION)
    assert any(message in fault for fault in found), found


@pytest.mark.parametrize(
    "change",
    [
        insert("idea", markdown("`[x](nothing.md)` and\n```\n## Intermezzo\n```")),
        insert("idea", code("plots.show(plots.piano_roll(score))")),
        insert("idea", code('Image(data, alt="a scale")')),
        insert("idea", markdown('<img src="data:image/png;base64,x" alt="a scale">')),
        insert("idea", markdown("[chapter](99_scale.ipynb), [idea](#The-idea)")),
    ],
)
def test_rules_let_pass(change):
    assert faults(change) == []
