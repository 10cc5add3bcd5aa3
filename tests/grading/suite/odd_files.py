"""Honest but odd: how notebooks are saved, named, and what happens to their cells."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

import nbformat

from . import assignment
from .building import (
    NOTHING,
    Case,
    Notebook,
    answer,
    code,
    deserved,
    dump,
    empty,
    file_name,
    find,
    get,
    insert,
    markdown,
    remove,
    right,
)

CASES: list[Case] = []


def odd(
    *, file: str = "", flags: tuple[str, ...] = (), nothing: bool = False, **scores: float | None
) -> Callable[[Callable[[Notebook], Any]], None]:
    """Register a case: a function that changes a right notebook, or returns the file's bytes.

    Keywords name the tasks that don't deserve full marks.
    """

    def register(change: Callable[[Notebook], Any]) -> None:
        def make() -> bytes:
            notebook = right()
            made = change(notebook)
            return made if isinstance(made, bytes) else dump(notebook)

        points = NOTHING if nothing else deserved(**scores)
        name = change.__name__
        CASES.append(Case(name, make, points, file or file_name(name), frozenset(flags)))

    return register


# --- cells deleted, doubled, moved, retyped -------------------------------------------------------


@odd()
def plain_right(nb):
    pass


@odd()
def test_cells_deleted(nb):
    remove(nb, *(f"{task}-{part}" for task in assignment.TASKS for part in ("visible", "hidden")))


@odd()
def one_test_cell_deleted(nb):
    remove(nb, "contour-hidden")


@odd()
def test_cell_doubled(nb):
    insert(nb, "contour-visible", dict(get(nb, "contour-visible")), after=True)


@odd()
def answer_cell_doubled(nb):
    insert(nb, "contour", dict(get(nb, "contour")), after=True)


@odd()
def everything_doubled(nb):
    nb["cells"] += [dict(cell) for cell in nb["cells"]]


@odd()
def draft_before(nb):
    insert(nb, "contour", code("def contour(pitches):\n    return '*'"))


@odd()
def draft_in_first_cell(nb):
    insert(nb, "", code("def select(notes, wanted):\n    return notes\nscale = [1, 2]"))


@odd(contour=0)
def second_thoughts_before_the_test(nb):
    """In the student's own notebook, too, the test sees the second version, which is wrong."""
    insert(nb, "contour", code("def contour(pitches):\n    return '*'"), after=True)


@odd()
def draft_left_at_the_end(nb):
    """Run from top to bottom, the notebook passes all its tests: the scratch cell comes later."""
    insert(nb, "", code("def contour(pitches):\n    return '*'"), after=True)


@odd()
def right_at_last(nb):
    """A wrong attempt in the answer cell, the right one in a new cell below."""
    insert(nb, "contour-hidden", code(assignment.right_answer("contour")), after=True)
    answer(nb, "contour", "def contour(pitches):\n    return '*' + 'U' * (len(pitches) - 1)")


@odd()
def stub_after_the_answer(nb):
    insert(nb, "contour", code(get(empty(), "contour")["source"]), after=True)


@odd()
def stub_without_its_docstring_after_the_answer(nb):
    stub = code("def contour(pitches):\n    # YOUR CODE HERE\n    raise NotImplementedError()")
    insert(nb, "contour", stub, after=True)


@odd()
def stub_with_docstring_at_the_end(nb):
    source = assignment.SOLUTIONS["Motif"].split("    ### BEGIN")[0]
    insert(
        nb, "", code(source + "    # YOUR CODE HERE\n    raise NotImplementedError()"), after=True
    )


@odd()
def answer_in_a_new_cell(nb):
    """The stub stays where it was, the answer stands below."""
    stub = "def contour(pitches):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
    insert(nb, "contour", code(get(nb, "contour")["source"]), after=True)
    answer(nb, "contour", stub)


@odd(flags=("retyped",))
def answer_became_markdown(nb):
    cell = get(nb, "contour")
    cell["cell_type"] = "markdown"
    del cell["outputs"], cell["execution_count"]


@odd(flags=("retyped",))
def answer_became_raw(nb):
    cell = get(nb, "Motif")
    cell["cell_type"] = "raw"
    del cell["outputs"], cell["execution_count"]


@odd(flags=("retyped",))
def answer_fenced_in_markdown(nb):
    cell = get(nb, "transpose")
    cell["cell_type"] = "markdown"
    cell["source"] = "```python\n" + cell["source"] + "\n```"
    del cell["outputs"], cell["execution_count"]


@odd()
def test_became_markdown(nb):
    cell = get(nb, "contour-visible")
    cell["cell_type"] = "markdown"
    del cell["outputs"], cell["execution_count"]


@odd()
def cells_reversed(nb):
    nb["cells"].reverse()


@odd()
def answers_moved_to_the_end(nb):
    cells = [nb["cells"].pop(find(nb, task)) for task in assignment.TASKS]
    nb["cells"] += cells


@odd()
def tests_moved_to_the_front(nb):
    cells = [nb["cells"].pop(find(nb, f"{task}-visible")) for task in assignment.TASKS]
    nb["cells"][:0] = cells


@odd()
def all_metadata_stripped(nb):
    nb["metadata"] = {}
    for cell in nb["cells"]:
        cell["metadata"] = {}


@odd()
def metadata_and_ids_stripped(nb):
    nb["metadata"] = {}
    nb["nbformat_minor"] = 2
    for cell in nb["cells"]:
        cell["metadata"] = {}
        del cell["id"]


@odd()
def stripped_doubled_and_moved(nb):
    all_metadata = [dict(cell, metadata={}) for cell in nb["cells"]]
    nb["cells"] = all_metadata[::-1] + all_metadata[5:9]


@odd()
def same_id_everywhere(nb):
    for cell in nb["cells"]:
        cell["id"] = "cell"


@odd(listening=0)
def only_the_answers(nb):
    nb["cells"] = [get(nb, task) for task in assignment.TASKS]


@odd(listening=0)
def all_in_one_cell(nb):
    sources = [cell["source"] for cell in nb["cells"] if cell["cell_type"] == "code"]
    nb["cells"] = [code("\n\n".join(sources))]


@odd()
def answers_merged_around_a_failing_assert(nb):
    first, second = get(nb, "transpose")["source"], get(nb, "contour")["source"]
    answer(nb, "transpose", f"{first}\n\nassert transpose([], 1) == 'what?'\n\n{second}")
    remove(nb, "contour")


@odd()
def answer_merged_with_its_test(nb):
    answer(nb, "contour", get(nb, "contour")["source"] + "\n\n" + assignment.TESTS["contour"][0])
    remove(nb, "contour-visible")


@odd()
def answer_split(nb):
    """The class in one cell, a method added in the next, a helper in a third."""
    answer(
        nb,
        "Motif",
        "class Motif:\n    def __init__(self, pitches):\n        self.pitches = list(pitches)\n\n"
        "    def __len__(self):\n        return len(self.pitches)",
    )
    method = (
        "def _inverted(self):\n    return Motif(mirror(self.pitches))\n\nMotif.inverted = _inverted"
    )
    helper = "def mirror(pitches):\n    return [2 * pitches[0] - pitch for pitch in pitches]"
    insert(nb, "Motif", code(method), code(helper), after=True)


@odd()
def setup_deleted(nb):
    remove(nb, "setup", "melody")


@odd()
def instructors_cell_edited(nb):
    """The tests use the instructor's own tune."""
    answer(nb, "melody", "melody = [(0.0, 1)]\nA4 = 440.0")
    answer(nb, "contour-visible", "assert contour([60, 62]) == '*U'")


@odd()
def hand_edited_tests(nb):
    for task in assignment.TASKS:
        answer(nb, f"{task}-visible", f"print({task})")


@odd(listening=0)
def markdown_deleted_and_titles_changed(nb):
    nb["cells"] = [cell for cell in nb["cells"] if cell["cell_type"] == "code"]
    insert(nb, "", markdown("# My homework\n\n## Task 1\n" + "x " * 5000))


@odd(contour=0, Motif=0)
def partly_answered(nb):
    for task in ("contour", "Motif"):
        remove(nb, task)


@odd(frequency=1, scale=1, select=1)
def right_for_the_visible_tests_only(nb):
    answer(nb, "frequency", "def frequency(pitch):\n    return 440.0 if pitch == 69 else 220.0")
    answer(nb, "scale", "scale = [60, 61, 62, 63, 64, 65, 66, 67]")
    answer(nb, "select", "def select(notes, wanted):\n    return list(filter(wanted, notes))[:2]")


# --- editors and formats --------------------------------------------------------------------------


def _lines(nb: Notebook) -> None:
    for cell in nb["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)


@odd()
def saved_by_jupyterlab(nb):
    _lines(nb)
    for count, cell in enumerate(nb["cells"]):
        cell["metadata"] |= {"editable": True, "slideshow": {"slide_type": ""}, "tags": []}
        if cell["cell_type"] == "code":
            cell["execution_count"] = count


@odd()
def saved_by_vs_code(nb):
    _lines(nb)
    nb["metadata"] = {
        "kernelspec": {"display_name": ".venv (3.12.4)", "language": "python", "name": "python3"},
        "language_info": {
            "codemirror_mode": {"name": "ipython", "version": 3},
            "file_extension": ".py",
            "name": "python",
            "version": "3.12.4",
        },
        "orig_nbformat": 4,
        "vscode": {"interpreter": {"hash": "31f2aee4e71d21fbe5cf8b01ff0e069b"}},
    }
    nb["nbformat_minor"] = 2
    for cell in nb["cells"]:
        cell["metadata"] = {"vscode": {"languageId": "python"}}
        del cell["id"]


@odd()
def saved_by_colab(nb):
    _lines(nb)
    nb["nbformat_minor"] = 0
    nb["metadata"] = {
        "colab": {
            "provenance": [],
            "toc_visible": True,
            "gpuType": "T4",
            "include_colab_link": True,
        },
        "accelerator": "GPU",
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "language_info": {"name": "python"},
    }
    for index, cell in enumerate(nb["cells"]):
        name = cell.pop("id")
        cell["metadata"] |= {"id": f"{index}Xq{name}"[:12]}
        if cell["cell_type"] == "code":
            cell["metadata"] |= {
                "colab": {"base_uri": "https://localhost:8080/", "height": 35},
                "executionInfo": {
                    "status": "ok",
                    "timestamp": 1714000000000 + index,
                    "user_tz": -120,
                    "elapsed": 4,
                    "user": {"displayName": "A Student", "userId": "0123"},
                },
                "outputId": "f00d-cafe",
            }
            cell["outputs"] = [
                {
                    "output_type": "display_data",
                    "data": {
                        "text/plain": ["<IPython.core.display.Javascript object>"],
                        "application/javascript": ["window.x = 1;"],
                        "application/vnd.google.colaboratory.intrinsic+json": {"type": "string"},
                    },
                    "metadata": {},
                }
            ]


@odd()
def windows_line_ends(nb):
    return dump(nb).replace(b"\n", b"\r\n")


@odd()
def windows_line_ends_in_the_cells(nb):
    for cell in nb["cells"]:
        cell["source"] = cell["source"].replace("\n", "\r\n")


@odd()
def old_mac_line_ends_in_the_cells(nb):
    for cell in nb["cells"]:
        cell["source"] = cell["source"].replace("\n", "\r")


@odd()
def trailing_spaces_everywhere(nb):
    for cell in nb["cells"]:
        cell["source"] = cell["source"].replace("\n", "  \n") + "\n\n \n"


@odd()
def byte_order_mark(nb):
    return b"\xef\xbb\xbf" + dump(nb)


@odd()
def utf_16(nb):
    return dump(nb).decode().encode("utf-16")


@odd()
def utf_16_big_endian(nb):
    return b"\xfe\xff" + dump(nb).decode().encode("utf-16-be")


@odd()
def latin_1_in_a_comment(nb):
    """Saved by an editor that doesn't know UTF-8: the name of the student isn't decodable."""
    answer(nb, "contour", "# von Jörg\n" + get(nb, "contour")["source"])
    return dump(nb).decode().encode("latin-1")


@odd()
def nbformat_3(nb):
    return _older(nb, 3)


@odd()
def nbformat_2(nb):
    return _older(nb, 2)


def _older(nb: Notebook, version: int) -> bytes:
    """Write the notebook as IPython 1 or 0.12 did: worksheets, `input`, headings as cells."""
    cells = []
    for cell in nb["cells"]:
        made = {"cell_type": cell["cell_type"], "metadata": cell["metadata"]}
        if cell["cell_type"] == "code":
            made |= {
                "input": cell["source"],
                "language": "python",
                "prompt_number": 1,
                "collapsed": False,
                "outputs": [],
            }
        else:
            made["source"] = cell["source"]
        cells.append(made)
    if version == 3:
        cells.insert(1, {"cell_type": "heading", "level": 2, "metadata": {}, "source": "Motif"})
    sheets = [{"cells": cells, "metadata": {}}]
    metadata = {"name": "motif"}
    return json.dumps(
        {"metadata": metadata, "nbformat": version, "nbformat_minor": 0, "worksheets": sheets}
    ).encode()


@odd()
def nbformat_3_by_nbformat(nb):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nbformat.writes(nbformat.from_dict(nb), version=3).encode()


@odd()
def nbformat_4_0(nb):
    nb["nbformat_minor"] = 0
    for cell in nb["cells"]:
        del cell["id"]


@odd()
def nbformat_of_the_future(nb):
    nb["nbformat_minor"] = 42
    nb["something"] = {"new": True}
    for cell in nb["cells"]:
        cell["something_new"] = [1]


@odd()
def not_quite_valid(nb):
    """Hand-made or cut down by a script: fields are missing, numbers are text."""
    nb["metadata"] = None
    for index, cell in enumerate(nb["cells"]):
        cell["metadata"] = None if index % 2 else {"nbgrader": None}
        cell.pop("outputs", None)
        cell.pop("execution_count", None)
        cell["id"] = index
    nb["cells"].insert(3, {"cell_type": "code"})
    nb["cells"].insert(5, {"cell_type": "markdown", "source": None, "metadata": {}})


@odd()
def other_kernel(nb):
    nb["metadata"]["kernelspec"] = {"name": "xeus", "display_name": "Pyodide", "language": "julia"}
    nb["metadata"]["language_info"] = {"name": "julia"}


@odd()
def compact_json(nb):
    return json.dumps(nb, separators=(",", ":"), ensure_ascii=True).encode()


# --- outputs --------------------------------------------------------------------------------------


@odd()
def unusual_outputs(nb):
    nb["metadata"]["widgets"] = {
        "application/vnd.jupyter.widget-state+json": {"state": {"a": {}}, "version_major": 2}
    }
    get(nb, "contour")["outputs"] = [
        {
            "output_type": "display_data",
            "data": {
                "application/vnd.jupyter.widget-view+json": {"model_id": "a", "version_major": 2},
                "text/plain": "FloatSlider(value=0.0)",
            },
            "metadata": {},
        },
        {
            "output_type": "error",
            "ename": "ValueError",
            "evalue": "no",
            "traceback": ["\x1b[0;31mValueError\x1b[0m: no"],
        },
        {"output_type": "execute_result", "data": {}, "metadata": {}, "execution_count": 3},
        {"output_type": "update_display_data", "data": {"text/html": "<b>x</b>"}, "metadata": {}},
        {"output_type": "stream", "name": "stderr", "text": ["a\r", "b\n"]},
    ]
    get(nb, "scale")["outputs"] = None
    get(nb, "select")["outputs"] = [{"output_type": "of another world"}, 7, None]


@odd()
def outputs_of_50_megabytes(nb):
    picture = "iVBORw0KGgo" + "A" * 30_000_000
    get(nb, "contour")["outputs"] = [
        {"output_type": "display_data", "data": {"image/png": picture}, "metadata": {}},
        {"output_type": "stream", "name": "stdout", "text": ["epoch 1\n"] * 2_000_000},
    ]


@odd()
def pictures_pasted_into_markdown(nb):
    text = markdown("![notes](attachment:notes.png)")
    text["attachments"] = {"notes.png": {"image/png": "A" * 3_000_000}}
    insert(nb, "contour", text)


# --- files ----------------------------------------------------------------------------------------


@odd(file="Copy of motif.ipynb")
def copy_of(nb):
    pass


@odd(file="motif (1).ipynb")
def downloaded_twice(nb):
    pass


@odd(file="Übung 5 – Łukasz 音楽 نغمة.ipynb")
def non_english_file_name(nb):
    pass


@odd(file="motif.final.v2.ipynb")
def dots_in_the_name(nb):
    pass


@odd(file="O'Brien, Zoë & co; 100% [x] {y} $HOME `id` #1.ipynb")
def punctuation_in_the_name(nb):
    pass


@odd(file=f"{'long-name-' * 24}.ipynb")
def very_long_name(nb):
    pass


@odd(nothing=True)
def nothing_answered(nb):
    for task in assignment.TASKS:
        remove(nb, task)


@odd(nothing=True)
def no_cells(nb):
    nb["cells"] = []


@odd(nothing=True, flags=("wrong notebook",))
def another_notebook(nb):
    nb["cells"] = [markdown("# Rhythm"), code("def swing(beats):\n    return beats"), code("1 + 1")]


@odd(nothing=True, flags=("unreadable",))
def truncated(nb):
    return dump(nb)[:-500]


@odd(nothing=True, flags=("unreadable",))
def zero_bytes(nb):
    return b""


@odd(nothing=True, flags=("unreadable",))
def a_pdf(nb):
    return b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\n" * 20


@odd(nothing=True, flags=("unreadable",))
def a_word_file(nb):
    return b"PK\x03\x04\x14\x00\x06\x00" + bytes(range(256)) * 20


@odd(nothing=True, flags=("unreadable",))
def a_web_page(nb):
    return b"<!DOCTYPE html><html><body>Please log in</body></html>"


@odd(nothing=True, flags=("unreadable",))
def json_but_no_notebook(nb):
    return b'[{"cells": 3}, null]'
