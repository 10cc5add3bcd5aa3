"""All honest but odd notebooks."""

from . import odd_code, odd_files

ODD = [*odd_files.CASES, *odd_code.CASES]
