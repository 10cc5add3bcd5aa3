"""Reading the corpus: our readers against music21's parser, CPU time in one run."""

import time

from mlmusic.datasets.base import corpus_folder
from mlmusic.readers import musicxml, mxl


def run() -> list[dict]:
    """Measure every format; each function makes one row."""
    return [chorales()]


def chorales() -> dict:
    """Read the 408 Bach files (compressed MusicXML)."""
    from music21.musicxml.xmlToM21 import MusicXMLImporter

    paths = sorted((corpus_folder() / "bach").glob("*.mxl"))

    def theirs(path):
        importer = MusicXMLImporter()  # the parser alone: no search for the format, no pickles
        importer.xmlText = mxl.document(path)
        importer.parseXMLText()

    ours_seconds = _seconds(lambda: [musicxml.read(path) for path in paths])
    peer_seconds = _seconds(lambda: [theirs(path) for path in paths])
    return {
        "row": f"MusicXML: read {len(paths)} Bach files, against music21",
        "ours": f"{ours_seconds:.1f} s",
        "peer": f"{peer_seconds:.1f} s",
        "ratio": peer_seconds / ours_seconds,
        "note": "the same notes in every four-part chorale; music21 also keeps the layout",
    }


def _seconds(call) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


if __name__ == "__main__":
    for row in run():
        print(row)
