"""CSV files that are changed in a few cells only."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmusic.grading.exporting.table import Table

TEXTS = st.text(alphabet='ab ,;"\r\n\tÄé', max_size=6)
ROWS = st.lists(st.lists(TEXTS, min_size=2, max_size=4), min_size=1, max_size=4)


@settings(max_examples=200, deadline=None)
@given(ROWS, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), st.sampled_from(["\r\n", "\n"]))
def test_cells_are_what_the_standard_library_reads(rows, quoting, end):
    """A header with commas decides on the delimiter, then every text goes."""
    rows = [["a", "b", "c", "d", "e", "f", "g", "h"], *rows]
    out = io.StringIO()
    csv.writer(out, quoting=quoting, lineterminator=end).writerows(rows)
    found = Table(out.getvalue().encode())
    read = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert found.rows == [row or [""] for row in read]  # a line with nothing is a row, too
    assert found.to_bytes() == out.getvalue().encode()


@settings(max_examples=100, deadline=None)
@given(ROWS, st.data())
def test_what_is_set_is_read_back_and_nothing_else_changes(rows, data):
    rows = [["a", "b", "c", "d", "e", "f", "g", "h"], *rows]
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    changed = Table(out.getvalue().encode())
    row = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(0, 5))
    value = data.draw(TEXTS)
    changed.set(row, column, value)
    rows[row] += [""] * (column + 1 - len(rows[row]))
    rows[row][column] = value
    again = Table(changed.to_bytes())
    assert again.rows == changed.rows == rows


def test_every_byte_but_the_cell_stays():
    data = b'\xef\xbb\xbfID;"Na""me";Grade\r\n1;"M\xc3\xbcller; A";""\r\n2;B;\n\n3;C'
    found = Table(data)
    head, *rest = found.rows
    assert head == ["ID", 'Na"me', "Grade"]
    assert rest == [["1", "Müller; A", ""], ["2", "B", ""], [""], ["3", "C"]]
    assert found.to_bytes() == data
    found.set(1, 2, "7")
    found.set(2, 2, "8,5")
    found.set(4, 2, "9")
    assert found.to_bytes() == (
        b'\xef\xbb\xbfID;"Na""me";Grade\r\n1;"M\xc3\xbcller; A";"7"\r\n2;B;8,5\n\n3;C;9'
    )


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("cp1252", b""),
    ],
)
def test_the_encoding_stays(encoding, mark):
    data = mark + "Náme,Grade\r\nÅsa,\r\n".encode(encoding)
    found = Table(data)
    assert found.rows[1] == ["Åsa", ""]
    found.set(1, 1, "5")
    assert found.to_bytes() == mark + "Náme,Grade\r\nÅsa,5\r\n".encode(encoding)


def test_a_character_that_the_encoding_lacks_becomes_a_reference():
    found = Table("Náme,Note\r\nÅsa,\r\n".encode("cp1252"))
    found.set(1, 1, "Ω")
    assert found.to_bytes().endswith(b",&#937;\r\n")


@pytest.mark.parametrize("value", ["a,b", 'say "x"', "two\nlines", " edge"])
def test_a_value_that_needs_quotes_gets_them(value):
    found = Table(b"a,b\n1,\n")
    found.set(1, 1, value)
    assert list(csv.reader(io.StringIO(found.to_bytes().decode(), newline="")))[1] == ["1", value]


def test_an_open_quote_and_a_binary_file_are_refused():
    with pytest.raises(ValueError, match=r"^roster.csv, line 2: a quote isn't closed$"):
        Table(b'a,b\n"x,""\n', "roster.csv")
    with pytest.raises(ValueError, match=r"^a.xlsx isn't a text file: save it as CSV in UTF-8$"):
        Table(b"PK\x03\x04\0\0\x81\x8d", "a.xlsx")
