"""Contact sheets: a query and its results as one image file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from commonspace.atomic import replace_file

__all__ = ["write_sheet"]

CELL, MARGIN, SIZE = 160, 12, 13
INK, FAINT, PAPER = (34, 34, 40), (120, 120, 128), (255, 255, 255)


def write_sheet(
    path: Path,
    title: str,
    pictures: Sequence[NDArray[np.uint8]],
    captions: Sequence[str],
) -> None:
    """Write images in a row, each with its caption below, under a title.

    Args:
        path: a new .png file in an existing folder.
        title: the line above.
        pictures: (h, w, 3) uint8 RGB each, of any size.
        captions: one for each image.

    Raises:
        OutputError: the file exists or cannot be written.
    """
    font = ImageFont.load_default(SIZE)
    below = [_lines(caption, font) for caption in captions]
    line = round(SIZE * 1.4)
    width = MARGIN + len(pictures) * (CELL + MARGIN)
    height = 3 * MARGIN + line + CELL + line * max(map(len, below), default=0)
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, MARGIN), title, fill=INK, font=font)
    for number, (picture, lines) in enumerate(zip(pictures, below, strict=True)):
        left, top = MARGIN + number * (CELL + MARGIN), 2 * MARGIN + line
        cell = Image.fromarray(picture)
        cell = cell.resize(_fitting(cell.size), Image.Resampling.BICUBIC)
        sheet.paste(cell, (left, top))
        for row, text in enumerate(lines):
            pen.text((left, top + CELL + 4 + row * line), text, fill=FAINT, font=font)
    with replace_file(path) as draft:
        sheet.save(draft, "PNG")


def _fitting(size: tuple[int, int]) -> tuple[int, int]:
    """Return the largest size of the same aspect ratio that fits into a cell."""
    scale = CELL / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _lines(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    """Wrap a text into lines that are no wider than a cell."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= CELL:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
