"""Copies the pictures of docs/report.md from a report, with fewer colors to keep them small.

commonspace demo
commonspace report runs/demo
python docs/make_report_pictures.py runs/demo/report docs/pictures
"""

import sys
from pathlib import Path

from PIL import Image

PICTURES = ("common-space", "queries-text-image")
WIDTH = 1080


def main(report: Path, out: Path) -> None:
    """Write each picture as a PNG of at most 256 colors."""
    for name in PICTURES:
        picture = Image.open(report / f"{name}.png").convert("RGB")
        picture.thumbnail((WIDTH, WIDTH * 3))
        picture.quantize(256, dither=Image.Dither.NONE).save(
            out / f"report-{name}.png", optimize=True
        )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
