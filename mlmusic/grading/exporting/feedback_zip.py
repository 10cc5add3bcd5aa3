"""The students' pages of feedback in one zip, each named so that the LMS knows whose it is.

Moodle ("Upload multiple feedback files in a zip") reads the participant's number from a file's
name, Canvas ("Upload submissions") the user's and the handed-in file's. Both are in the names of
the files that they let an instructor download, from which the results have them.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlmusic.grading import files, overrides
from mlmusic.grading.runs.formats import safe_names

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same pages give the same bytes
_CANVAS = re.compile(r"(?:\D[^/]*_)?(?:\d+|anon_[A-Za-z0-9]+)_\d+_[^/]+", re.S)


def write(
    results: Iterable[Path], given: overrides.Overrides, lms: str, target: str | Path
) -> tuple[int, list[str]]:
    """Write the zip.

    Parameters
    ----------
    results : iterable of Path
        The files of the results.
    given : Overrides
        What was given by hand.
    lms : str
        ``"canvas"`` or ``"moodle"``.
    target : path
        The zip.

    Returns
    -------
    count : int
        How many pages are in it.
    left : list of str
        Whose page isn't, for their file wasn't named by this LMS; a line each.

    Raises
    ------
    OSError
        If something can't be read or written.
    """
    from mlmusic.grading.pages import feedback

    left: list[str] = []
    count = 0
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as pages:
        for path in results:
            result = json.loads(path.read_bytes())  # with the saved outputs
            name = file_name(result, lms)
            if name is None:
                left.append(
                    f"no page for {result['submission']}: the file wasn't named by {lms.title()}, "
                    "so it can't tell whose it is"
                )
                continue
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            pages.writestr(info, feedback.page(result, given))
            count += 1
    files.write(target, data.getvalue())
    return count, left


def file_name(result: Mapping[str, Any], lms: str) -> str | None:
    """Return what a student's page must be called for the LMS; None if that isn't known."""
    submission, student = result["submission"], overrides.student_of(result)
    if lms == "canvas":
        known = _CANVAS.fullmatch(submission) and f"_{student}_" in f"_{submission}"
        return f"{submission}.html" if known else None
    if not (student.isascii() and student.isdigit() and result.get("name")):
        return None
    # Moodle splits it at the underlines, so the name may have none.
    person = safe_names([result["name"]])[result["name"]].replace("_", " ")
    return f"{person}_{student}_assignsubmission_file_{result['assignment']}.html"
