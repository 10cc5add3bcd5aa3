"""The command line: ``mlmusic doctor``, ``play``, ``train``, ``release``, ``grade`` and so on.

Each command imports what it needs when it is called, so that ``mlmusic --help`` answers at once.
"""

import argparse
import importlib
import sys
from pathlib import Path

READABLE = (".mid", ".midi", ".musicxml", ".mxl", ".xml", ".abc")
WRITABLE = (".html", ".wav", ".mp3", ".mid")
OWN_OPTIONS = {  # commands that read their own arguments
    "release": "mlmusic.grading.release",
    "grade": "mlmusic.grading.grade",
    "export": "mlmusic.grading.export",
}


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit status: 0, 1 for a fault, 2 for a wrong call."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments[:1] and arguments[0] in OWN_OPTIONS:
        module = importlib.import_module(OWN_OPTIONS[arguments[0]])
        return module.main(arguments[1:])
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except (OSError, ValueError) as error:
        print(f"mlmusic {options.command}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    from mlmusic import __version__
    from mlmusic import commands as models

    parser = argparse.ArgumentParser(prog="mlmusic", description="Machine learning for music.")
    parser.add_argument("--version", action="version", version=f"mlmusic {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)

    doctor = commands.add_parser("doctor", help="check this installation and say what to mend")
    doctor.set_defaults(run=_doctor)

    play = commands.add_parser("play", help="hear and see a MIDI, MusicXML or ABC file")
    play.add_argument("file", type=Path, help=f"one of {', '.join(READABLE)}")
    play.add_argument(
        "-o",
        "--out",
        type=Path,
        help=f"write it here instead of opening it in a browser: {', '.join(WRITABLE)}",
    )
    play.add_argument("-n", "--number", type=int, default=1, help="which tune of an ABC book")
    play.set_defaults(run=_play)

    models.add_to(commands)

    # Listed here for the help; main passes its arguments on.
    commands.add_parser("release", help="make the students' exercises from the solutions")
    commands.add_parser("grade", help="grade a class's notebooks in a sandbox, with feedback")
    commands.add_parser("export", help="hand grades on: Canvas, Moodle, nbgrader's gradebook")
    return parser


def _doctor(options: argparse.Namespace) -> int:
    from mlmusic import doctor

    return doctor.main()


def _play(options: argparse.Namespace) -> int:
    out = options.out
    if out and out.suffix.lower() not in WRITABLE:
        raise ValueError(f"can't write {out.name}: name a file ending in {', '.join(WRITABLE)}")
    score = _read(options.file, options.number)
    if not len(score):
        raise ValueError(f"{options.file} has no notes")
    if out:
        _write(score, out, options.file.stem)
        print(f"wrote {out}")
        return 0

    import tempfile
    import webbrowser

    # Stays: the browser reads it after this has ended.
    page = Path(tempfile.mkdtemp(prefix="mlmusic-")) / f"{options.file.stem}.html"
    _write(score, page, options.file.stem)
    if not webbrowser.open(page.as_uri()):
        print("no browser could be opened: ", end="")
    print(f"open {page}")
    return 0


def _read(path: Path, number: int):
    """Read a score from a file of any of the formats in `READABLE`."""
    suffix = path.suffix.lower()
    if suffix not in READABLE:
        raise ValueError(f"can't read {path.name}: the formats are {', '.join(READABLE)}")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if suffix in (".mid", ".midi"):
        from mlmusic.score import Score

        return Score.from_midi(path)
    if suffix == ".abc":
        from mlmusic.readers import abc

        tunes = abc.read_book(path)
        if not 1 <= number <= len(tunes):
            raise ValueError(f"{path.name} has {len(tunes)} tunes: there is no number {number}")
        return tunes[number - 1]
    from mlmusic.readers import musicxml

    return musicxml.read(path)


def _write(score, path: Path, title: str) -> None:
    """Write a score as a page, as sound, or as MIDI, by the ending of the name."""
    suffix = path.suffix.lower()
    if suffix == ".mid":
        path.write_bytes(score.midi_bytes())
    elif suffix == ".html":
        from html import escape

        from mlmusic.player import play

        name = score.title or title
        path.write_text(
            f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>{escape(name)}</title>'
            f"<h1>{escape(name)}</h1>\n{play(score, title=name)._repr_html_()}\n</html>\n",
            encoding="utf-8",
        )
    else:
        from mlmusic.audio import SAMPLE_RATE, encode, synthesize

        path.write_bytes(encode(synthesize(score), SAMPLE_RATE, format=suffix[1:]))


if __name__ == "__main__":
    sys.exit(main())
