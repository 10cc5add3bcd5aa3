"""Write constraints.txt: the exact version of everything that the development environment holds.

Run from a folder with the repository, naming one interpreter for each Python that is supported::

    python tools/lock.py python3.10 python3.11 python3.12 python3.13 [--upgrade PACKAGE …]

Each of them resolves pyproject.toml's dependencies and extras (pip's dry run: nothing is
installed), held to the present constraints except for what ``--upgrade`` names (``--upgrade all``
drops them all). Where Pythons disagree, the line gets a ``python_version`` marker. What only macOS
or Windows needs is added at its newest version. Needs pip >= 23 in each interpreter, and
``packaging`` in the one that runs it.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
EXTRAS = "lab,grade,cluster,colab,dev"
BUILD = ["pip", "hatchling", "editables"]  # what setup.py installs before the package
# Not the newest torch but this one: its CPU build is what the course is measured with.
HELD = {"torch": "2.13.0"}
CUDA = re.compile(r"nvidia-|cuda-|triton$")  # torch pins these itself, and only some builds ask
HEADER = """\
# The exact version of everything in the development environment, on Python 3.10 to 3.13, also
# what macOS and Windows need. Used by tools/setup.py, environment.yml and CI alike.
# Written by tools/lock.py: see CONTRIBUTING.md. (The CUDA build of torch names its own further
# packages at exact versions, so they aren't here.)
"""


def resolve(python: str, constraints: list[str]) -> tuple[str, dict[str, str], set[str]]:
    """Return the Python's version, what it would install, and what other systems need as well."""
    with tempfile.TemporaryDirectory() as name:
        report, limits = Path(name, "report.json"), Path(name, "constraints.txt")
        limits.write_text("\n".join(constraints), encoding="utf-8")
        command = [python, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        command += ["--report", str(report), "--constraint", str(limits)]
        subprocess.run([*command, f"{ROOT}[{EXTRAS}]", *BUILD], check=True)
        found = json.loads(report.read_text(encoding="utf-8"))
    here = found["environment"]
    versions, elsewhere = {}, set()
    for entry in found["install"]:
        package = entry["metadata"]
        name = canonicalize_name(package["name"])
        if CUDA.match(name):
            continue
        versions[name] = package["version"].split("+")[0]
        for text in package.get("requires_dist", []):
            requirement = Requirement(text)
            for system in (
                {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
                {"sys_platform": "darwin", "platform_system": "Darwin"},
            ):
                asked = [{**here, **system, "extra": extra} for extra in package_extras(entry)]
                if any(
                    requirement.marker is None or requirement.marker.evaluate(environment)
                    for environment in asked
                ):
                    elsewhere.add(canonicalize_name(requirement.name))
    versions.pop("mlmusic")
    others = {name for name in elsewhere - set(versions) if not CUDA.match(name)}
    return here["python_version"], versions, others - {"mlmusic"}


def package_extras(entry: dict) -> list[str]:
    """Return the extras that were asked of a package, with "" for the package alone."""
    return ["", *entry.get("requested_extras", [])]


def newest(name: str) -> str:
    """Return the newest version of a package that this machine can't install itself."""
    command = [sys.executable, "-m", "pip", "index", "versions", name]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.search(r"\((.+?)\)", text).group(1)


def merge(found: dict[str, dict[str, str]]) -> list[str]:
    """Return the lines of the constraints: {python: {name: version}} with markers where needed.

    The oldest Pythons are the ones that a version drops, so a line holds up to a Python, from one
    on, or for all.
    """
    pythons = sorted(found, key=lambda version: tuple(map(int, version.split("."))))
    lines = []
    for name in sorted(set().union(*found.values())):
        groups: list[tuple[str, list[str]]] = []
        for python in pythons:
            version = found[python].get(name)
            if version is None:
                continue  # a constraint on what isn't installed does no harm
            if groups and groups[-1][0] == version:
                groups[-1][1].append(python)
            else:
                groups.append((version, [python]))
        for i, (version, members) in enumerate(groups):
            bounds = []
            if i > 0:
                bounds.append(f'python_version >= "{members[0]}"')
            if i < len(groups) - 1:
                bounds.append(f'python_version < "{groups[i + 1][1][0]}"')
            lines.append(f"{name}=={version}" + (f" ; {' and '.join(bounds)}" if bounds else ""))
    return lines


def main() -> None:
    """Resolve with each interpreter and write the file."""
    parser = argparse.ArgumentParser(description="Write constraints.txt.")
    parser.add_argument("pythons", nargs="+", help="interpreters, one for each supported Python")
    parser.add_argument("--upgrade", nargs="+", default=[], metavar="PACKAGE")
    options = parser.parse_args()
    upgraded = {canonicalize_name(name) for name in options.upgrade}
    kept = []
    if CONSTRAINTS.exists() and "all" not in upgraded:
        for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines():
            name = canonicalize_name(line.split("==")[0])
            if "==" in line and name not in upgraded:
                kept.append(line)
    kept += [f"{name}=={version}" for name, version in HELD.items() if name not in str(kept)]

    found, elsewhere = {}, set()
    for python in options.pythons:
        version, packages, others = resolve(python, kept)
        print(f"Python {version}: {len(packages)} packages")
        found[version] = packages
        elsewhere |= others
    elsewhere -= set().union(*found.values())
    for name in sorted(elsewhere):
        version = next((line.split("==")[1] for line in kept if line.startswith(f"{name}==")), None)
        for packages in found.values():
            packages[name] = version or newest(name)
    CONSTRAINTS.write_text(HEADER + "\n".join(merge(found)) + "\n", encoding="utf-8")
    print(f"wrote {CONSTRAINTS.name}: {len(merge(found))} lines")


if __name__ == "__main__":
    main()
