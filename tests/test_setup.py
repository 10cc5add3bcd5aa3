"""Setting up: tools/setup.py, the Makefile, and the files that list the dependencies."""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
Version = namedtuple("Version", "major minor micro releaselevel serial")


@pytest.fixture
def setup():
    """tools/setup.py as a module, loaded anew for each test."""
    spec = importlib.util.spec_from_file_location("course_setup", ROOT / "tools" / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def outside(setup, monkeypatch):
    """The module on a plain desktop: no container, not root."""
    monkeypatch.setattr(setup, "in_container", lambda: False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    return setup


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def pins():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


# ---------------------------------------------------------------- what is missing


@pytest.mark.parametrize("version", [(3, 8), (3, 9)])
def test_an_old_python_is_refused_in_one_line(setup, version):
    with pytest.raises(setup.Stop, match=r"this is Python 3\.\d, the course needs 3\.10") as stop:
        setup.check_python(Version(*version, 1, "final", 0))
    assert "\n" not in str(stop.value)
    assert "PYTHON=" in str(stop.value)


def test_supported_and_newer_pythons_pass(setup, capsys):
    for version in VERSIONS:
        setup.check_python(Version(*map(int, version.split(".")), 0, "final", 0))
    assert capsys.readouterr().out == ""
    setup.check_python(Version(3, 15, 0, "final", 0))
    assert "3.15 is newer than what the course is tested on" in capsys.readouterr().out


def test_setup_names_the_package_that_debian_lacks(setup, monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(setup.Stop, match=r"sudo apt install python3\.\d+-venv"):
        setup.make_venv(tmp_path / ".venv")
    assert not (tmp_path / ".venv").exists()


def test_too_little_disk_space_is_refused(setup, monkeypatch, tmp_path):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(9e9, 7.9e9, 1.1e9))
    with pytest.raises(setup.Stop, match=r"1\.1 GB are free in .*needs 4 GB"):
        setup.check_space(tmp_path, 4)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda place: usage(9e9, 0, 5e9 if place is tmp_path else 1e8)
    )
    with pytest.raises(setup.Stop, match="point TMPDIR elsewhere"):
        setup.check_space(tmp_path, 4)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(9e9, 0, 5e9))
    setup.check_space(tmp_path, 4)


def test_a_fault_is_one_line_and_a_status(setup, monkeypatch, capsys):
    def fail(**options):
        raise setup.Stop("there is no room")

    monkeypatch.setattr(setup, "setup", fail)
    for target in ("setup", "lab", "test", "unit", "bench"):
        assert setup.main([target]) == 1
        assert capsys.readouterr().err == "setup: there is no room\n"


# ---------------------------------------------------------------- made once


@pytest.fixture
def ready(setup, monkeypatch, tmp_path):
    """Set up with an environment that looks finished, and record what would be run."""
    monkeypatch.delenv("PYTHON", raising=False)
    venv = tmp_path / ".venv"
    venv.mkdir()
    mine = "{}.{}".format(*sys.version_info)
    monkeypatch.setattr(setup, "version_of", lambda python: mine if venv.exists() else None)
    setup.calls = []
    monkeypatch.setattr(setup, "pip", lambda python, *words, **how: setup.calls.append(words[-1]))
    monkeypatch.setattr(setup, "call", lambda *words, **how: setup.calls.append(words[-1]))
    monkeypatch.setattr(setup, "install_torch", lambda python: setup.calls.append("torch"))
    monkeypatch.setattr(setup, "make_venv", lambda venv: venv.mkdir(exist_ok=True))
    setup.venv = venv
    return setup


def test_the_second_call_does_nothing(ready):
    python = ready.setup(venv=ready.venv)
    assert python == ready.venv_python(ready.venv)
    assert ready.calls == ["pip", "torch", f"{ROOT}[lab]", "python3"]
    ready.calls.clear()
    ready.setup(venv=ready.venv)
    assert ready.calls == []


def test_the_tests_extras_are_added_once_and_then_kept(ready, monkeypatch):
    ready.setup(venv=ready.venv)
    ready.calls.clear()
    ready.setup(dev=True, venv=ready.venv)
    assert f"{ROOT}[dev]" in ready.calls
    ready.calls.clear()
    ready.setup(venv=ready.venv)
    ready.setup(dev=True, venv=ready.venv)
    assert ready.calls == []
    monkeypatch.setattr(ready, "fingerprint", lambda version: "something changed")
    ready.setup(venv=ready.venv)
    assert f"{ROOT}[dev]" in ready.calls  # a learner's call doesn't take the tests away


def test_a_failed_call_is_done_again(ready, monkeypatch):
    def fail(python, *words, **how):
        raise ready.Stop("pip failed")

    with monkeypatch.context() as patch:
        patch.setattr(ready, "pip", fail)
        with pytest.raises(ready.Stop):
            ready.setup(venv=ready.venv)
    assert ready.read_stamp(ready.venv) == {}
    ready.setup(venv=ready.venv)
    assert f"{ROOT}[lab]" in ready.calls


def test_asking_for_another_python_makes_the_environment_anew(ready, monkeypatch, capsys):
    ready.setup(venv=ready.venv)
    monkeypatch.setattr(ready, "version_of", lambda python: "3.2")
    made = []
    monkeypatch.setattr(ready, "make_venv", made.append)
    ready.setup(venv=ready.venv)
    assert made == []  # an environment's Python stays, unless another is asked for
    monkeypatch.setenv("PYTHON", sys.executable)
    ready.setup(venv=ready.venv)
    assert made == [ready.venv]
    assert "holds Python 3.2" in capsys.readouterr().out


def test_the_fingerprint_follows_what_the_environment_depends_on(setup, monkeypatch, tmp_path):
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text("a")
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "CONSTRAINTS", tmp_path / "constraints.txt")
    prints = {setup.fingerprint("3.11"), setup.fingerprint("3.12")}
    assert setup.fingerprint("3.11") in prints
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text("b")
        prints.add(setup.fingerprint("3.11"))
    shutil.copytree(tmp_path, tmp_path / "moved")
    monkeypatch.setattr(setup, "ROOT", tmp_path / "moved")
    prints.add(setup.fingerprint("3.11"))
    assert len(prints) == 5


def test_a_broken_stamp_or_environment_counts_as_none(setup, tmp_path):
    assert setup.read_stamp(tmp_path) == {}
    (tmp_path / "mlmusic-setup.json").write_text('{"fingerp')
    assert setup.read_stamp(tmp_path) == {}
    assert setup.version_of(tmp_path / "bin" / "python") is None
    assert setup.installed(sys.executable, "no-such-package") == ""
    assert setup.installed(sys.executable, "numpy") == importlib.metadata.version("numpy")


# ---------------------------------------------------------------- torch


@pytest.mark.parametrize(
    ("has", "found_by", "expected"),
    [
        ("2.13.0+cpu", None, []),  # there already
        ("", 1, ["configured"]),
        ("", 2, ["configured", "index"]),
        ("2.9.1", None, ["configured", "index", "space"]),
    ],
)
def test_torch_comes_as_the_small_build_where_it_can(setup, monkeypatch, has, found_by, expected):
    tried = []

    def try_pip(python, *words):
        assert "torch==2.13.0+cpu" in words
        tried.append("index" if setup.CPU_INDEX in words else "configured")
        return len(tried) == found_by

    monkeypatch.setattr(setup, "pinned", lambda name: "2.13.0")
    monkeypatch.setattr(setup, "installed", lambda python, name: has)
    monkeypatch.setattr(setup, "wants_cpu_build", lambda: True)
    monkeypatch.setattr(setup, "try_pip", try_pip)
    monkeypatch.setattr(setup, "check_space", lambda folder, size: tried.append("space"))
    setup.install_torch("python")
    assert tried == expected


@pytest.mark.parametrize(
    ("system", "nvidia", "wanted"),
    [("Linux", False, True), ("Linux", True, False), ("Darwin", False, False)],
)
def test_only_linux_without_a_gpu_wants_the_small_build(setup, monkeypatch, system, nvidia, wanted):
    monkeypatch.setattr(setup.platform, "system", lambda: system)
    monkeypatch.setattr(setup, "has_nvidia", lambda: nvidia)
    assert setup.wants_cpu_build() is wanted


def test_pip_failing_is_told_with_its_last_words(setup, tmp_path, capfd):
    with pytest.raises(setup.Stop, match="run the same command again"):
        setup.pip(sys.executable, "install", "--no-index", "no-such-package-as-this", pinned=False)
    assert "no-such-package-as-this" in capfd.readouterr().err


def test_pips_words_become_one_line_of_progress(setup, monkeypatch, tmp_path):
    words = [
        "Collecting numpy>=1.26 (from mlmusic)",
        "Progress 10000000 of 16600000",
        "Progress 100 of 200",
        "Processing /wheels/scipy-1.17.1-cp311-cp311-linux_x86_64.whl",
        "Installing collected packages: numpy, scipy",
    ]
    (tmp_path / "pip.py").write_text(f"print({chr(10).join(words)!r})")
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    shown = []
    monkeypatch.setattr(setup, "show", shown.append)
    popen = subprocess.Popen
    monkeypatch.setattr(
        subprocess,
        "Popen",
        lambda command, **options: popen([sys.executable, "pip.py"], **options),
    )
    status, said = setup.run_pip(sys.executable, ("install", "numpy"))
    assert status == 0
    assert shown == ["numpy", "numpy 10 of 17 MB", "", "scipy", "unpacking 2 packages", ""]
    assert said == [word for word in words if not word.startswith("Progress")]


# ---------------------------------------------------------------- JupyterLab


@pytest.mark.parametrize(
    ("environment", "system", "expected"),
    [
        ({}, "Darwin", True),
        ({}, "Windows", True),
        ({}, "Linux", False),
        ({"DISPLAY": ":0"}, "Linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "Linux", True),
        ({"DISPLAY": ":10", "SSH_CONNECTION": "10.0.0.2 5 10.0.0.1 22"}, "Linux", False),
        ({"SSH_CONNECTION": "10.0.0.2 5 10.0.0.1 22"}, "Darwin", False),
    ],
)
def test_a_browser_is_opened_only_where_the_user_sees_it(outside, environment, system, expected):
    assert outside.has_browser(environment, system) is expected


def test_lab_opens_the_first_chapter(outside, capsys):
    options = outside.lab_options([], {"DISPLAY": ":0"})
    assert "--LabApp.default_url=/lab/tree/notebooks/00_listen.ipynb" in options
    assert f"--ServerApp.root_dir={ROOT}" in options
    assert not {"--allow-root", "--ServerApp.ip=0.0.0.0"} & set(options)


def test_lab_over_ssh_says_how_to_reach_it(outside, capsys):
    options = outside.lab_options([], {"SSH_CONNECTION": "10.0.0.2 5 10.0.0.1 22"})
    port = next(o for o in options if "port" in o).split("=")[1]
    assert "--no-browser" in options
    assert f"ssh -N -L {port}:127.0.0.1:{port} 10.0.0.1" in capsys.readouterr().out


def test_lab_in_a_container_can_be_reached_and_says_so(outside, monkeypatch, capsys):
    monkeypatch.setattr(outside, "in_container", lambda: True)
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    options = outside.lab_options([], {"DISPLAY": ":0"})
    assert {"--ServerApp.ip=0.0.0.0", "--allow-root", "--no-browser"} <= set(options)
    assert "docker run -p" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["--port=9", "--ServerApp.port=9", "--ip=::1", "--no-browser"])
def test_the_users_own_options_replace_ours(outside, monkeypatch, name):
    """JupyterLab refuses to start when an option is given twice."""
    monkeypatch.setattr(outside, "in_container", lambda: True)
    options = outside.lab_options([name], {})
    bare = [re.sub(r"=.*", "", option.replace("ServerApp.", "")) for option in options]
    assert name in options
    assert len(bare) == len(set(bare))


def test_a_busy_port_is_passed_over(outside):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        if taken > 65000:
            pytest.skip("the system's ports end here")
        assert taken < outside.free_port(taken) < taken + 100


# ---------------------------------------------------------------- tests and tools


def test_every_step_runs_and_one_failure_fails_all(setup, capsys):
    steps = [(n, [sys.executable, "-c", f"raise SystemExit({n})"]) for n in (0, 3, 0)]
    assert setup.run_steps(steps) == 1
    out = capsys.readouterr().out
    assert "3: FAILED" in out
    assert out.count("passed") == 2
    assert setup.run_steps(steps[:1]) == 0


def test_make_test_runs_style_units_and_notebooks(setup, monkeypatch):
    monkeypatch.setattr(setup, "setup", lambda dev: "python" if dev else None)
    monkeypatch.setattr(setup, "run_steps", lambda steps: [command[1:] for _, command in steps])
    assert setup.test() == [
        ["-m", "ruff", "check", "."],
        ["-m", "ruff", "format", "--check", "."],
        ["-m", "pytest"],
        ["tools/run_notebooks.py"],
    ]
    assert setup.unit(["-k", "doctor"])[-1] == ["-m", "pytest", "-k", "doctor"]


def test_every_tool_that_make_names_exists():
    for name in re.findall(r"tools/\w+\.py", (ROOT / "Makefile").read_text("utf-8")):
        assert (ROOT / name).is_file(), name


make = pytest.mark.skipif(not shutil.which("make"), reason="make isn't installed")


@make
def test_make_alone_lists_every_target():
    told = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert {name for name in targets[1].split() if name != "help"} == set(
        re.findall(r"^make (\S+)", told, re.M)
    )


@make
@pytest.mark.parametrize("python", ["", "/no/such/python", "no such"])
def test_make_without_a_python_says_so_in_one_line(python):
    done = subprocess.run(
        [shutil.which("make"), "setup"],
        cwd=ROOT,
        env={"PATH": "", "PYTHON": python},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    first, *rest = done.stderr.splitlines()
    assert first.startswith("The course needs Python 3.10 or newer (tried: " + (python or "python"))
    assert [line for line in rest if "***" not in line] == []  # make's own


# ---------------------------------------------------------------- the lists of dependencies


def applying(pins, version):
    """The pins of one Python on Linux: {name: [specifier]}."""
    found = {}
    for pin in pins:
        environment = {"python_version": version, "python_full_version": f"{version}.0"}
        if pin.marker is None or pin.marker.evaluate(environment):
            found.setdefault(canonicalize_name(pin.name), []).append(pin.specifier)
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_constraints_pin_every_dependency_once_and_within_its_range(project, pins, version):
    pinned = applying(pins, version)
    assert {name for name, specifiers in pinned.items() if len(specifiers) > 1} == set()
    declared = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        declared += extra
    for requirement in map(Requirement, declared):
        name = canonicalize_name(requirement.name)
        if name != "mlmusic":
            (pin,) = next(iter(pinned[name]))
            assert pin.operator == "=="
            assert requirement.specifier.contains(pin.version), requirement


def test_constraints_hold_everything_that_is_installed(project, pins):
    """Of this environment: what mlmusic[dev] needs, and what that needs, and so on."""
    pinned = applying(pins, "{}.{}".format(*sys.version_info))
    queue = [Requirement(text) for text in project["dependencies"]]
    queue += [Requirement(text) for text in project["optional-dependencies"]["dev"]]
    seen = set()
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        marker = requirement.marker
        extras = ["", *requirement.extras]
        if name in seen or (marker and not marker.evaluate({"extra": ""})) or name == "mlmusic":
            continue
        seen.add(name)
        if re.match(r"nvidia-|cuda-|triton$", name):  # torch's CUDA build pins these itself
            continue
        try:
            package = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # test_doctor.py is about what is missing
        assert name in pinned, f"{name} is in no line of constraints.txt: run tools/lock.py"
        if Path(sys.prefix) == ROOT / ".venv":
            assert pinned[name][0].contains(package.version, prereleases=True), name
        for text in package.requires or []:
            needed = Requirement(text)
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                needed.marker = None
                queue.append(needed)
    assert len(seen) > 50


def test_environment_yml_lists_what_pyproject_does(project):
    text = (ROOT / "environment.yml").read_text("utf-8")
    *conda, pip = yaml.safe_load(text)["dependencies"]
    listed = [entry for entry in pip["pip"] if not entry.startswith("--")]
    declared = project["dependencies"] + project["optional-dependencies"]["lab"]
    assert sorted(listed) == sorted(Requirement(entry).name for entry in declared)
    assert "--constraint constraints.txt" in pip["pip"]
    assert "--editable ." in pip["pip"]
    (python,) = (entry.split("=")[1] for entry in conda if entry.startswith("python="))
    assert python in VERSIONS
    for line in text.split("dependencies:")[1].splitlines():
        if re.match(r"\s+- [a-z]", line) and "- pip:" not in line:
            assert "#" in line, f"{line.strip()} doesn't say which chapter needs it"


def test_colabs_additions_are_the_pinned_versions(project, pins):
    pinned = applying(pins, "3.13")
    for entry in map(Requirement, project["optional-dependencies"]["colab"]):
        assert pinned[canonicalize_name(entry.name)] == [entry.specifier]


def test_the_benchmarks_peers_are_pinned():
    text = (ROOT / "tests" / "benchmarks" / "requirements.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    assert "symusic==0.6.0" in lines


def test_the_pythons_agree_everywhere(project, setup):
    assert project["requires-python"] == ">=3.10"
    assert (setup.OLDEST, setup.NEWEST) == ((3, 10), (3, 13))
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8"))
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    advisory = workflow["jobs"]["unit"]
    assert advisory["continue-on-error"] is True
    assert {entry["os"].split("-")[0] for entry in advisory["strategy"]["matrix"]["include"]} == {
        "macos",
        "windows",
        "ubuntu",
    }


def test_the_version_is_the_same_everywhere():
    import mlmusic

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == mlmusic.__version__
    assert mlmusic.__version__ in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_address_of_the_repository_stands_in_pyproject_alone(project):
    owner_and_name = project["urls"]["Repository"].removeprefix("https://github.com/")
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", owner_and_name)
    for name in ("Makefile", "CITATION.cff", "environment.yml", "CONTRIBUTING.md", ".ci/run"):
        assert owner_and_name not in (ROOT / name).read_text("utf-8"), name
