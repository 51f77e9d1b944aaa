"""Composes the picture of the README from the output of ``commonspace demo``.

commonspace demo
python docs/make_pictures.py runs/demo docs/pictures/search.png
"""

import sys
from pathlib import Path

from PIL import Image


def main(run: Path, out: Path) -> None:
    """Stack the sheets of the demo's searches."""
    sheets = [Image.open(file) for file in sorted((run / "searches").glob("[12].png"))]
    width, height = max(sheet.width for sheet in sheets), sum(sheet.height for sheet in sheets)
    picture = Image.new("RGB", (width, height), "white")
    top = 0
    for sheet in sheets:
        picture.paste(sheet, (0, top))
        top += sheet.height
    picture.save(out, optimize=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
