"""One warm process of each kind for all tests; a fresh student's process for each test."""

import pytest

from mlmusic.grading.limits import Limits
from mlmusic.grading.sandbox import Sandbox, isolation

LIMITS = Limits(call=5, memory=1 << 30, files=20_000_000, text=2_000)
WARM = [
    "import os\nimport numpy as np\nRATE = 22_050",
    "1 / 0",
    "print('hello')\nsecond = RATE\nnp.random.seed(42)",
    "os.makedirs('data/raw')\nnp.save('data/raw/notes.npy', np.arange(3))\nos.chdir('data')",
]


@pytest.fixture(scope="session", params=["none", "bwrap", "landlock"])
def kind(request):
    if request.param != "none" and (reason := isolation.why_not(request.param)):
        pytest.skip(reason)
    return request.param


@pytest.fixture(scope="session")
def warm(kind):
    with Sandbox(kind, cells=WARM, limits=LIMITS) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(warm):
    warm.start()
    yield warm
    warm.stop()


@pytest.fixture
def run(sandbox):
    """Run a cell in a fresh student's process; return the reply."""

    def run(source, **fields):
        return sandbox.request("exec", seconds=10, source=source, **fields)

    return run


@pytest.fixture
def get(sandbox):
    return lambda name: sandbox.request("get", seconds=5, name=name)


@pytest.fixture
def call(sandbox):
    def call(target, *args, **fields):
        return sandbox.request("call", seconds=5, target=target, args=list(args), **fields)

    return call
