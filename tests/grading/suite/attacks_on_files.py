"""Attacks by the file itself: JSON bombs, metadata, texts that are harmful where they are shown."""

from __future__ import annotations

import json
from collections.abc import Callable

from . import assignment
from .building import (
    NOTHING,
    Case,
    Notebook,
    answer,
    code,
    dump,
    empty,
    file_name,
    get,
    insert,
    markdown,
)

CASES: list[Case] = []
SCRIPT = "<script>alert(7041)</script><img src=x onerror=alert(7041)>"


def hostile(
    *, file: str = "", **scores: float | None
) -> Callable[[Callable[[Notebook], bytes | None]], None]:
    """Register a case that starts from the empty exercise; keywords name tasks with points."""

    def register(change: Callable[[Notebook], bytes | None]) -> None:
        def make() -> bytes:
            notebook = empty()
            made = change(notebook)
            return dump(notebook) if made is None else made

        name = change.__name__
        points = {**NOTHING, **scores}
        CASES.append(Case(name, make, points, file or file_name(name)))

    return register


# --- JSON -------------------------------------------------------------------------------------------


@hostile()
def deep_json(nb):
    return b'{"nbformat": 4, "cells": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"


@hostile()
def deep_json_without_an_end(nb):
    return b'{"cells": [' + b'{"a":' * 500_000


@hostile()
def deep_metadata(nb):
    deep = {}
    for _ in range(300):
        deep = {"nbgrader": deep}
    nb["metadata"]["deep"] = deep
    for cell in nb["cells"]:
        cell["metadata"] |= deep


@hostile()
def a_million_cells(nb):
    cell = b'{"cell_type":"markdown","source":"x=1","metadata":{}},'
    return b'{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[' + cell * 1_000_000 + b"7]}"


@hostile()
def a_million_empty_lists(nb):
    return b'{"nbformat":4,"metadata":{},"cells":[' + b"[]," * 3_000_000 + b"[]]}"


@hostile()
def keys_that_come_twice(nb):
    return dump(nb).replace(b'"cells":', b'"cells": [], "nbformat": 3, "cells": 7, "cells":', 1)


@hostile()
def huge_numbers(nb):
    text = dump(nb).replace(b'"nbformat": 4', b'"x": 1e999999, "nbformat": ' + b"9" * 100_000)
    return text.replace(b'"execution_count": null', b'"execution_count": -' + b"1" * 5000)


@hostile()
def not_a_number(nb):
    nb["nbformat"] = float("nan")
    nb["nbformat_minor"] = float("inf")
    get(nb, "contour")["metadata"]["nbgrader"]["points"] = float("inf")
    return json.dumps(nb).encode()


@hostile()
def wrong_types_everywhere(nb):
    for index, cell in enumerate(nb["cells"]):
        cell["source"] = [7, None, {"a": []}, ["def contour(p): return '*'"], True][index % 5]
        cell["metadata"] = [[], "x", 1, {"nbgrader": [1]}, {"nbgrader": {"grade_id": {}}}][
            index % 5
        ]
        cell["outputs"] = [7, "x", {"a": 1}, [[]], [{"output_type": ["stream"], "text": 7}]][
            index % 5
        ]
        cell["cell_type"] = ["code", 7, None, [], {"code": 1}][index % 5]
    nb["metadata"] = {"kernelspec": 7, "language_info": [], "mlmusic": 5}


@hostile()
def null_bytes(nb):
    insert(nb, "", code("\x00\x00import os\x00"), code("x = '\x1b]0;title\x07'"))
    nb["metadata"]["\x00"] = "\x00"


@hostile()
def a_cell_of_20_000_lines(nb):
    insert(nb, "", code("x = 1\n" * 20_000))


@hostile()
def one_line_of_two_megabytes(nb):
    insert(nb, "", code("x = '" + "y" * 2_000_000 + "'"))


@hostile()
def code_that_is_hard_to_parse(nb):
    for source in (
        "(" * 10_000,
        "-" * 100_000 + "1",
        "x" + ".a" * 10_000,
        "x = " + "1+" * 10_000 + "1",
        "[" * 190 + "]" * 190,
        "lambda: " * 5_000 + "1",
        "if x:\n" + "".join(" " * n + "if x:\n" for n in range(1, 99)) + " " * 99 + "pass",
        "f'" + "{" * 1000 + "'",
        "x = " + "not " * 20_000 + "1",
        "a" * 10_000 + " = " + "\\\n" * 5_000,
        "!" * 10_000 + "\n" + "%" * 10_000 + "\n" + "?" * 10_000,
        "'''" + "\\N{DIGIT ONE}" * 5_000 + "'''",
        "x = " + "9" * 200_000,
        "@a\n" * 10_000 + "def contour(): pass",
        "match x:\n" + " case [" + "[" * 90 + "]" * 90 + "]: pass",
        "def contour(" + ", ".join(f"a{n}" for n in range(5_000)) + "): pass",
        "try: pass\n" + "except* A: pass\n" * 5_000,
    ):
        insert(nb, "", code(source))


@hostile()
def text_that_is_hard_to_render(nb):
    for source in (
        ">" * 20_000 + "a",
        "[" * 20_000,
        "*a " * 20_000,
        "`" * 20_000 + "a",
        "![" * 10_000 + "](" * 10_000,
        "<" * 20_000,
        "<div>" * 20_000,
        "- " * 10_000 + "a",
        "|" * 10_000 + "\n" + "|-" * 5_000 + "\n" + "|a" * 10_000,
        "$" + "{" * 10_000 + "$",
        "&" * 20_000 + "#" * 1000,
        "_" * 20_000 + "a" + "_" * 20_000,
        "[a]: " + "<" * 20_000,
        "\\" * 20_000,
    ):
        insert(nb, "listening", markdown(source), after=True)
    answer(nb, "listening", "\n\n".join([">" * 5_000, "[a](" * 5_000, "**" * 5_000]))


# --- metadata ---------------------------------------------------------------------------------------


@hostile()
def points_changed(nb):
    for cell in nb["cells"]:
        mark = cell["metadata"].get("nbgrader", {})
        if mark.get("grade"):
            mark["points"] = 1000
            cell["source"] = "pass"
            mark["locked"], mark["checksum"] = False, "0" * 32


@hostile()
def own_cells_with_the_names_of_tests(nb):
    for task in assignment.TASKS:
        for part in ("visible", "hidden"):
            mark = dict(get(nb, f"{task}-{part}")["metadata"]["nbgrader"], points=100)
            insert(nb, "", code("print('passed')", f"{task}-{part}", nbgrader=mark))
            mark = dict(mark, grade_id=f"bonus-{task}-{part}", solution=True, task=False)
            insert(nb, "", code("assert True", f"bonus-{task}", nbgrader=mark))


@hostile()
def limits_changed(nb):
    nb["metadata"]["mlmusic"] = {
        "grading": {"call": 10**6, "cell": 10**6, "total": 10**6, "memory": 1 << 50, "run": "all"}
    }


@hostile()
def tests_edited_so_that_they_pass(nb):
    for task in assignment.TASKS:
        for part in ("visible", "hidden"):
            cell = get(nb, f"{task}-{part}")
            lines = cell["source"].splitlines()
            cell["source"] = "import numpy as np\n" + "\n".join(
                line.replace("assert ", "pass; 1 or ") for line in lines
            )


@hostile()
def tests_marked_as_answers(nb):
    for cell in nb["cells"]:
        mark = cell["metadata"].get("nbgrader")
        if mark:
            mark["solution"], mark["grade"] = mark["grade"], mark["solution"]


@hostile()
def solution_markers_of_its_own(nb):
    for task in assignment.TASKS:
        answer(nb, task, "### BEGIN HIDDEN TESTS\n### END HIDDEN TESTS\n### BEGIN SOLUTION\npass")
        answer(nb, f"{task}-hidden", "### BEGIN HIDDEN TESTS\npass\n### END HIDDEN TESTS")


@hostile()
def attack_in_markdown(nb):
    """Markdown that is taken back as code is code of the student's, and runs where that runs."""
    source = (
        f"def contour(pitches):\n    '''{SCRIPT}'''\n    import os\n    os._exit(0)\n"
        "import builtins, numpy\nnumpy.allclose = builtins.all = lambda *a: True\n"
    )
    for kind in ("markdown", "raw"):
        cell = get(nb, "contour" if kind == "markdown" else "select")
        cell["cell_type"] = kind
        cell["source"] = source if kind == "markdown" else source.replace("contour", "select")
        del cell["outputs"], cell["execution_count"]
    insert(nb, "", markdown("```python\n" + source.replace("contour", "transpose") + "```"))


@hostile()
def copies_of_the_tests_as_answers(nb):
    for task in assignment.TASKS:
        answer(nb, task, get(nb, f"{task}-visible")["source"])
    insert(nb, "", code(assignment.SETUP + "\n" + assignment.MELODY))


# --- texts that are harmful where they are shown ------------------------------------------------------


@hostile()
def html_everywhere(nb):
    answer(
        nb, "contour", f"def contour(pitches):\n    raise ValueError('''{SCRIPT}''')  # {SCRIPT}"
    )
    answer(nb, "select", f"class {'X' * 50}(Exception): pass\n'''{SCRIPT}</pre></code>'''\n1 / 0")
    answer(
        nb,
        "listening",
        f"{SCRIPT}\n\n[click](javascript:alert(7041)) ![x](x onerror=alert(7041))\n\n"
        "<iframe src='data:text/html,<script>alert(7041)</script>'></iframe>"
        "<svg onload=alert(7041)><style>@import 'http://127.0.0.1/x'</style>"
        "<form action='http://127.0.0.1/'><input name=q></form><base href='http://127.0.0.1/'>"
        "<meta http-equiv=refresh content='0;url=http://127.0.0.1/'>"
        "<a href='\x01javascript:alert(7041)'>x</a><math><mi//xlink:href='data:x,<script>'>",
    )
    data = {
        "text/html": SCRIPT,
        "image/svg+xml": f"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(7041)'>{SCRIPT}</svg>",
        "image/png": f'iVBORw0KGgo="/>{SCRIPT}<img src="',
        "text/latex": f"$\\href{{javascript:alert(7041)}}{{x}}$ {SCRIPT}",
        "text/markdown": f"[x](javascript:alert(7041)) {SCRIPT}",
        "application/javascript": "alert(7041)",
        "text/plain": SCRIPT,
        f'x/"{SCRIPT}': SCRIPT,
    }
    outputs = [
        {"output_type": "display_data", "data": {mime: text}, "metadata": {}}
        for mime, text in data.items()
    ]
    outputs += [
        {"output_type": "stream", "name": SCRIPT, "text": f"\x1b[31m{SCRIPT}\x1b]8;;http://x\x07"},
        {"output_type": "error", "ename": SCRIPT, "evalue": SCRIPT, "traceback": [SCRIPT]},
    ]
    insert(nb, "listening", code("plot()"))
    get(nb, "stray")["outputs"] = outputs
    get(nb, "contour")["outputs"] = outputs


@hostile()
def formulas_for_spreadsheets(nb):
    text = '=HYPERLINK("http://127.0.0.1/?"&A1,"x")'
    answer(nb, "contour", f"def contour(pitches):\n    raise ValueError('''{text}''')")
    answer(nb, "select", f"raise ValueError('''\n{text}\n+1+1,\"2\"\r\n@SUM(1)''')")
    answer(nb, "listening", text)


@hostile(file='=HYPERLINK(1), "2"; +3.ipynb')
def a_formula_as_name(nb):
    pass


@hostile(file="@SUM(1+1).ipynb")
def another_formula_as_name(nb):
    pass


@hostile(file="-rf.ipynb")
def an_option_as_name(nb):
    pass


@hostile(file="--force.ipynb")
def a_long_option_as_name(nb):
    pass


@hostile(file="new\nline\r\x1b[2J\t.ipynb")
def a_name_with_controls(nb):
    pass


@hostile(file="<script>alert(7041)<&#47;script>.ipynb")
def html_as_name(nb):
    pass


@hostile(file="%2e%2e%2f..\\..\\up.ipynb")
def a_way_up_as_name(nb):
    pass


@hostile(file="grades.csv.ipynb")
def a_result_as_name(nb):
    pass


@hostile(file="CON.ipynb")
def a_device_as_name(nb):
    pass


@hostile(file="\u202egnp.ipynb")
def a_name_from_right_to_left(nb):
    pass
