"""Execute the course and export it as HTML: ``make site`` writes site/, which isn't committed.

Each chapter is run from top to bottom and becomes one page with its pictures and sounds inside; an
index lists them. The pages need no network: nbconvert's would fetch scripts for mathematics and
widgets, so formulas are written as MathML here, and a widget is shown as what it displayed when
the chapter was run. The export stops at a cell that fails, and at a picture without alt text.
"""

from __future__ import annotations

import argparse
import html
import os
import re
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the kernels

import nbformat
import notebook_parts as parts

WIDGET = "application/vnd.jupyter.widget-view+json"
TEMPLATE = """{% extends 'lab/index.html.j2' %}
{% block html_head_js %}{% endblock %}
{% block jupyter_widgets %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
"""
FETCHES = re.compile(
    r"<(?:script|img|audio|source|iframe|video)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^>]*>"
    r"|<link\b[^>]*\bhref=[\"']?(?:https?:)?//[^>]*>"
)
NO_ALT = re.compile(
    r"<img\b(?![^>]*\balt=[\"'][^\"'])[^>]*>|<img\b[^>]*No description has been provided[^>]*>"
)
# Code first, so that a dollar sign inside it is no formula.
FORMULA = re.compile(
    r"(?P<code>```.*?```|`[^`\n]+`)|\$\$(?P<display>.+?)\$\$|(?<![\\$\w])\$(?P<inline>[^$\n]+?)\$(?!\d)",
    re.S,
)
INDEX = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Machine learning for music</title>
<style>body {{ font: 1.1rem/1.5 sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }}
li {{ margin-bottom: 1rem }}</style>
<main>
<h1>Machine learning for music</h1>
<ol start="0">
{chapters}
</ol>
<p>Run it yourself: <a href="{url}">{url}</a></p>
</main>
</html>
"""


def with_mathml(source: str) -> str:
    """Return markdown with its LaTeX formulas as MathML, which browsers draw without a script."""
    from latex2mathml.converter import convert

    def replace(match: re.Match) -> str:
        if match["code"]:
            return match[0]
        display = "block" if match["display"] else "inline"
        return convert((match["display"] or match["inline"]).strip(), display=display)

    return FORMULA.sub(replace, source)


def with_page_links(source: str, url: str) -> str:
    """Return markdown whose links to chapters lead to their pages, and others to the repository."""
    source = re.sub(r"\]\((\w[\w-]*)\.ipynb(#[^)]*)?\)", r"](\1.html\2)", source)
    return re.sub(r"\]\(\.\./([^)]+)\)", lambda match: f"]({url}/{match[1]})", source)


def without_widgets(notebook: nbformat.NotebookNode) -> None:
    """Replace each widget, in place, by what it displayed when the notebook was run."""
    saved = notebook.metadata.pop("widgets", {})
    state = saved.get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            view = output.get("data", {}).pop(WIDGET, None)
            if view and "text/html" not in output.data:
                shown = _shown(view["model_id"], state)
                note = "<p><em>Run the notebook to use the controls that belong here.</em></p>"
                output.data = nbformat.from_dict({"text/html": shown + note})


def _shown(model_id: str, state: dict) -> str:
    """Return the HTML inside a widget: its own, its outputs', its children's."""
    model = state.get(model_id, {}).get("state", {})
    pieces = []
    if "HTML" in state.get(model_id, {}).get("model_name", ""):
        pieces.append(model.get("value", ""))
    for output in model.get("outputs", []):
        data = output.get("data", {})
        text = html.escape(output.get("text", data.get("text/plain", "")))
        pieces.append(data.get("text/html", f"<pre>{text}</pre>"))
    for child in model.get("children", []):
        pieces.append(_shown(child.removeprefix("IPY_MODEL_"), state))
    return "\n".join(pieces)


def execute(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Run a notebook in place, in its folder, with this environment's Python."""
    from nbclient import NotebookClient

    client = NotebookClient(notebook, timeout=None, kernel_name="python3")
    client.execute(cwd=str(folder))


def page(path: Path, repo: parts.Repository) -> str:
    """Run the chapter at `path` and return it as HTML.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    ValueError
        If a picture lacks alt text, or the page would fetch something.
    """
    from nbconvert import HTMLExporter

    notebook = parts.read(path)
    execute(notebook, path.parent)
    without_widgets(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = with_page_links(with_mathml(cell.source), repo.files)
    notebook.metadata.title = title(notebook)
    text, _ = HTMLExporter(raw_template=TEMPLATE).from_notebook_node(notebook)
    if found := NO_ALT.search(text):
        raise ValueError(f"{path.name}: a picture has no alt text: {found[0][:100]}")
    if found := FETCHES.search(text):
        raise ValueError(f"{path.name}: the page would fetch {found[0][:100]}")
    return text


def title(notebook: nbformat.NotebookNode) -> str:
    """Return the notebook's title."""
    return notebook.cells[0].source.splitlines()[0].removeprefix("# ")


def index(paths: list[Path], repo: parts.Repository) -> str:
    """Return the page that lists the chapters."""
    chapters = []
    for path in paths:
        notebook = parts.read(path)
        header = notebook.cells[0].source
        hear, reading = parts.field(header, "You will hear"), parts.field(header, "Reading")
        chapters.append(
            f'<li><a href="{path.stem}.html">{html.escape(title(notebook))}</a><br>\n'
            f"You will hear: {html.escape(hear or '')} ({reading})</li>"
        )
    return INDEX.format(chapters="\n".join(chapters), url=repo.url)


def main(argv: list[str] | None = None, root: Path = parts.ROOT) -> int:
    """Write the site."""
    from nbclient.exceptions import CellExecutionError

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("-o", "--out", type=Path, default=root / "site", help="folder to write")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    repo, chapters = parts.repository(root), parts.notebooks("notebooks", root=root)
    for path in chapters:
        print(f"{path.name}: running", flush=True)
        try:
            text = page(path, repo)
        except (CellExecutionError, ValueError) as error:
            print(error, file=sys.stderr)
            return 1
        (options.out / f"{path.stem}.html").write_text(text, encoding="utf-8")
    (options.out / "index.html").write_text(index(chapters, repo), encoding="utf-8")
    print(f"open {options.out / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
