"""What every notebook shares: where it lives, its header, its setup cell and its headings.

The one place for these texts. ``badges.py`` writes them into the notebooks, ``notebook_lint.py``
checks them, ``run_notebooks.py`` reads and updates the stated cost. The repository's address and
branch stand in pyproject.toml (``[project.urls] Repository`` and ``[tool.mlmusic] branch``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("notebooks", "exercises", "solutions")
SAMPLE = ROOT / "tests" / "notebooks" / "sample"  # a small course, to test the tools on

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}

SETUP_ID = "setup"
SETUP = """\
# Setup, the same in every notebook. On Colab this installs the course's package and leaves
# every version that Colab already has as it is; anywhere else it only imports.
import importlib.util
import sys

if "google.colab" in sys.modules and not importlib.util.find_spec("mlmusic"):
    !pip list --format=freeze > /tmp/colab.txt
    %pip install -q -c /tmp/colab.txt "mlmusic[colab] @ git+{url}@{branch}"

import mlmusic

print(mlmusic.about())
""".rstrip()

# The first cell is markdown: a title, the Colab link alone on a line, then one line for each of
# these, e.g. "- **You will hear:** a chorale in four voices". The link is text, not the usual
# picture: a picture would be fetched from Google's servers by everyone who opens the page, also
# from the exported course, which must work without a network.
LINK = "[Open in Colab]({colab})"
COST = "Running"
FIELDS = {
    "notebooks": ("You will hear", "You will build", "You should know", "Reading", COST),
    "exercises": ("You will practise", "You should know", "Working", COST),
    "solutions": ("You will practise", "You should know", "Working", COST),
}
FIELD_FORMS = {  # what follows "- **Reading:** "; the other fields are free text
    "Reading": r"about \d+ minutes",
    "Working": r"about \d+ minutes",
    COST: r"about \d+ CPU seconds",
}

# A chapter's level-2 headings, in this order. A heading may go on after a colon
# ("## Build it: a piano roll"), and a part may have level-3 headings of its own.
# A chapter that has nothing to train, say, declares it in the notebook's metadata:
# {"mlmusic": {"without": ["Train it", "Listen again"]}}.
PARTS = (
    "Setup",
    "Listen and look",
    "The idea",
    "Build it",
    "Check it",
    "Train it",
    "Listen again",
    "Measure it",
    "Play with it",
    "Where it fails",
    "Summary",
)
SUMMARY_PARTS = ("Exercises", "References")  # level 3, inside the summary
# An exercise's and a solution's: "## Task 1: …" to at most "## Task 6: …" between the two.
EXERCISE_PARTS = ("Setup", "Task", "Find the fault", "Listening question")
TASKS = range(4, 7)  # how many tasks

CHECKED = "# NBVAL_CHECK_OUTPUT"  # a line of a code cell whose output nbval compares

CPU_SECONDS = {"notebooks": 180, "exercises": 60, "solutions": 60}  # DESIGN: the budget of a run
MEMORY_GB = 2.0


@dataclass(frozen=True)
class Repository:
    """Where the course lives on GitHub."""

    name: str  # owner/name
    branch: str

    @property
    def url(self) -> str:
        """The address of the repository."""
        return f"https://github.com/{self.name}"

    @property
    def files(self) -> str:
        """The address below which its files are shown."""
        return f"{self.url}/blob/{self.branch}"

    def colab(self, path: str) -> str:
        """Return the address that opens the notebook at `path` (relative, with /) on Colab."""
        return f"https://colab.research.google.com/github/{self.name}/blob/{self.branch}/{path}"

    def link(self, path: str) -> str:
        """Return the Colab link of a notebook's first cell, as markdown."""
        return LINK.format(colab=self.colab(path))

    @property
    def setup(self) -> str:
        """The source of the setup cell."""
        return SETUP.format(url=self.url, branch=self.branch)


_ADDRESS = re.compile(r'^(Repository\s*=\s*")https://github\.com/([\w.-]+/[\w.-]+?)(")', re.M)
_BRANCH = re.compile(r'^(branch\s*=\s*")([^"]+)(")', re.M)


def repository(root: Path = ROOT) -> Repository:
    """Read the repository's address from pyproject.toml.

    Raises
    ------
    ValueError
        If pyproject.toml holds no GitHub address, or no branch.
    """
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    address, branch = _ADDRESS.search(text), _BRANCH.search(text)
    if not address or not branch:
        raise ValueError(
            'pyproject.toml needs Repository = "https://github.com/owner/name" in [project.urls] '
            'and branch = "main" in [tool.mlmusic]'
        )
    return Repository(address[2], branch[2])


def set_repository(repo: Repository, root: Path = ROOT) -> None:
    """Write the repository's address into pyproject.toml."""
    repository(root)  # says what is missing
    path = root / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    text = _ADDRESS.sub(rf"\g<1>{repo.url}\g<3>", text)
    path.write_text(_BRANCH.sub(rf"\g<1>{repo.branch}\g<3>", text), encoding="utf-8")


def notebooks(*folders: str, root: Path = ROOT) -> list[Path]:
    """Return the notebooks of the named folders (all three by default), in the course's order."""
    return [path for name in folders or FOLDERS for path in sorted((root / name).glob("*.ipynb"))]


def kind(path: Path) -> str:
    """Return which of the three folders a notebook belongs to; a stray one counts as a chapter."""
    return path.parent.name if path.parent.name in FOLDERS else "notebooks"


def relative(path: Path, root: Path = ROOT) -> str:
    """Return a notebook's path from the root of the repository, with /."""
    path = path.resolve()
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def read(path: Path) -> nbformat.NotebookNode:
    """Read a notebook as it stands, without converting it."""
    return nbformat.reads(path.read_text(encoding="utf-8"), as_version=nbformat.NO_CONVERT)


def text_of(notebook: nbformat.NotebookNode) -> str:
    """Return the notebook as it is written to a file: the same text for the same content."""
    # v4's writer: nbformat.writes would "repair" what the lint should find, such as ids used twice
    return nbformat.v4.writes(notebook).rstrip("\n") + "\n"


def write(notebook: nbformat.NotebookNode, path: Path) -> bool:
    """Write the notebook if that changes the file; return whether it did."""
    text = text_of(notebook)
    if path.exists() and path.read_bytes() == text.encode():
        return False
    path.write_bytes(text.encode())  # bytes: Windows would turn the line ends
    return True


def is_checked(cell: nbformat.NotebookNode) -> bool:
    """Say whether nbval compares the output of this code cell."""
    return any(line.strip() == CHECKED for line in cell.source.splitlines())


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Remove what running and saving left in a notebook, in place.

    Outputs stay in checked cells. There the execution count is 1, as nbval takes a cell without
    one for a cell that wasn't run; elsewhere it is cleared.
    """
    for cell in notebook.cells:
        for name in ("ExecuteTime", "collapsed", "execution", "scrolled", "trusted"):
            cell.metadata.pop(name, None)
        if cell.cell_type != "code":
            continue
        cell.execution_count = 1 if is_checked(cell) and cell.outputs else None
        cell.outputs = cell.outputs if is_checked(cell) else []
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = 1
    metadata = notebook.metadata
    for name in set(metadata) - {"kernelspec", "language_info", "mlmusic"}:
        del metadata[name]
    metadata.kernelspec = nbformat.from_dict(KERNEL)
    metadata.language_info = nbformat.from_dict({"name": "python"})


def field(header: str, name: str) -> str | None:
    """Return what a header says in the field `name`, or None."""
    match = re.search(rf"^- \*\*{re.escape(name)}:\*\* (.+)$", header, re.M)
    return match[1].strip() if match else None


def stated_cost(notebook: nbformat.NotebookNode) -> int | None:
    """Return the CPU seconds that the notebook's header states, or None."""
    match = re.search(r"\d+", field(notebook.cells[0].source, COST) or "")
    return int(match[0]) if match else None
