"""``mlmusic grade --doctor``: which sandbox works here, and whether it holds."""

from __future__ import annotations

from mlmusic.grading.limits import Limits
from mlmusic.grading.sandbox import isolation
from mlmusic.grading.sandbox.attempts import ATTEMPTS, PREAMBLE, Attempt, Outside
from mlmusic.grading.sandbox.client import Sandbox
from mlmusic.grading.sandbox.errors import StudentDied, StudentError, StudentTimeout

_LIMITS = Limits(memory=1 << 30, files=20_000_000)
_SECONDS = 20.0


def doctor() -> int:
    """Print which sandboxes work here and what they stop; return the exit status.

    Returns
    -------
    int
        0 if the sandbox that ``auto`` takes stops every attempt to break out, else 1.
    """
    reasons = {kind: isolation.why_not(kind) for kind in isolation.KINDS}
    print("sandbox")
    for kind, reason in reasons.items():
        print(f"  {kind:10} {reason or 'works here'}")
    print(f"  {'none':10} protects from nothing: only for code that you trust\n")
    working = [kind for kind, reason in reasons.items() if reason is None]
    if not working:
        print("No sandbox works here: install bubblewrap (Linux) or Docker.")
        return 1
    width = max(len(attempt.name) for attempt in ATTEMPTS) + 2
    print("a student's code tries to".ljust(width) + "".join(f"  {kind:10}" for kind in working))
    outcomes: dict[str, list[str]] = {kind: [] for kind in working}
    sandboxes = {kind: Sandbox(kind, limits=_LIMITS) for kind in working}
    try:
        for attempt in ATTEMPTS:
            print(f"  {attempt.name:{width - 2}}", end="", flush=True)
            for kind, sandbox in sandboxes.items():
                escaped = try_out(sandbox, attempt)
                outcomes[kind] += escaped
                print(f"  {'GOT OUT' if escaped else 'stopped':10}", end="", flush=True)
            print()
    finally:
        for sandbox in sandboxes.values():
            sandbox.close()
    print()
    for kind, escaped in outcomes.items():
        for what in escaped:
            print(f"{kind}: {what}")
    chosen = working[0]
    print(f"--sandbox auto takes {chosen} here.")
    return 1 if outcomes[chosen] else 0


def try_out(sandbox: Sandbox, attempt: Attempt) -> list[str]:
    """Run an attempt to break out; return what got out, which should be nothing."""
    outside = Outside()
    try:
        sandbox.start()
        pid = sandbox.pid
        escaped = _run(sandbox, attempt.code, outside)
        sandbox.start()
        if sandbox.pid != pid:
            escaped.append("the warm process was ended")
        if attempt.traces is not None and attempt.traces(outside):
            escaped.append("something was seen outside")
        escaped += _run(sandbox, attempt.after, outside)
        sandbox.stop()
        if not outside.intact():
            escaped.append("something was changed outside")
    finally:
        outside.close()
    return [f"{attempt.name}: {what}" for what in escaped]


def _run(sandbox: Sandbox, code: str, outside: Outside) -> list[str]:
    try:
        source = f"facts = {outside.facts!r}\n{PREAMBLE}\n{code}"
        sandbox.request("exec", seconds=_SECONDS, source=source)
        got = sandbox.request("get", seconds=_SECONDS, name="got")
    except (StudentDied, StudentError, StudentTimeout):
        return []
    return [str(what)[:80] for what in got] if isinstance(got, list) else ["an odd answer"]
