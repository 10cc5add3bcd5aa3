"""Every attempt to break out is stopped; the attempts do break out where nothing stops them."""

import pytest

from mlmusic.grading.sandbox import Sandbox, attempts, doctor, isolation
from mlmusic.grading.sandbox.attempts import ATTEMPTS, Attempt


@pytest.fixture(scope="module", params=["bwrap", "landlock"])
def confined(request):
    if reason := isolation.why_not(request.param):
        pytest.skip(reason)
    with Sandbox(request.param, limits=doctor._LIMITS) as sandbox:
        yield sandbox


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_nothing_gets_out(confined, attempt):
    assert doctor.try_out(confined, attempt) == []
    # And the next student finds everything in order.
    confined.start()
    reply = confined.request("exec", seconds=5, source="print(open('x', 'w').write('ok'))")
    assert reply == {"error": None, "printed": "2\n", "notes": []}


@pytest.fixture(scope="module")
def unconfined():
    with Sandbox("none", limits=doctor._LIMITS) as sandbox:
        yield sandbox


HARMLESS = [attempt for attempt in ATTEMPTS if attempt.alone]


@pytest.mark.parametrize("attempt", HARMLESS, ids=lambda attempt: attempt.name)
def test_without_a_sandbox_the_attempts_succeed(unconfined, attempt):
    """Else they would prove nothing."""
    escaped = doctor.try_out(unconfined, attempt)
    assert escaped and all(what.startswith(attempt.name) for what in escaped)


def test_enough_attempts_are_proved():
    assert len(HARMLESS) >= 7 and len(ATTEMPTS) >= 16


# The table ---------------------------------------------------------------------------------------


@pytest.fixture
def pretend(monkeypatch):
    """Let `doctor` find some kinds of sandbox, and its attempts some outcomes."""

    def pretend(reasons, outcomes):
        monkeypatch.setattr(isolation, "KINDS", tuple(reasons))
        monkeypatch.setattr(isolation, "why_not", reasons.get)
        monkeypatch.setattr(doctor, "ATTEMPTS", (Attempt("fly", ""), Attempt("swim", "")))
        monkeypatch.setattr(doctor, "Sandbox", FakeSandbox)
        monkeypatch.setattr(
            doctor,
            "try_out",
            lambda sandbox, attempt: outcomes.get((sandbox.kind, attempt.name), []),
        )

    return pretend


class FakeSandbox:
    def __init__(self, kind, **_):
        self.kind = kind

    def close(self):
        self.kind = None


def test_the_doctor_is_content(pretend, capsys):
    pretend({"bwrap": None, "landlock": None, "docker": "docker isn't installed"}, {})
    assert doctor.doctor() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith("  swim")] == [
        ["swim", "stopped", "stopped"]
    ]
    assert "  docker     docker isn't installed" in lines
    assert lines[-1] == "--sandbox auto takes bwrap here."


def test_the_doctor_finds_a_hole(pretend, capsys):
    outcomes = {("bwrap", "swim"): ["swim: crossed the channel"]}
    pretend({"bwrap": None, "landlock": None}, outcomes)
    assert doctor.doctor() == 1
    text = capsys.readouterr().out
    assert "GOT OUT" in text and "bwrap: swim: crossed the channel" in text
    outcomes[("landlock", "fly")] = outcomes.pop(("bwrap", "swim"))
    assert doctor.doctor() == 0  # the one that auto takes holds


def test_the_doctor_finds_nothing(pretend, capsys):
    pretend({"bwrap": "bwrap isn't installed"}, {})
    assert doctor.doctor() == 1
    assert "install bubblewrap (Linux) or Docker" in capsys.readouterr().out


def test_damage_outside_is_noticed():
    outside = attempts.Outside()
    try:
        assert outside.intact()
        victim = outside.folder / "victim.txt"
        victim.chmod(0o600)
        assert not outside.intact()
        victim.chmod(0o644)
        assert outside.intact()
        (outside.folder / "new").touch()
        assert not outside.intact()
        (outside.folder / "new").unlink()
        outside.other.kill()
        outside.other.wait()
        assert not outside.intact()
    finally:
        outside.close()
    assert not outside.folder.exists()
