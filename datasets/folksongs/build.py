"""Write datasets/folksongs/splits.csv: one script does it for both sets of melodies.

python datasets/folksongs/build.py
"""

import runpy
from pathlib import Path

if __name__ == "__main__":
    script = Path(__file__).resolve().parents[1] / "tunes" / "build.py"
    runpy.run_path(str(script), run_name="__main__")
