"""The tools that maintain the notebooks, tried on the sample course."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import badges
import build_site
import colab_check
import nbformat
import no_network
import notebook_lint
import notebook_parts as parts
import pytest
import run_notebooks

CHAPTER = parts.SAMPLE / "notebooks" / "99_scale.ipynb"
PYPROJECT = """[project.urls]
Repository = "https://github.com/owner/name"  # comment

[tool.mlmusic]
branch = "main"
"""
posix = pytest.mark.skipif(os.name != "posix", reason="costs are measured on Linux and macOS")


@pytest.fixture
def course(tmp_path):
    """Copy the sample into a folder that can be written to."""
    shutil.copytree(parts.SAMPLE, tmp_path, dirs_exist_ok=True)
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    return tmp_path


@pytest.fixture
def environment(monkeypatch):
    """Let kernels, which run in other folders, import this checkout."""
    monkeypatch.setenv("PYTHONPATH", str(parts.ROOT))
    monkeypatch.delenv("MPLBACKEND", raising=False)


def add_code(path, *sources):
    """Append code cells to a notebook."""
    notebook = parts.read(path)
    for number, source in enumerate(sources):
        notebook.cells.append(nbformat.v4.new_code_cell(source, id=f"added-cell-{number}"))
    parts.write(notebook, path)
    return path


# --- notebook_parts and badges


def test_setup_cell_is_short_and_pinned():
    cell = parts.Repository("owner/name", "main").setup
    assert len([line for line in cell.splitlines() if line.strip()]) <= 10
    assert "git+https://github.com/owner/name@main" in cell
    assert "-c /tmp/colab.txt" in cell  # what Colab has is a constraint
    assert "--upgrade" not in cell


def test_setup_cell_only_imports_outside_colab(capsys):
    source = parts.repository().setup
    # What IPython reads as commands must not run here: any other name raises NameError.
    source = re.sub(r"^( +)[!%].*$", r"\1installed()", source, flags=re.M)
    exec(source, {})
    assert re.fullmatch(
        r"mlmusic \S+ · Python \S+ · numpy \S+ · torch \S+ · (cpu, \d+ threads?|cuda, .+)\n",
        capsys.readouterr().out,
    )


def test_badges_leave_a_course_alone_that_agrees(course, capsys):
    before = {path: path.read_bytes() for path in parts.notebooks(root=course)}
    assert badges.main([], root=course) == 0
    assert capsys.readouterr().out == "owner/name, main: nothing to change\n"
    assert before == {path: path.read_bytes() for path in parts.notebooks(root=course)}


def test_badges_rewrite_every_address_and_back(course):
    before = {path: path.read_bytes() for path in parts.notebooks(root=course)}
    assert badges.main(["--repo", "school/fork.1", "--branch", "autumn/term"], root=course) == 0
    fork = parts.Repository("school/fork.1", "autumn/term")
    assert parts.repository(course) == fork
    for path in before:
        text = path.read_text(encoding="utf-8")
        assert "owner/name" not in text
        assert "git+https://github.com/school/fork.1@autumn/term" in text
        assert fork.colab(parts.relative(path, course)) in text
        assert notebook_lint.lint(notebook_lint.load(path, fork, course)) == []
    assert badges.main(["--repo", "owner/name", "--branch", "main"], root=course) == 0
    assert before == {path: path.read_bytes() for path in before}
    assert (course / "pyproject.toml").read_text() == PYPROJECT


def test_badges_mend_a_copied_notebook_and_tidy_it(course):
    path = course / "notebooks" / "98_copy.ipynb"
    shutil.copy(course / "notebooks" / "99_scale.ipynb", path)
    notebook = parts.read(path)
    notebook.metadata.language_info.version = "3.12"
    notebook.metadata.colab = {"provenance": []}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = 5
            cell.metadata.scrolled = True
            cell.outputs = [nbformat.v4.new_output("stream", text="1\n")]
    parts.write(notebook, path)
    badges.main([], root=course)
    tidied = parts.read(path)
    assert "/notebooks/98_copy.ipynb" in tidied.cells[0].source
    kept = [cell.id for cell in tidied.cells if cell.get("outputs")]
    assert kept == ["build-scale"]
    (course / "exercises" / "98_copy.ipynb").touch()
    page = notebook_lint.load(path, parts.repository(course), course)
    assert notebook_lint.lint(page) == [f"doesn't link to its exercises: ../exercises/{path.name}"]


@pytest.mark.parametrize("argument", [["--repo", "name"], ["--repo", "a/b c"], ["--branch", "a b"]])
def test_badges_refuse_what_is_no_address(course, argument, capsys):
    with pytest.raises(SystemExit):
        badges.main(argument, root=course)
    assert "isn't" in capsys.readouterr().err
    assert (course / "pyproject.toml").read_text() == PYPROJECT


def test_missing_address_is_a_clear_error(course):
    (course / "pyproject.toml").write_text("[project]\n")
    with pytest.raises(ValueError, match=r"pyproject.toml needs Repository"):
        parts.repository(course)


# --- no_network


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: socket.create_connection(("192.0.2.1", 80), timeout=1),
        lambda: socket.create_connection(("example.org", 80), timeout=1),
        lambda: socket.getaddrinfo("example.org", 443),
        lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)),
        lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 80)),
        lambda: urllib.request.urlopen("https://example.org"),
    ],
)
def test_network_is_out_of_reach(attempt):
    with pytest.raises(no_network.NetworkBlocked, match="without a network"):
        attempt()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_allowed(host):
    with socket.create_server((host, 0)) as server:
        client = socket.create_connection(server.getsockname(), timeout=5)
        client.close()


# --- run_notebooks


@pytest.mark.parametrize(
    ("stated", "measured", "wrong"),
    [
        (20, 41, True),
        (20, 39, False),
        (30, 14, True),
        (30, 16, False),
        (10, 4, False),
        (5, 16, True),
    ],
)
def test_a_stated_cost_may_be_off_by_a_factor_of_two_and_ten_seconds(stated, measured, wrong):
    assert run_notebooks.wrong_by_too_much(stated, measured) is wrong


def test_costs_are_scaled_to_the_reference_machine():
    run = run_notebooks.Run(CHAPTER, cpu=500.0, scale=0.5, peak_gb=2.5, stated=190)
    assert run.cost == 250
    assert run.over_budget() == [
        "takes 250 CPU seconds; at most 180 are allowed",
        "takes 2.5 GB; at most 2 are allowed",
        "states 190 CPU seconds; at most 180 are allowed",
    ]
    solution = parts.SAMPLE / "solutions" / "99_scale.ipynb"
    assert run_notebooks.Run(solution, cpu=80.0, stated=60).over_budget() == [
        "takes 80 CPU seconds; at most 60 are allowed"
    ]
    # Clocks differ: a busy machine's must not fail what a quiet one's allows.
    assert run_notebooks.Run(solution, cpu=70.0, stated=60).over_budget() == []
    assert run_notebooks.Run(CHAPTER, cpu=2.0).over_budget() == [
        "states no cost: its header needs '- **Running:** about 5 CPU seconds'"
    ]
    assert run_notebooks.Run(CHAPTER, cpu=None).over_budget() == []


def test_update_cost_writes_the_header(course):
    path = course / "notebooks" / "99_scale.ipynb"
    run = run_notebooks.Run(path, cpu=33.0)
    assert run_notebooks.update_cost(run)
    assert parts.stated_cost(parts.read(path)) == 35
    assert not run_notebooks.update_cost(run)


@posix
def test_kernels_cost_counts_children_and_survives_a_kill(tmp_path):
    """As Jupyter does it: start in a session of its own, then kill the process group."""
    burn = "import time\nwhile time.process_time() < 0.5: pass\n"
    script = (
        "import subprocess, sys, time\n"
        f"subprocess.run([sys.executable, '-c', {burn!r}])\n"
        f"held = bytearray(300_000_000)\n{burn}"
        f"open({str(tmp_path / 'ready')!r}, 'w').close()\n"
        "time.sleep(60)\n"
    )
    report = tmp_path / "cost.json"
    command = [sys.executable, str(run_notebooks.TOOLS / "kernel_cost.py"), str(report)]
    process = subprocess.Popen([*command, sys.executable, "-c", script], start_new_session=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "ready").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    cost = run_notebooks._wait_for(report)
    assert 1.0 <= cost["cpu_seconds"] < 3.0
    assert 0.3e9 <= cost["peak_bytes"] < 0.5e9


@posix
def test_kernels_exit_status_is_passed_on(tmp_path):
    command = [sys.executable, str(run_notebooks.TOOLS / "kernel_cost.py"), str(tmp_path / "cost")]
    assert subprocess.run([*command, sys.executable, "-c", "raise SystemExit(3)"]).returncode == 3
    assert json.loads((tmp_path / "cost").read_text())["cpu_seconds"] > 0


@posix
def test_run_reports_failures_network_and_cost(course, environment, capsys):
    """One bad notebook: a wrong output, an exception, an attempt to reach the network."""
    path = add_code(
        course / "notebooks" / "99_scale.ipynb",
        "# NBVAL_CHECK_OUTPUT\nprint(scale[0])",
        "import socket; socket.getaddrinfo('example.org', 80)",
        "import os; assert os.environ['OMP_NUM_THREADS'] == '1'",
        "assert not os.path.exists(os.environ['MLMUSIC_CACHE'])",
    )
    notebook = parts.read(path)
    checked = next(cell for cell in notebook.cells if cell.id == "added-cell-0")
    checked.update(outputs=[nbformat.v4.new_output("stream", text="61\n")], execution_count=1)
    parts.write(notebook, path)
    good = parts.SAMPLE / "solutions" / "99_scale.ipynb"
    assert run_notebooks.main(["--no-data", "--jobs=1", str(path), str(good)]) == 1
    out = capsys.readouterr().out
    assert "Cell 5: Cell outputs differ" in out
    assert "NetworkBlocked" in out
    assert "tried to reach the network: socket.getaddrinfo example.org" in out
    assert "tests/notebooks/sample/solutions/99_scale.ipynb: passed" in out
    assert re.search(r"^tests/notebooks/sample/solutions/\S+ +11 +\d+\.\d +5 +60 ", out, re.M)
    # 7 good cells and 11, of the costs only the second's; 2 bad cells and the network
    assert re.search(r"^19 passed, 3 failed in \d+ s$", out, re.M), out


def test_no_notebooks_is_no_error(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(parts, "notebooks", lambda *folders: [])
    assert run_notebooks.main([]) == 0
    with pytest.raises(SystemExit):
        run_notebooks.main([str(tmp_path / "none.ipynb")])
    assert "no such notebook" in capsys.readouterr().err


# --- build_site


def test_site_is_complete_and_needs_no_network(course, environment, monkeypatch):
    monkeypatch.chdir(course)
    add_code(
        course / "notebooks" / "99_scale.ipynb",
        "from IPython.display import HTML, display\nimport ipywidgets\n"
        'display(HTML(\'<img src="data:image/png;base64,x" alt="five lines">\'))',
        "ipywidgets.VBox([ipywidgets.IntSlider(), ipywidgets.HTML('<b>first view</b>')])",
    )
    assert build_site.main([], root=course) == 0
    text = (course / "site" / "99_scale.html").read_text(encoding="utf-8")
    assert "[60, 62, 64, 65, 67, 69, 71, 72]" in text
    assert 'alt="five lines"' in text
    assert "<math" in text
    assert "<b>first view</b>" in text
    assert "Run the notebook to use the controls" in text
    assert 'href="https://github.com/owner/name/blob/main/exercises/99_scale.ipynb"' in text
    assert not build_site.FETCHES.search(text)
    index = (course / "site" / "index.html").read_text(encoding="utf-8")
    assert '<a href="99_scale.html">Is a scale a list of numbers?</a>' in index
    assert "about 2 minutes" in index


def test_site_stops_at_a_cell_that_fails(course, environment, capsys):
    add_code(course / "notebooks" / "99_scale.ipynb", "1 / 0")
    assert build_site.main(["-o", str(course / "out")], root=course) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert not (course / "out" / "index.html").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"image/png": "iVBORw0KGgo="}, "a picture has no alt text"),
        ({"text/html": '<img src="data:image/png;base64,x" alt="">'}, "a picture has no alt text"),
        ({"text/html": '<img src="https://a.org/b.png" alt="b">'}, "the page would fetch <img"),
        ({"text/html": '<script src="//a.org/b.js"></script>'}, "the page would fetch <script"),
    ],
)
def test_site_stops_at_what_a_cell_shows(course, monkeypatch, capsys, data, message):
    def show(notebook, folder):
        code = next(cell for cell in notebook.cells if cell.cell_type == "code")
        code.outputs = [nbformat.v4.new_output("display_data", data=data)]

    monkeypatch.setattr(build_site, "execute", show)
    assert build_site.main(["-o", str(course / "out")], root=course) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("costs 5$ or `$x$`", "costs 5$ or `$x$`"),
        ("$x$", "<mi>x</mi>"),
        ("$$\nx^2\n$$", 'display="block"'),
        ("```\n$x$\n```", "```\n$x$\n```"),
    ],
)
def test_formulas_become_mathml(source, expected):
    assert expected in build_site.with_mathml(source)


def test_links_lead_to_pages():
    source = "[a](01_regression.ipynb#The-idea) [b](../solutions/00.ipynb) [c](https://a.org)"
    assert build_site.with_page_links(source, "https://r") == (
        "[a](01_regression.html#The-idea) [b](https://r/solutions/00.ipynb) [c](https://a.org)"
    )


# --- colab_check


def test_colabs_versions_are_read():
    pins = colab_check.pins()
    assert len(pins) == 90
    assert (pins["numpy"], pins["ipywidgets"], pins["music21"]) == ("2.1.3", "7.7.1", "9.9.2")


def test_package_installs_as_the_setup_cell_says():
    command = colab_check.setup_command(Path("have.txt"))
    assert command[-5:] == ["install", "-q", "-c", "have.txt", f"{parts.ROOT}[colab]"]
