"""Write the repository's address into pyproject.toml and every notebook.

``make badges REPO=owner/name BRANCH=main`` is what a teacher runs in a fork: afterwards the Colab
links open the fork's notebooks and the setup cells install the fork's package. Without arguments
it writes the address that pyproject.toml has. Either way notebooks come out in the one form that
the lint asks for: formatted as nbformat does, without outputs (but those that nbval compares),
execution counts and what editors leave behind.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import nbformat
import notebook_parts as parts

COLAB = re.compile(
    r"https://colab\.research\.google\.com/github/[\w.-]+/[\w.-]+/blob/"
    rf"[^\s)]+?/((?:{'|'.join(parts.FOLDERS)})/[\w.-]+\.ipynb)"
)


def address(notebook: nbformat.NotebookNode, path: str, repo: parts.Repository) -> None:
    """Write `repo` into the notebook that lies at `path` in the repository, in place."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = COLAB.sub(lambda match: repo.colab(match[1]), cell.source)
        elif cell.get("id") == parts.SETUP_ID:
            cell.source = repo.setup
    first = notebook.cells[0]
    own = re.compile(r"^\[Open in Colab\]\(.*\)$", re.M)
    if own.search(first.source):  # also puts right a link that was copied from another notebook
        first.source = own.sub(lambda _: repo.link(path), first.source, count=1)


def main(argv: list[str] | None = None, root: Path = parts.ROOT) -> int:
    """Rewrite what has changed and say so."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--repo", metavar="OWNER/NAME", help="the repository on GitHub")
    parser.add_argument("--branch", help="its branch, or a tag")
    options = parser.parse_args(argv)
    old = parts.repository(root)
    repo = parts.Repository(options.repo or old.name, options.branch or old.branch)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo.name):
        parser.error(f"--repo {repo.name!r} isn't of the form owner/name")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", repo.branch):
        parser.error(f"--branch {repo.branch!r} isn't the name of a branch or tag")

    changed = []
    if repo != old:
        parts.set_repository(repo, root)
        changed.append("pyproject.toml")
    for path in parts.notebooks(root=root):
        notebook, name = parts.read(path), parts.relative(path, root)
        address(notebook, name, repo)
        parts.tidy(notebook)
        if parts.write(notebook, path):
            changed.append(name)
    print(f"{repo.name}, {repo.branch}: {', '.join(changed) or 'nothing to change'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
