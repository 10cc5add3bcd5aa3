"""Which names a cell defines and uses, whatever syntax stands in it."""

import pytest

from mlmusic.grading.releasing import names

CELLS = [
    ("x = f(y)", "x", "f y"),
    ("import numpy as np\nimport a.b\nfrom c import d as e", "np a e", ""),
    ("def g(a, b=c):\n    t = a + h\n    return t", "g", "c h"),
    (
        "class Model(Base):\n    size = w\n    def call(self): return self.net(u)",
        "Model",
        "Base w u",
    ),
    ("for i in rows:\n    assert i == [j for j in columns]", "i", "rows columns"),
    ("with open(path) as file: (n := 3)", "file n", "open path"),
    ("def outer():\n    global kept\n    kept = found", "outer kept", "found"),
    ("assert octave_up(60) == 72, f'{message}'", "", "octave_up message"),
    ("try:\n    pass\nexcept E:\n    print(3)", "", "E print"),
    ("match chord:\n    case [root, *others]: pass", "root others", "chord"),
    ("result = await play(tune)", "result", "play tune"),
    ("!ls\n%matplotlib inline\nx = 1", "x", "get_ipython"),
    ("files = !ls", "files", "get_ipython"),
    ("%%time\nx = f()", "x", "f"),
    ("t = '''\n  a line\n'''", "t", ""),
    ("x += 1", "x", ""),
    ("from numpy import *\nx = sin(y)", "x", "sin y"),
    ("", "", ""),
]


@pytest.mark.parametrize(("source", "defined", "used"), CELLS)
def test_names_of_a_cell(source, defined, used):
    tree = names.parse(source)
    assert names.defined(tree) == set(defined.split())
    assert names.used(tree) == set(used.split())


def test_a_definition_is_mapped_to_what_it_needs():
    tree = names.parse("def check(x): return octave_up(x)\nlow = 3\nhigh = octave_up(low)")
    assert names.definitions(tree) == {
        "check": {"octave_up"},
        "low": set(),
        "high": {"octave_up", "low"},
    }


@pytest.mark.parametrize(
    "source", ["from x import *", "exec(text)", "globals()['x'] = 1", "%run other.ipynb", "%pylab"]
)
def test_a_cell_that_may_define_anything_is_open(source):
    assert names.is_open(names.parse(source))


@pytest.mark.parametrize(
    "source", ["from x import y", "!run this", "%matplotlib inline", "run = 'load'", "execute()"]
)
def test_any_other_cell_is_not(source):
    assert not names.is_open(names.parse(source))


@pytest.mark.parametrize("source", ["def f(:", "return 3", "x = [1,", "f() = 3", "x\0", "(" * 999])
def test_what_is_not_python_raises(source):
    with pytest.raises(SyntaxError):
        names.parse(source)


def test_words_in_texts_find_what_eval_hides():
    assert names.words_in_texts(names.parse("eval('octave_up(3)') # fifth")) >= {"octave_up"}
