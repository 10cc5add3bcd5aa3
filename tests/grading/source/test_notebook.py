"""Notebooks are read whoever saved them; what isn't one is refused in one line."""

import json

import pytest

from mlmusic.grading.source import notebook as module
from mlmusic.grading.source.notebook import UnreadableNotebook, read_notebook
from tests.grading.marking import made

PLAIN = made.notebook(("markdown", "# Übung"), ("code", "x = 'é'\ny = 2"), ("raw", "rest"))


def texts(data):
    return [(cell.kind, cell.source) for cell in read_notebook(data).cells]


EXPECTED = [("markdown", "# Übung"), ("code", "x = 'é'\ny = 2"), ("raw", "rest")]


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"],
)
def test_unicode_in_every_encoding(encoding):
    data = json.dumps(PLAIN, ensure_ascii=False).encode(encoding)
    assert texts(data) == EXPECTED
    assert not read_notebook(data).guessed_encoding


def test_single_western_bytes_are_understood_and_noted():
    data = json.dumps(PLAIN, ensure_ascii=False).encode("cp1252")
    assert texts(data) == EXPECTED
    assert read_notebook(data).guessed_encoding


def test_line_ends_of_windows_and_old_macs():
    data = made.packed(made.notebook(("code", "a\r\nb\rc")))
    assert texts(data) == [("code", "a\nb\nc")]
    assert texts(json.dumps(PLAIN, indent=1).replace("\n", "\r\n").encode()) == EXPECTED


def test_source_as_a_list_of_lines():
    content = made.notebook(("code", ["a = 1\n", "b = 2", None, 3]))
    assert texts(made.packed(content)) == [("code", "a = 1\nb = 2")]


def test_nbformat_3_with_sheets_headings_and_inputs():
    content = {
        "nbformat": 3,
        "metadata": {"name": ""},
        "worksheets": [
            {"cells": [{"cell_type": "heading", "level": 2, "source": "Task"}]},
            {
                "cells": [
                    {
                        "cell_type": "code",
                        "input": ["x = 1"],
                        "language": "python",
                        "outputs": [
                            {"output_type": "pyout", "text": ["1"], "png": "AAAA"},
                            {"output_type": "pyerr", "ename": "E", "evalue": "v"},
                        ],
                    }
                ]
            },
        ],
    }
    first, second = read_notebook(made.packed(content)).cells
    assert (first.kind, first.source) == ("markdown", "## Task")
    assert second.source == "x = 1"
    assert second.outputs == (
        {"mime": "image/png", "data": "AAAA"},
        {"mime": "text/plain", "data": "E: v"},
    )


def test_nbformat_4_0_has_neither_ids_nor_metadata():
    content = {"nbformat": 4, "cells": [{"cell_type": "code", "source": "x = 1"}]}
    (cell,) = read_notebook(made.packed(content)).cells
    assert (cell.source, cell.id, cell.grade_id, cell.outputs) == ("x = 1", "", "", ())


def test_colab_keeps_the_ids_in_the_metadata():
    content = made.notebook(("code", "x = 1"))
    content["cells"][0]["metadata"]["id"] = content["cells"][0].pop("id")
    assert read_notebook(made.packed(content)).cells[0].id == "id-0"


def test_junk_keys_and_values_do_no_harm():
    content = made.notebook(("code", "x = 1"))
    content["cells"][0] |= {
        "metadata": ["odd"],
        "outputs": [3, {"output_type": []}, {"mime": "text/html", "data": 5}, {"mime": []}],
        "id": 7,
        "junk": {"a": [None]},
    }
    content["cells"] += [None, 3, "text"]
    (cell,) = read_notebook(made.packed(content)).cells
    assert (cell.source, cell.id, cell.marks, cell.outputs) == ("x = 1", "", {}, ())


def test_what_json_does_not_know_is_read_all_the_same():
    text = json.dumps(PLAIN).replace('"nbformat": 4', '"a": NaN, "b": -Infinity, "nbformat": 4')
    text = text.replace('"execution_count": null', '"execution_count": ' + "9" * 6000)
    assert texts(text.encode()) == EXPECTED
    assert texts(json.dumps(PLAIN).encode() + b"\n\x00 and more") == EXPECTED
    assert texts(json.dumps(PLAIN).replace("y = 2", "y =\t2").encode())[1][1].endswith("y =\t2")


def test_half_a_character_becomes_one_that_can_be_written():
    data = made.packed(made.notebook(("code", "x = '\ud800'")))
    (cell,) = read_notebook(data).cells
    assert cell.source == "x = '\ufffd'"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "an empty file"),
        (b"  \n", "an empty file"),
        (b"PK\x03\x04\xff\xfe", "its text isn't JSON"),
        (b"<html></html>", "its text isn't JSON"),
        (json.dumps(PLAIN).encode()[:-30], "cut off"),
        (b"[1, 2]", "JSON, but not a notebook"),
        (b"{}", "it has no cells"),
        (b'{"cells": 3}', "it has no cells"),
        (b'{"worksheets": 3}', "it has no cells"),
        (b'{"cells":' * 100_000, "nested too deeply"),
        (b"\xff\xfea", "not a notebook"),
    ],
    ids=range(11),
)
def test_what_is_no_notebook_is_refused_in_one_line(data, reason):
    with pytest.raises(UnreadableNotebook, match=reason) as caught:
        read_notebook(data)
    assert "\n" not in str(caught.value)


def test_too_large_a_file_is_not_even_tried(monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 1_000_000)
    with pytest.raises(UnreadableNotebook, match="larger than 1 MB"):
        read_notebook(b" " * 1_000_001)


def test_an_output_keeps_its_richest_form():
    both = {"text/plain": "<Figure>", "image/png": "iVBOR", "text/html": "<b>"}
    outputs = [
        {"output_type": "display_data", "data": both, "metadata": {}},
        {"output_type": "stream", "name": "stdout", "text": ["a\n", "b"]},
        {"output_type": "execute_result", "data": {"application/x-custom": "?"}},
    ]
    content = made.notebook(("code", "plot()", {"outputs": outputs}))
    (cell,) = read_notebook(made.packed(content)).cells
    assert cell.outputs == (
        {"mime": "image/png", "data": "iVBOR"},
        {"mime": "text/plain", "data": "a\nb"},
    )


def test_fifty_megabytes_of_outputs_are_dropped():
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": "x" * 25_000_000},
        {"output_type": "display_data", "data": {"image/png": "A" * 25_000_000}},
    ]
    content = made.notebook(("code", "print()", {"outputs": outputs}), ("code", "y = 1"))
    first, second = read_notebook(made.packed(content)).cells
    assert [len(output["data"]) for output in first.outputs] == [module.MAX_TEXT]
    assert second.source == "y = 1"
