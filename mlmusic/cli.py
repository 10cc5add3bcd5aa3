"""The command line: ``mlmusic doctor``, ``play``, ``train``, ``generate``, ``grade`` and so on.

Each command imports what it needs when it is called, so that ``mlmusic --help`` answers at once.
"""

import argparse
import importlib
import sys
from pathlib import Path

from mlmusic import files

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
    except (OSError, ValueError, FloatingPointError, MemoryError) as error:
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
    play.add_argument("file", type=Path, help=f"one of {', '.join(files.READABLE)}")
    play.add_argument(
        "-o",
        "--out",
        type=Path,
        help=f"write it here instead of opening it in a browser: {', '.join(files.WRITABLE)}",
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
    if options.out:
        files.writable(options.out)
    score = files.read(options.file, options.number)
    if options.out:
        files.write(score, options.out, options.file.stem)
        print(f"wrote {options.out}")
        return 0

    import tempfile
    import webbrowser

    # Stays: the browser reads it after this has ended.
    page = Path(tempfile.mkdtemp(prefix="mlmusic-")) / f"{options.file.stem}.html"
    files.write(score, page, options.file.stem)
    if not webbrowser.open(page.as_uri()):
        print("no browser could be opened: ", end="")
    print(f"open {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
