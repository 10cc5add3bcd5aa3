"""The rules that every committed notebook keeps, one function each.

A rule takes a `Page` and yields what is wrong, in words that say what to do. ``RULES`` lists them;
``lint`` applies all. README.md beside this file tells the same to a writer of notebooks.
"""

from __future__ import annotations

import copy
import re
import urllib.parse
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import notebook_parts as parts

MAX_LINES = 30
# Lower-case words joined by hyphens; and not what editors make up, which is hexadecimal.
READABLE_ID = re.compile(r"(?![0-9a-f-]{6,}$)[a-z][a-z0-9]*(-[a-z0-9]+)*")
MARKDOWN_IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)[^)]*\)")
MARKDOWN_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)[^)]*\)")
HTML_IMAGE = re.compile(r"<img\b[^>]*>", re.S)
ALT = re.compile(r"""\balt\s*=\s*(["'])\s*\S.*?\1""", re.S)
# Code that draws, and the ways to show it that carry alt text.
DRAWS = re.compile(
    r"\bplt\.(?!rcParams|close)\w+\(|\bplots\.(?!show|alt)\w+\(|\b(?:display\.)?Image\("
)
SHOWS = re.compile(r"\b(?:plots\.)?show\(|\balt\s*=")


@dataclass(frozen=True)
class Page:
    """A notebook with what the rules need to know about it."""

    path: Path
    notebook: nbformat.NotebookNode
    text: str  # the file as it stands
    repo: parts.Repository
    root: Path = parts.ROOT

    @property
    def kind(self) -> str:
        """One of notebooks, exercises, solutions."""
        return parts.kind(self.path)

    @property
    def cells(self) -> list[nbformat.NotebookNode]:
        """All cells."""
        return self.notebook.cells

    def prose(self) -> Iterator[tuple[str, str]]:
        """Yield id and source of each markdown cell, without its code blocks."""
        for cell in self.cells:
            if cell.cell_type == "markdown":
                yield (
                    cell.get("id", ""),
                    re.sub(r"```.*?```|`[^`\n]*`", "", cell.source, flags=re.S),
                )

    def code(self) -> list[nbformat.NotebookNode]:
        """Return the code cells."""
        return [cell for cell in self.cells if cell.cell_type == "code"]

    def headings(self, level: int) -> list[str]:
        """Return the headings of one level."""
        pattern = re.compile(rf"^#{{{level}}} +(.+?)\s*$", re.M)
        return [match for _, source in self.prose() for match in pattern.findall(source)]


def load(path: Path, repo: parts.Repository, root: Path = parts.ROOT) -> Page:
    """Read the notebook at `path`."""
    return Page(path, parts.read(path), path.read_bytes().decode("utf-8"), repo, root)


def file_format(page: Page) -> Iterator[str]:
    """Ask for valid nbformat 4.5, written in the one form that makes diffs small."""
    version = (page.notebook.nbformat, page.notebook.nbformat_minor)
    if version != (4, 5):
        yield f"is nbformat {version[0]}.{version[1]}, not 4.5"
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # a copy, as validation "repairs" ids used twice
            nbformat.validate(copy.deepcopy(page.notebook))
    except nbformat.ValidationError as error:
        yield f"isn't a valid notebook: {error.message}"
        return
    if page.text != parts.text_of(page.notebook):
        yield "isn't formatted as nbformat writes it: run `make badges`"
    metadata = page.notebook.metadata
    if metadata.get("kernelspec") != parts.KERNEL:
        yield "names another kernel than Python 3 in its metadata: run `make badges`"
    if extra := set(metadata) - {"kernelspec", "language_info", "mlmusic"}:
        yield f"has notebook metadata that no one needs: {', '.join(sorted(extra))}"
    if set(metadata.get("language_info", {})) - {"name"}:
        yield "has language_info beyond the name, which changes with every Python"


def ids(page: Page) -> Iterator[str]:
    """Ask for unique, readable ids; two of them are fixed."""
    found = [cell.get("id", "") for cell in page.cells]
    for name in sorted({name for name in found if found.count(name) > 1}):
        yield f"uses the id {name!r} more than once"
    for name in found:
        if not READABLE_ID.fullmatch(name):
            yield f"has the id {name!r}: use lower-case words joined by hyphens"
    if found[:1] != ["title"]:
        yield "first cell must have the id 'title'"
    if parts.SETUP_ID not in found:
        yield f"no cell has the id {parts.SETUP_ID!r}"


def outputs(page: Page) -> Iterator[str]:
    """Ask for outputs where nbval compares them, as text, and for no other traces of a run.

    An execution count of 1 belongs to the outputs: nbval takes a cell without for one not run.
    """
    for cell in page.code():
        if parts.is_checked(cell) != bool(cell.outputs):
            yield (
                f"cell {cell.id}: has outputs: run `make badges`, or mark the cell {parts.CHECKED}"
                if cell.outputs
                else f"cell {cell.id}: is marked {parts.CHECKED} but keeps no output to compare"
            )
        if cell.execution_count != (1 if cell.outputs else None):
            yield f"cell {cell.id}: has an execution count: run `make badges`"
        kinds = {kind for out in cell.outputs for kind in out.get("data", {})}
        if kinds - {"text/plain"}:
            yield f"cell {cell.id}: keeps {', '.join(sorted(kinds))}; only text may be kept"


def header(page: Page) -> Iterator[str]:
    """Ask for a title (a chapter's is a question) and one line for each field."""
    first = page.cells[0]
    lines = [line for line in first.source.splitlines() if line.strip()]
    if first.cell_type != "markdown" or not lines or not lines[0].startswith("# "):
        yield "first cell must be markdown and start with '# Title'"
        return
    if page.kind == "notebooks" and not lines[0].endswith("?"):
        yield f"title must be a question: {lines[0]!r}"
    names = parts.FIELDS[page.kind]
    found = re.findall(r"^- \*\*(.+?):\*\*", first.source, re.M)
    if tuple(found) != names:
        yield f"header must have the lines {', '.join(names)}, in this order; has {found}"
    for name in found:
        form, value = parts.FIELD_FORMS.get(name, r".*\w.*"), parts.field(first.source, name)
        if not re.fullmatch(form, value or ""):
            yield f"header's {name!r} says {value!r}; expected {form!r}"


def address(page: Page) -> Iterator[str]:
    """Ask for the Colab link, alone on a line; no such link may lead to another place."""
    path = parts.relative(page.path, page.root)
    if page.repo.link(path) not in page.cells[0].source.splitlines():
        yield f"first cell lacks the line {page.repo.link(path)!r}: run `make badges`"
    start = page.repo.colab("")
    for name, source in page.prose():
        for link in MARKDOWN_LINK.findall(source):
            if link.startswith("https://colab.research.google.com/") and not link.startswith(start):
                yield f"cell {name}: {link} leads to another repository: run `make badges`"


def setup(page: Page) -> Iterator[str]:
    """Ask for one setup cell, with the text that all share, and no code before it."""
    code = page.code()
    if not code or code[0].get("id") != parts.SETUP_ID:
        yield "first code cell must be the setup cell"
    elif code[0].source != page.repo.setup:
        yield "setup cell differs from the one all notebooks share: run `make badges`"
    heads = [i for i, cell in enumerate(page.cells) if cell.source.startswith("## ")]
    section = page.cells[heads[0] : heads[1]] if len(heads) > 1 else []
    if sum(cell.cell_type == "code" for cell in section) != 1:
        yield "the part '## Setup' must hold the setup cell and no other code"


def order(page: Page) -> Iterator[str]:
    """Ask for the parts of a chapter, or of an exercise, complete and in order."""
    found = [heading.split(":")[0].strip() for heading in page.headings(2)]
    if page.kind != "notebooks":
        tasks = [name for name in found if re.fullmatch(r"Task \d+", name)]
        if len(tasks) not in parts.TASKS:
            yield f"has {len(tasks)} tasks; {parts.TASKS[0]} to {parts.TASKS[-1]} are wanted"
        numbered = [f"Task {number + 1}" for number in range(len(tasks))]
        first, _, *last = parts.EXERCISE_PARTS
        expected = [first, *numbered, *last]
    else:
        without = page.notebook.metadata.get("mlmusic", {}).get("without", [])
        if unknown := set(without) - set(parts.PARTS):
            yield f"is declared to be without parts that don't exist: {sorted(unknown)}"
        expected = [name for name in parts.PARTS if name not in without]
        missing = [name for name in parts.SUMMARY_PARTS if name not in page.headings(3)]
        for name in missing:
            yield f"summary lacks '### {name}'"
    if found != expected:
        yield f"level-2 headings must be {expected}; they are {found}"


def alt_text(page: Page) -> Iterator[str]:
    """Ask every picture to say in words what it shows."""
    for name, source in page.prose():
        for alt, target in MARKDOWN_IMAGE.findall(source):
            if not alt.strip():
                yield f"cell {name}: the picture {target} has no alt text"
    for cell in page.cells:
        for image in HTML_IMAGE.findall(cell.source):
            if not ALT.search(image):
                yield f"cell {cell.id}: {image[:60]} has no alt text"
    for cell in page.code():
        if DRAWS.search(cell.source) and not SHOWS.search(cell.source):
            yield f"cell {cell.id}: draws a picture: show it with plots.show, which adds alt text"


def length(page: Page) -> Iterator[str]:
    """Ask for cells that are no longer than a screen."""
    for cell in page.cells:
        if (lines := len(cell.source.splitlines())) > MAX_LINES:
            yield f"cell {cell.id}: has {lines} lines; at most {MAX_LINES} are allowed"


def links(page: Page) -> Iterator[str]:
    """Ask relative links and pictures to exist in the repository, and others to be https."""
    anchors = {heading.replace(" ", "-") for level in (1, 2, 3) for heading in page.headings(level)}
    for name, source in page.prose():
        targets = MARKDOWN_LINK.findall(source) + [t for _, t in MARKDOWN_IMAGE.findall(source)]
        for target in targets:
            url = urllib.parse.urlsplit(target)
            if url.scheme == "https" or target.startswith("attachment:"):
                continue
            if url.scheme or url.netloc:
                yield f"cell {name}: {target} should be https, or relative to the notebook"
            elif not url.path:
                if urllib.parse.unquote(url.fragment) not in anchors:
                    yield f"cell {name}: {target} is no heading of this notebook"
            elif not (page.path.parent / urllib.parse.unquote(url.path)).exists():
                yield f"cell {name}: {target} doesn't exist"


def pictures_inside(page: Page) -> Iterator[str]:
    """Ask for pictures from here: the exported course works without a network."""
    for cell in page.cells:
        sources = [target for _, target in MARKDOWN_IMAGE.findall(cell.source)]
        sources += re.findall(r"""<img\b[^>]*\bsrc\s*=\s*["']([^"']+)""", cell.source)
        for target in sources:
            if re.match(r"(https?:)?//", target):
                yield f"cell {cell.id}: the picture {target} would be fetched from the network"


def exercises(page: Page) -> Iterator[str]:
    """Ask a chapter to link to its exercises."""
    target = f"../exercises/{page.path.name}"
    if page.kind == "notebooks" and not any(f"]({target})" in source for _, source in page.prose()):
        yield f"doesn't link to its exercises: {target}"


RULES = (
    file_format,
    ids,
    outputs,
    header,
    address,
    setup,
    order,
    alt_text,
    length,
    links,
    pictures_inside,
    exercises,
)


def lint(page: Page) -> list[str]:
    """Return everything that is wrong with the notebook; a broken file stops at its format."""
    if faults := list(file_format(page)):
        return faults
    return [fault for rule in RULES[1:] for fault in rule(page)]
