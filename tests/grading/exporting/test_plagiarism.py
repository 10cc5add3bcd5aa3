"""Answers for plagiarism checkers."""

import ast
import json

import nbformat
import pytest

from mlmusic.grading import export
from mlmusic.grading.exporting.plagiarism import python
from mlmusic.grading.runs.formats import safe_names
from tests.grading.test_export import result, write_results


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f():\n    return 1  # mine", "def f():\n    return 1  # mine"),
        ("%time f()\n!pip install x\nf?", "pass  # %time f()\npass  # !pip install x\npass  # f?"),
        ("if x:\n    %time f()", "if x:\n    pass  # %time f()"),
        ("%%time\r\nx = 1", "pass  # %%time\nx = 1"),
        ("names = !ls", "pass  # names = !ls"),
        ("x = await g()\ns = '''\n%d\n'''", "x = await g()\ns = '''\n%d\n'''"),
        ("", ""),
    ],
)
def test_what_only_ipython_reads_becomes_a_comment(source, expected):
    assert python(source) == (expected, True)
    ast.parse(python(source)[0])


@pytest.mark.parametrize("source", ["def f(:\n    x", "The second one\n\nis louder.", "f(" * 500])
def test_what_is_not_python_becomes_a_comment(source):
    text, is_code = python(source)
    assert not is_code
    assert text == "\n".join(f"# {line}" for line in source.splitlines())


def run(out, folder, *arguments):
    return export.main([str(out), "--answers", str(folder), *arguments])


def released(path, source="import numpy as np\n%matplotlib inline"):
    cells = [nbformat.v4.new_code_cell(source), nbformat.v4.new_markdown_cell("# Title")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_a_file_a_student_and_the_released_code_beside_them(tmp_path, capsys):
    broken = result("b", "../grace")
    broken["tasks"][0]["answer"] = "def f(:"
    out = write_results(tmp_path / "out", [result("a", "ada"), broken, result("c", "ada")])
    folder = tmp_path / "an swers"
    base = released(tmp_path / "00_listen.ipynb")
    assert run(out, folder, "--base", str(base)) == 3
    printed = capsys.readouterr()
    assert printed.err == (
        "b: the answer to answer isn't Python; it is kept as a comment, which no checker compares\n"
    )
    assert printed.out.splitlines() == [
        f"JPlag: java -jar jplag.jar -l python3 -bc '{folder}-base' '{folder}'",
        f"MOSS:  perl moss.pl -l python -d -b '{folder}-base/00_listen.py' '{folder}'/*/*.py",
    ]
    found = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*.*")}
    assert found == {
        "ada/00_listen.py": "# answer\ndef f():\n    return 1  # one\n\n# listening\n"
        "# It *sounds*\n# <script>alert(1)</script> [well](javascript:x)\n",
        "ada/00_listen-2.py": found["ada/00_listen.py"],
        f"{safe_names(['../grace'])['../grace']}/00_listen.py": found["ada/00_listen.py"].replace(
            "def f():\n    return 1  # one", "# def f(:"
        ),
    }
    for text in found.values():
        ast.parse(text)
    assert (tmp_path / "an swers-base" / "00_listen.py").read_text() == (
        "import numpy as np\npass  # %matplotlib inline\n"
    )


def test_without_the_released_code(tmp_path, capsys):
    out = write_results(tmp_path / "out", [result("a", "ada")])
    assert run(out, tmp_path / "answers") == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        f"JPlag: java -jar jplag.jar -l python3 {tmp_path / 'answers'}"
    )


def test_a_source_with_solutions_is_never_the_base(tmp_path, capsys):
    out = write_results(tmp_path / "out", [result("a", "ada")])
    secret = released(tmp_path / "s.ipynb", "### BEGIN SOLUTION\nx = 1\n### END SOLUTION")
    assert run(out, tmp_path / "answers", "--base", str(secret)) == 1
    assert "has solutions or hidden tests: name the released notebook" in capsys.readouterr().err
    assert not (tmp_path / "answers").exists()


@pytest.mark.parametrize("content", ["", "[]", json.dumps({"cells": [1]})])
def test_a_base_that_is_no_notebook(tmp_path, capsys, content):
    out = write_results(tmp_path / "out", [result("a", "ada")])
    (tmp_path / "x.ipynb").write_text(content)
    assert run(out, tmp_path / "answers", "--base", str(tmp_path / "x.ipynb")) == 1
    assert capsys.readouterr().err == (f"mlmusic export: {tmp_path / 'x.ipynb'} isn't a notebook\n")
