"""Draws the picture of the README from what ``commonspace demo`` saved.

    commonspace demo
    python docs/make_pictures.py runs/demo docs/pictures/search.png

It knows nothing of how they were found.
"""

import sys
from pathlib import Path

from PIL import Image


def main(run: Path, out: Path) -> None:
    """Put the sheets of the demo's searches below each other."""
    sheets = [Image.open(file) for file in sorted((run / "searches").glob("[12].png"))]
    width, height = max(one.width for one in sheets), sum(one.height for one in sheets)
    picture = Image.new("RGB", (width, height), "white")
    top = 0
    for sheet in sheets:
        picture.paste(sheet, (0, top))
        top += sheet.height
    picture.save(out, optimize=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
