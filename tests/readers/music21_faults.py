"""music21's ways of misreading ABC, each as a change of the text that makes our reader misread it.

If our reader, given the changed text and no carrying of accidentals, reads what music21 reads from
the text as it stands, then these faults, and nothing else, explain why the two differ.
"""

import re

_NOTE = r"[\^_=]*[A-Ga-g][,']*[\d/]*"
_EVENT = rf"(?:{_NOTE}|[xz][\d/]*|\[[^\]|:]*\][\d/]*)"


def _fermata(body: str) -> str:
    """`H` (fermata) before a note drops the note."""
    return re.sub(rf'(?<!")H[.~HLMOPSTuv]*{_EVENT}', "", body)


def _quoted_accent(body: str) -> str:
    """A text that starts with `>` (an accent, or a place to the right) drops its note."""
    return re.sub(
        rf'"([^"\n]*)"((?:[\s(.vku~HT]|"[^"\n]*")*{_EVENT})?',
        lambda m: "" if m[1].startswith(">") else m[0],
        body,
    )


def _invisible_rest(body: str) -> str:
    """`x` takes no time."""
    return re.sub(r"x[\d/]*", "", body)


def _note_as_field(body: str) -> str:
    """A capital note before `::` starts an information field: the rest of the line is lost."""
    return re.sub(r"(?<=[^\[\n])[A-Z]:[^|\n].*$", "", body, flags=re.MULTILINE)


def _broken_rhythm(body: str) -> str:
    """`>` and `<` do nothing where a slur, tie, decoration or grace note stands beside them."""
    bare = re.sub(r'"[^"\n]*"', lambda m: " " * len(m[0]), body)
    kept, last = [], 0
    for match in re.finditer(r"[<>]+", bare):
        before = bare[: match.start()].rstrip(" `\t\n\\")
        after = bare[match.end() :].lstrip(" `\t\n\\")
        if not (
            re.search(r"(?:[A-Ga-gz][,']*[\d/]*|\][\d/]*)$", before)
            and re.match(r"[~THLSOP=^_]*[A-Ga-gz]|\[", after)
        ):
            kept.append(body[last : match.start()])
            last = match.end()
    return "".join(kept) + body[last:]


def _broken_chain(body: str) -> str:
    """In `A>B>C` the second `>` undoes what the first did to B."""
    factor = {">": "3/2", "<": "/"}
    return re.sub(
        r"([A-Ga-g][,']*)([<>])(?=\s*[\^_=]*[A-Ga-g][,']*\s*[<>])",
        lambda m: m[1] + factor[m[2]],
        body,
    )


def _grace_in_tuplet(body: str) -> str:
    """A grace note inside a tuplet counts as one of its notes."""

    def shorten(match: re.Match) -> str:
        graces = sum(len(re.findall("[A-Ga-g]", g)) for g in re.findall(r"\{([^}]*)\}", match[2]))
        return f"({match[1]}::{int(match[1]) - graces}{match[2]}" if graces else match[0]

    return re.sub(rf"\((\d)((?:[\s.~T]*(?:\{{[^}}]*\}})?{_NOTE}){{2,3}})", shorten, body)


def _bar_rest(body: str) -> str:
    """`Z` takes no time."""
    return re.sub(r"Z\d*", "", body)


def _inline_field(body: str) -> str:
    """Fields in brackets within a line say nothing."""
    return re.sub(r"\[[A-Z]:[^\]]*\]", "", body)


def _double_slash(body: str) -> str:
    """A number before two slashes is halved once."""
    return re.sub(r"(\d)//", r"\1/", body)


def _tied_accidental(body: str) -> str:
    """A tie to a note whose accidental isn't written again ties to the unaltered note: no tie."""
    return re.sub(r"([\^_=]+([A-Ga-g][,']*)[\d/]*)-(?=[\s|(){}]*\2)", r"\1", body)


def _chord_tie(body: str) -> str:
    """A tie between chords joins nothing."""
    return re.sub(r"\[[^\]|:]*\][\d/]*-?", lambda m: m[0].replace("-", ""), body)


FAULTS = {
    "inline field": _inline_field,
    "double slash": _double_slash,
    "fermata": _fermata,
    "quoted accent": _quoted_accent,
    "note as field": _note_as_field,
    "invisible rest": _invisible_rest,
    "bar rest": _bar_rest,
    "broken rhythm": _broken_rhythm,
    "broken chain": _broken_chain,
    "grace in tuplet": _grace_in_tuplet,
    "tied accidental": _tied_accidental,
    "chord tie": _chord_tie,
}


def with_faults(text: str) -> tuple[str, list[str]]:
    """Return the text as music21 understands it, and the faults that changed it."""
    # music21 reads on after an empty line, where the tune should end.
    read_on = re.sub(r"\n[ \t]*\n(?=[^\n%:]*\|)", "\n", text)
    found = ["empty line"] if read_on != text else []
    head, key, body = re.split(r"^(K:.*)$", read_on, maxsplit=1, flags=re.MULTILINE)
    # Fields and comments are no music.
    lines = re.split(r"^((?:[H-WYZ]:|%).*)$", body, flags=re.MULTILINE)
    for name, fault in FAULTS.items():
        changed = [line if i % 2 else fault(line) for i, line in enumerate(lines)]
        if changed != lines:
            found.append(name)
            lines = changed
    return head + key + "".join(lines), found
