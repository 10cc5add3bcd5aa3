"""What code says without being run: its names, and whether two cells are the same."""

import ast

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from mlmusic.grading.source import syntax


def names(source):
    return syntax.names_of(syntax.parse(source))


def test_names_that_are_bound_imported_and_needed():
    found = names(
        "import numpy as np\n"
        "from a.b import c as d\n"
        "%matplotlib inline\n"
        "x = await g(y)\n"
        "@decorator\n"
        "def f(a, b=default):\n"
        "    import inner\n"
        "    return later(a) + x + sum(i for i in known)\n"
        "class C(Base):\n"
        "    attribute = at_once\n"
        "    def method(self): return much_later\n"
        "for i in things: print(i)\n"
        "with opened as file: file.read()\n"
        "while (walrus := step()): pass\n"
    )
    assert found.bound == {"np", "d", "x", "f", "C", "i", "file", "walrus"}
    assert found.imported == {"np", "d"}
    assert found.now >= {"g", "y", "decorator", "default", "Base", "at_once", "things", "step"}
    assert not found.now & {"later", "known", "much_later", "i", "file", "x", "np", "a", "inner"}
    assert dict(found.later)["f"] == {"later", "x", "sum", "known"}
    assert dict(found.later)["C"] == {"much_later"}
    assert {"later", "much_later", "g"} <= found.mentioned


def test_a_name_is_needed_where_it_is_used_before_it_is_bound():
    assert "x" in names("x = x + 1").now
    assert "x" in names("x += 1").now
    assert "x" not in names("x = 1\nx += 1").now
    assert names("not python (").bound == frozenset()


@pytest.mark.parametrize(
    "source",
    [
        "",
        "\n \n\nx = 1",
        "x = 1\n!ls\ny = %time 3\n",
        ">>> x = 1\n... y",
        "In [1]: x = 5",
        "f(1)\n   ...: g(2)",
        "x = (\n...\n)",
        "  # indented\nif x:\n    y = 1",
        "x = '''\n%time\n'''",
        "if x:\n%time y",
        "x?",
        "not python (",
    ],
)
def test_what_is_python_already_is_read_as_ipython_reads_it(source):
    assert syntax.python_of(source) == TransformerManager().transform_cell(source)


def test_a_cell_of_nothing_but_commands_is_not_read():
    assert syntax.is_laborious("%time x\n" * 6_000)
    assert not syntax.is_laborious("%time x\n" * 100 + "x = 1\n" * 1_000)
    assert syntax.parse("%time x\n" * 6_000) is None


@pytest.mark.parametrize(
    "other",
    [
        "def f(x):\n  return [x,'a']   # why\n",
        'def f(\n    x,\n):\n\n    return [\n        x,\n        "a",\n    ]\n',
        "\r\ndef f(x):\n\treturn [x, ('a')]",
    ],
)
def test_the_same_code_in_another_layout(other):
    one = syntax.keys_of('def f(x):\n    return [x, "a"]')
    assert set(one) & set(syntax.keys_of(other))


def test_docstrings_are_the_same_when_only_their_indentation_differs():
    one = syntax.parse('def f():\n    """One.\n\n    Two.\n    """')
    other = syntax.parse('def f():\n  """One.\n\n  Two."""')
    assert syntax.fingerprint(one) == syntax.fingerprint(other)
    assert ast.get_docstring(one.body[0], clean=False) == "One.\n\n    Two.\n    "  # unchanged


@pytest.mark.parametrize("other", ["def f(x): return x+2", "def g(x): return x+1", "x = 1"])
def test_different_code_is_different(other):
    assert not set(syntax.keys_of("def f(x): return x+1")) & set(syntax.keys_of(other))


def test_cells_of_nothing_but_comments_are_known_by_their_text():
    assert list(syntax.keys_of("# one")) != list(syntax.keys_of("# two"))


def test_magics():
    assert syntax.python_of("%%time\nx = 1") == "x = 1\n"
    assert syntax.python_of("%%bash\nls") == ""
    assert "get_ipython().system" in syntax.python_of("!ls")
    assert syntax.parse("x = !ls\n%timeit f()\n?help\n!pip install a").body[0].targets[0].id == "x"


@pytest.mark.parametrize("source", ["def", "x = '\0'", "(" * 5000, "-" * 100_000 + "1", "'\ud800'"])
def test_what_is_not_code_does_not_parse(source):
    assert syntax.parse(source) is None


def test_statements_are_taken_out_and_lines_stay():
    source = "a = 1; assert f(1) == 2; b = 3\n@deco\ndef f():\n    pass\n"
    source += 'c = "ü"; assert (1 ==\n 2); d = 4'
    tree = syntax.parse(source)
    unwanted = [n for n in tree.body if isinstance(n, (ast.Assert, ast.FunctionDef))]
    left = syntax.without(source, unwanted)
    assert left.split("\n") == ["a = 1; pass; b = 3", "pass", "", "", 'c = "ü"; pass; d = 4', ""]


@pytest.mark.parametrize(
    ("source", "shows"),
    [
        ("print(mlmusic.about())", True),
        ("display(play({'a': tune, 'b': backwards(tune)}))", True),
        ("try:\n    display(backwards(x))\nexcept E:\n    print('no')", True),
        ("'a docstring'", True),
        ("print(fit(model))", False),
        ("print(model.train())", False),
        ("print(x := 3)", False),
        ("x = print(1)", False),
        ("fit(model)", False),
    ],
)
def test_statements_that_only_show_something(source, shows):
    statement = syntax.parse(source).body[0]
    assert syntax.only_shows(statement, frozenset({"backwards"})) is shows
