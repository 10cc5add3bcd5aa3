"""What a sandbox shows, what it refuses to show, and the commands that start it."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from mlmusic.grading.limits import Limits
from mlmusic.grading.sandbox import Sandbox, SandboxUnavailable, isolation, shown

LIMITS = Limits(memory=1 << 30, files=10_000_000, processes=20)


def test_what_python_needs_is_shown_and_nothing_else(monkeypatch, tmp_path):
    monkeypatch.setenv("MLMUSIC_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    found = shown.needed()
    for path in (sys.prefix, sys.base_prefix, isolation.PACKAGE, tmp_path / "cache", "/usr"):
        assert any(shown.contains(folder, str(path)) for folder in found), path
    repository = str(isolation.PACKAGE.parent)
    for secret in ("", "/solutions", "/exercises", "/tests", "/.git"):
        assert not any(shown.contains(folder, repository + secret) for folder in found)
    for secret in ("/", os.path.expanduser("~"), "/etc", "/etc/passwd", "/home", "/root", "/var"):
        assert secret not in found
    # No folder is listed that lies in another.
    assert not any(a != b and shown.contains(a, b) for a in found for b in found)


def test_a_folder_around_home_is_never_data(monkeypatch):
    home = os.path.expanduser("~")
    monkeypatch.setenv("MLMUSIC_DATA", home)
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{os.path.dirname(home)}:relative::/no/such")
    found = shown.needed()
    assert home not in found and os.path.dirname(home) not in found


def test_python_in_the_root_folder_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "prefix", "/")
    with pytest.raises(SandboxUnavailable, match="Python is installed in /"):
        shown.needed()


def test_a_secret_in_a_shown_folder_is_refused(tmp_path):
    (tmp_path / "shown" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "shown" / "inner")
    found = [str(tmp_path / "shown")]
    shown.check_forbidden(found, [tmp_path, tmp_path / "elsewhere", tmp_path / "shown2"])
    for secret in ("shown", "shown/inner", "shown/inner/source.ipynb", "link"):
        with pytest.raises(ValueError, match=r"which students' code can read: move it elsewhere"):
            shown.check_forbidden(found, [tmp_path / secret])


@pytest.mark.parametrize("kind", ["bwrap", "landlock"])
def test_a_sandbox_refuses_to_show_what_is_forbidden(kind):
    if reason := isolation.why_not(kind):
        pytest.skip(reason)
    with pytest.raises(ValueError, match=r"grading lies in .*mlmusic"):
        Sandbox(kind, forbidden=[isolation.PACKAGE / "grading"])


def test_unknown_kinds_are_named():
    with pytest.raises(ValueError, match="unknown sandbox 'jail': there are auto, bwrap, landlock"):
        Sandbox("jail")


def test_auto_takes_the_first_that_works(monkeypatch):
    reasons = {"bwrap": "bwrap isn't installed", "landlock": None, "docker": None}
    monkeypatch.setattr(isolation, "why_not", reasons.get)
    assert isolation.choose("auto") == "landlock"
    assert isolation.choose("none") == "none"
    reasons.update(landlock="needs Linux 6.2", docker="no docker")
    with pytest.raises(SandboxUnavailable) as info:
        isolation.choose("auto")
    assert str(info.value) == (
        "no sandbox works here: install bubblewrap (Linux) or Docker "
        "(bwrap isn't installed; needs Linux 6.2; no docker)"
    )


def test_missing_programs_say_how_to_get_them(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SandboxUnavailable, match="bwrap isn't installed: apt install bubblewrap"):
        Sandbox("bwrap")
    with pytest.raises(SandboxUnavailable, match="docker isn't installed: see https://docs.docker"):
        Sandbox("docker")
    monkeypatch.setattr(isolation.linux, "landlock_abi", lambda: 2)
    with pytest.raises(SandboxUnavailable, match=r"needs Linux 6\.2 or newer.*here is version 2"):
        Sandbox("landlock")
    monkeypatch.delattr(os, "fork")
    with pytest.raises(SandboxUnavailable, match="none needs Linux or macOS: use Docker, or WSL"):
        Sandbox("none")


def test_a_start_that_fails_says_why(tmp_path, monkeypatch):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'setting up uid map: Permission denied' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    match = r"^bwrap doesn't work here: setting up uid map: Permission denied \(bubblewrap needs"
    with pytest.raises(SandboxUnavailable, match=match):
        Sandbox("bwrap")
    fake.write_text("not a program")
    with pytest.raises(SandboxUnavailable, match="bwrap doesn't start: "):
        Sandbox("bwrap")


def test_bwrap_shows_nothing_that_can_be_written(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    plan = isolation.plan("bwrap", LIMITS)
    command = plan.command
    assert "--bind" not in command and "--share-net" not in command
    for option in ("--clearenv", "--new-session", "--die-with-parent", "--as-pid-1"):
        assert option in command
    devices = [command[i + 1] for i, word in enumerate(command) if word == "--dev-bind"]
    assert devices == ["/dev/null", "/dev/urandom", "/dev/random"]
    # Another place than /tmp where Python itself is installed there.
    i = command.index(plan.temp, command.index("--proc"))
    assert command[i - 5 : i] == ["--perms", "1777", "--size", "10000000", "--tmpfs"]
    assert isolation.plan("bwrap", LIMITS).env == {}  # the grader's own stays outside


def test_the_users_are_unlike_one_another():
    users = [isolation._user() for _ in range(100)]
    assert len(set(users)) == 100 and all(61_000 <= user < 65_000 for user in users)


@pytest.mark.parametrize("kind", ["none", "landlock", "bwrap"])
def test_nothing_of_the_graders_environment_is_inside(kind, monkeypatch):
    if kind != "none" and (reason := isolation.why_not(kind)):
        pytest.skip(reason)
    monkeypatch.setenv("SECRET_TOKEN", "abc")
    with Sandbox(kind) as sandbox:
        sandbox.start()
        reply = sandbox.request("exec", seconds=5, source="import os; print(dict(os.environ))")
    assert "SECRET_TOKEN" not in reply["printed"] and "'HOME': '/tmp'" in reply["printed"]


# Docker: no engine runs in the tests. A script in its place understands the options, and starts
# the command in namespaces, as an engine would.

FAKE_DOCKER = """#!{python}
import json, os, sys
arguments = sys.argv[1:]
json.dump(arguments, open({log!r}, "w"))
options, mounts, environment = {{}}, [], {{}}
assert arguments.pop(0) == "run"
while arguments[0].startswith("--"):
    option = arguments.pop(0)
    if option in ("--rm", "--interactive", "--read-only"):
        continue
    value = arguments.pop(0)
    options[option] = value
    if option == "--mount":
        mounts.append(dict(part.partition("=")[::2] for part in value.split(",")))
    elif option == "--env":
        name, _, value = value.partition("=")
        environment[name] = value
image, python, *command = arguments
assert image == "my-image" and python == "python"
bwrap = ["bwrap", "--unshare-pid", "--unshare-net", "--as-pid-1", "--die-with-parent"]
bwrap += ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
bwrap += ["--tmpfs", "/mnt"]
for mount in mounts:
    bwrap += ["--ro-bind", mount["source"], "/mnt" + mount["target"]]
environment["PYTHONPATH"] = "/mnt" + environment["PYTHONPATH"]
os.execvpe("bwrap", [*bwrap, "--chdir", "/tmp", {python!r}, *command],
           {{**environment, "PATH": os.environ["PATH"]}})
"""


@pytest.fixture
def docker(tmp_path, monkeypatch):
    log = tmp_path / "log.json"
    program = tmp_path / "docker"
    program.write_text(FAKE_DOCKER.format(python=sys.executable, log=str(log)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("MLMUSIC_DOCKER_IMAGE", "my-image")
    return log


def test_docker_is_asked_for_a_closed_container(docker, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "abc")
    plan = isolation.plan("docker", LIMITS)
    words = " ".join(plan.command)
    for option in (
        "run --rm --interactive",
        "--network none",
        "--read-only",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--pids-limit 28",
        f"--memory {2 << 30}",
        "--tmpfs /tmp:rw,exec,nosuid,nodev,size=10000000,mode=1777",
        f"source={isolation.PACKAGE},target=/opt/mlmusic/mlmusic,readonly",
        "--env PYTHONPATH=/opt/mlmusic",
        "my-image python -m mlmusic.grading.sandbox.inside",
    ):
        assert option in words
    assert "SECRET_TOKEN" not in words and "--privileged" not in words
    with pytest.raises(ValueError, match="move it elsewhere"):
        isolation.plan("docker", LIMITS, [isolation.PACKAGE / "source.ipynb"])
    monkeypatch.delenv("MLMUSIC_DOCKER_IMAGE")
    assert "mlmusic-grading" in isolation.plan("docker", LIMITS).command


def test_docker_speaks_the_same_protocol(docker):
    if reason := isolation.why_not("bwrap"):
        pytest.skip(reason)
    if not str(sys.executable).startswith(("/usr", sys.prefix)) or sys.prefix.startswith("/tmp"):
        pytest.skip("Python lies in /tmp, which is another one inside")
    with Sandbox("docker", cells=["RATE = 8_000"], limits=LIMITS) as sandbox:
        assert "--interactive" in json.loads(docker.read_text())
        for _ in range(2):
            sandbox.start()
            source = "import os\nfound = os.listdir('.'), RATE\nopen('left', 'w')"
            assert sandbox.request("exec", seconds=5, source=source)["error"] is None
            found, rate = sandbox.request("get", seconds=5, name="found")
            assert rate == 8_000 and "left" not in found


def test_docker_without_an_engine_says_so(tmp_path, monkeypatch):
    fake = tmp_path / "docker"
    fake.write_text(
        "#!/bin/sh\necho 'docker: Cannot connect to the Docker daemon.' >&2\n"
        "echo \"Run 'docker run --help' for more information\" >&2\nexit 125\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(SandboxUnavailable) as info:
        Sandbox("docker")
    assert str(info.value) == (
        "docker doesn't work here: docker: Cannot connect to the Docker daemon. (it needs a "
        "running engine and an image 'mlmusic-grading' with Python and mlmusic's packages)"
    )


def test_a_namespace_of_its_own_is_insisted_on(tmp_path, monkeypatch):
    """Else killing all processes after a student would be killing all of the machine's."""
    if not Path("/proc/self/ns/pid").exists():
        pytest.skip("needs Linux")
    fake = tmp_path / "bwrap"
    fake.write_text(
        f"#!{sys.executable}\nimport os, sys\ni = sys.argv.index({sys.executable!r})\n"
        "os.environ.update(zip(sys.argv[1:], sys.argv[2:]))\n"
        "os.chdir('/')\nos.execv(sys.argv[i], sys.argv[i:])\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(SandboxUnavailable, match="there is no PID namespace of its own"):
        Sandbox("bwrap")
