"""Eight backgrounds with random details: a gradient with simple shapes on it."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from commonspace.datasets.scenes.shapes import Color

__all__ = ["BACKDROPS", "backdrop"]

Painter = Callable[[ImageDraw.ImageDraw, int, int, np.random.Generator], None]


def backdrop(name: str, side: int, rng: np.random.Generator) -> Image.Image:
    """Return a new square picture of a place.

    Args:
        name: a key of ``BACKDROPS``.
        side: height and width, in pixels.
        rng: random generator for horizon, hills, clouds and stars.
    """
    top, bottom, ground, paint = BACKDROPS[name]
    horizon = int(side * rng.uniform(0.5, 0.8))
    tint = rng.uniform(-14, 14, 3)
    column = np.linspace(np.add(top, tint), np.add(bottom, tint), horizon)
    floor = np.linspace(np.add(ground, tint), np.add(ground, tint) * 0.82, side - horizon)
    strip = np.concatenate([column, floor]).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(strip[:, None]).resize((side, side), Image.Resampling.NEAREST)
    paint(ImageDraw.Draw(picture), side, horizon, rng)
    return picture


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, color: Color) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)


def _hill(
    draw: ImageDraw.ImageDraw, side: int, horizon: int, color: Color, rng: np.random.Generator
) -> None:
    x, height = rng.uniform(0, side), rng.uniform(0.06, 0.2) * side
    half = rng.uniform(0.3, 0.6) * side
    draw.pieslice((x - half, horizon - height, x + half, horizon + height), 180, 360, fill=color)


def _clouds(
    draw: ImageDraw.ImageDraw, side: int, horizon: int, color: Color, rng: np.random.Generator
) -> None:
    for x, y in rng.uniform(0, 1, (rng.integers(0, 3), 2)) * (side, horizon * 0.7):
        for step in (-1, 0, 1):
            radius = side * (0.05 if step else 0.07)
            _disc(draw, x + step * side * 0.06, y - radius / 2, radius, color)


def _meadow(draw: ImageDraw.ImageDraw, side: int, horizon: int, rng: np.random.Generator) -> None:
    _clouds(draw, side, horizon, (250, 250, 250), rng)
    _hill(draw, side, horizon, (120, 176, 100), rng)
    for x, y in rng.uniform(0, 1, (10, 2)) * (side, side - horizon) + (0, horizon):
        draw.line((x, y, x + side * 0.01, y - side * 0.03), fill=(86, 150, 66), width=2)


def _night(draw: ImageDraw.ImageDraw, side: int, horizon: int, rng: np.random.Generator) -> None:
    for x, y in rng.uniform(0, 1, (18, 2)) * (side, horizon):
        _disc(draw, x, y, side * 0.006, (250, 246, 210))
    x, y, radius = rng.uniform(0.1, 0.9) * side, rng.uniform(0.08, 0.3) * side, side * 0.07
    _disc(draw, x, y, radius, (246, 238, 190))
    _hill(draw, side, horizon, (34, 48, 66), rng)


def _sea(draw: ImageDraw.ImageDraw, side: int, horizon: int, rng: np.random.Generator) -> None:
    _clouds(draw, side, horizon, (246, 250, 252), rng)
    for x, y in rng.uniform(0, 1, (9, 2)) * (side, side - horizon) + (0, horizon):
        width = side * 0.06
        draw.arc((x - width, y, x + width, y + width), 200, 340, fill=(190, 224, 236), width=2)


def _snow(draw: ImageDraw.ImageDraw, side: int, horizon: int, rng: np.random.Generator) -> None:
    _hill(draw, side, horizon, (222, 232, 240), rng)
    for x, y in rng.uniform(0, 1, (26, 2)) * side:
        _disc(draw, x, y, side * 0.009, (255, 255, 255))


def _desert(draw: ImageDraw.ImageDraw, side: int, horizon: int, rng: np.random.Generator) -> None:
    _disc(
        draw, rng.uniform(0, 1) * side, rng.uniform(0.05, 0.3) * side, side * 0.07, (255, 240, 190)
    )
    _hill(draw, side, horizon, (222, 184, 122), rng)
    _hill(draw, side, horizon, (206, 166, 106), rng)


def _room(draw: ImageDraw.ImageDraw, side: int, horizon: int, rng: np.random.Generator) -> None:
    start, step = rng.uniform(0, 0.15) * side, side * rng.uniform(0.12, 0.2)
    for x in np.arange(start, side, step):
        draw.rectangle((x, 0, x + step * 0.35, horizon), fill=(228, 208, 186))
    draw.rectangle((0, horizon - side * 0.03, side, horizon), fill=(250, 244, 232))


def _dusk(draw: ImageDraw.ImageDraw, side: int, horizon: int, rng: np.random.Generator) -> None:
    _disc(draw, rng.uniform(0, 1) * side, horizon, side * 0.11, (255, 214, 120))
    _clouds(draw, side, horizon, (240, 170, 150), rng)
    draw.rectangle((0, horizon, side, side), fill=(96, 78, 92))
    _hill(draw, side, horizon, (96, 78, 92), rng)


def _city(draw: ImageDraw.ImageDraw, side: int, horizon: int, rng: np.random.Generator) -> None:
    x = 0.0
    while x < side:
        width, height = rng.uniform(0.1, 0.2) * side, rng.uniform(0.1, 0.45) * side
        gray = int(rng.uniform(150, 190))
        draw.rectangle((x, horizon - height, x + width, horizon), fill=(gray, gray, gray + 12))
        x += width


BACKDROPS: dict[str, tuple[Color, Color, Color, Painter]] = {
    "meadow": ((128, 190, 238), (214, 236, 248), (132, 192, 96), _meadow),
    "night": ((18, 22, 54), (52, 60, 104), (30, 42, 52), _night),
    "sea": ((150, 206, 240), (226, 242, 250), (58, 128, 178), _sea),
    "snow": ((176, 196, 220), (226, 232, 240), (240, 244, 248), _snow),
    "desert": ((240, 206, 150), (252, 234, 196), (232, 196, 136), _desert),
    "room": ((238, 222, 202), (238, 222, 202), (172, 124, 88), _room),
    "dusk": ((96, 76, 140), (248, 170, 120), (96, 78, 92), _dusk),
    "city": ((196, 214, 228), (232, 236, 238), (128, 128, 134), _city),
}
"""Name -> colors of the sky above, the sky at the horizon and the ground, and the painter."""
