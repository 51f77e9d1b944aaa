"""Twenty-four things, each drawn with filled polygons in one main colour.

A drawing fills the square from (-1, -1) to (1, 1), y pointing down. This module knows nothing of
scenes: where a thing stands, how large it is and in what colour is for others to say.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["DRAWINGS", "Colour", "Patch", "drawing", "shades"]

Colour = tuple[int, int, int]
"""Red, green and blue, each from 0 to 255."""


class Patch(NamedTuple):
    """One filled polygon: the name of its shade, and (corners, 2) float64 points."""

    shade: str
    points: NDArray[np.float64]


def drawing(name: str) -> tuple[Patch, ...]:
    """Return the patches of one thing, from back to front.

    Args:
        name: a key of ``DRAWINGS``.
    """
    return _drawing(name)


def shades(colour: Colour) -> dict[str, Colour]:
    """Return the colour of every shade that a patch may name.

    Args:
        colour: the main colour of the thing.

    Example:
        >>> shades((200, 100, 0))["dark"]
        (124, 62, 0)
    """
    red, green, blue = colour
    fixed: dict[str, Colour] = {
        "white": (250, 250, 245),
        "black": (35, 32, 40),
        "wood": (140, 92, 52),
        "cream": (242, 226, 190),
        "glass": (176, 222, 240),
        "green": (62, 140, 60),
        "gold": (250, 200, 60),
        "metal": (150, 156, 168),
    }
    return fixed | {
        "main": colour,
        "dark": (int(red * 0.62), int(green * 0.62), int(blue * 0.62)),
        "light": (128 + red // 2, 128 + green // 2, 128 + blue // 2),
    }


@cache
def _drawing(name: str) -> tuple[Patch, ...]:
    return tuple(DRAWINGS[name]())


def _path(shade: str, *corners: tuple[float, float]) -> Patch:
    return Patch(shade, np.array(corners, dtype=np.float64))


def _box(shade: str, left: float, top: float, right: float, bottom: float) -> Patch:
    return _path(shade, (left, top), (right, top), (right, bottom), (left, bottom))


def _bar(shade: str, start: tuple[float, float], end: tuple[float, float], width: float) -> Patch:
    """Return a straight stroke of the given width."""
    first, last = np.array(start), np.array(end)
    along = (last - first) / np.linalg.norm(last - first)
    side = np.array([-along[1], along[0]]) * width / 2
    return Patch(shade, np.array([first + side, last + side, last - side, first - side]))


def _oval(
    shade: str,
    centre: tuple[float, float],
    radius: tuple[float, float],
    turn: tuple[float, float] = (0, 360),
) -> Patch:
    """Return an ellipse, or the piece of it between two angles in degrees, clockwise from 3."""
    corners = 20 if turn == (0, 360) else 14
    angle = np.deg2rad(np.linspace(*turn, corners))
    return Patch(
        shade, np.column_stack([np.cos(angle), np.sin(angle)]) * np.array(radius) + np.array(centre)
    )


def _ring(
    shade: str,
    centre: tuple[float, float],
    radius: float,
    width: float,
    turn: tuple[float, float],
) -> Patch:
    """Return an arc of the given width."""
    outer = _oval(shade, centre, (radius, radius), turn).points
    inner = _oval(shade, centre, (radius - width, radius - width), turn).points
    return Patch(shade, np.concatenate([outer, inner[::-1]]))


def _apple() -> list[Patch]:
    return [
        _bar("wood", (0.0, -0.45), (0.12, -0.95), 0.13),
        _oval("green", (0.42, -0.72), (0.32, 0.15)),
        _oval("main", (-0.32, 0.18), (0.55, 0.72)),
        _oval("main", (0.32, 0.18), (0.55, 0.72)),
        _oval("light", (-0.5, -0.1), (0.12, 0.24)),
    ]


def _balloon() -> list[Patch]:
    return [
        _bar("wood", (-0.5, 0.2), (-0.17, 0.75), 0.06),
        _bar("wood", (0.5, 0.2), (0.17, 0.75), 0.06),
        _oval("main", (0.0, -0.3), (0.7, 0.68)),
        _path("main", (-0.6, 0.05), (0.6, 0.05), (0.17, 0.52), (-0.17, 0.52)),
        _oval("light", (0.0, -0.3), (0.4, 0.68)),
        _oval("dark", (0.0, -0.3), (0.16, 0.68)),
        _box("wood", -0.22, 0.7, 0.22, 0.98),
    ]


def _boat() -> list[Patch]:
    return [
        _bar("wood", (-0.02, -0.98), (-0.02, 0.5), 0.09),
        _path("main", (0.06, -0.92), (0.85, 0.36), (0.06, 0.36)),
        _path("light", (-0.1, -0.7), (-0.1, 0.36), (-0.75, 0.36)),
        _path("dark", (-0.95, 0.46), (0.98, 0.46), (0.6, 0.9), (-0.62, 0.9)),
        _box("white", -0.86, 0.5, 0.88, 0.58),
    ]


def _butterfly() -> list[Patch]:
    return [
        _oval("main", (-0.52, -0.4), (0.44, 0.46)),
        _oval("main", (0.52, -0.4), (0.44, 0.46)),
        _oval("dark", (-0.42, 0.42), (0.34, 0.4)),
        _oval("dark", (0.42, 0.42), (0.34, 0.4)),
        _oval("light", (-0.56, -0.42), (0.2, 0.22)),
        _oval("light", (0.56, -0.42), (0.2, 0.22)),
        _bar("black", (-0.04, -0.5), (-0.28, -0.97), 0.06),
        _bar("black", (0.04, -0.5), (0.28, -0.97), 0.06),
        _oval("black", (0.0, 0.05), (0.11, 0.66)),
    ]


def _cactus() -> list[Patch]:
    return [
        _box("main", -0.7, -0.12, -0.1, 0.12),
        _oval("main", (-0.62, -0.22), (0.15, 0.32)),
        _box("main", 0.1, 0.1, 0.68, 0.32),
        _oval("main", (0.62, -0.08), (0.15, 0.4)),
        _oval("main", (0.0, -0.5), (0.25, 0.45)),
        _box("main", -0.25, -0.5, 0.25, 0.6),
        _bar("light", (-0.09, -0.65), (-0.09, 0.5), 0.06),
        _bar("light", (0.1, -0.65), (0.1, 0.5), 0.06),
        _path("wood", (-0.48, 0.52), (0.48, 0.52), (0.36, 0.98), (-0.36, 0.98)),
    ]


def _car() -> list[Patch]:
    return [
        _path("main", (-0.55, -0.05), (-0.35, -0.5), (0.3, -0.5), (0.58, -0.05)),
        _path("glass", (-0.4, -0.08), (-0.27, -0.4), (-0.04, -0.4), (-0.04, -0.08)),
        _path("glass", (0.05, -0.08), (0.05, -0.4), (0.24, -0.4), (0.42, -0.08)),
        _path("main", (-0.98, 0.0), (-0.6, -0.1), (0.66, -0.1), (0.98, 0.08), (0.98, 0.4)),
        _box("main", -0.98, 0.0, 0.98, 0.4),
        _box("dark", -0.98, 0.28, 0.98, 0.42),
        _oval("gold", (0.88, 0.14), (0.09, 0.09)),
        _oval("black", (-0.52, 0.42), (0.26, 0.26)),
        _oval("black", (0.54, 0.42), (0.26, 0.26)),
        _oval("metal", (-0.52, 0.42), (0.12, 0.12)),
        _oval("metal", (0.54, 0.42), (0.12, 0.12)),
    ]


def _cat() -> list[Patch]:
    return [
        _path("main", (-0.82, -0.92), (-0.2, -0.5), (-0.74, 0.1)),
        _path("main", (0.82, -0.92), (0.2, -0.5), (0.74, 0.1)),
        _path("light", (-0.7, -0.7), (-0.38, -0.48), (-0.66, -0.15)),
        _path("light", (0.7, -0.7), (0.38, -0.48), (0.66, -0.15)),
        _oval("main", (0.0, 0.2), (0.82, 0.7)),
        _oval("white", (-0.34, 0.05), (0.2, 0.22)),
        _oval("white", (0.34, 0.05), (0.2, 0.22)),
        _oval("black", (-0.32, 0.07), (0.09, 0.18)),
        _oval("black", (0.32, 0.07), (0.09, 0.18)),
        _oval("white", (0.0, 0.55), (0.36, 0.24)),
        _path("black", (-0.12, 0.4), (0.12, 0.4), (0.0, 0.54)),
        _bar("black", (-0.3, 0.52), (-0.98, 0.4), 0.05),
        _bar("black", (-0.3, 0.6), (-0.96, 0.68), 0.05),
        _bar("black", (0.3, 0.52), (0.98, 0.4), 0.05),
        _bar("black", (0.3, 0.6), (0.96, 0.68), 0.05),
    ]


def _clock() -> list[Patch]:
    return [
        _bar("dark", (-0.4, 0.6), (-0.62, 0.97), 0.16),
        _bar("dark", (0.4, 0.6), (0.62, 0.97), 0.16),
        _oval("dark", (-0.5, -0.66), (0.34, 0.28)),
        _oval("dark", (0.5, -0.66), (0.34, 0.28)),
        _oval("main", (0.0, 0.12), (0.8, 0.8)),
        _oval("white", (0.0, 0.12), (0.6, 0.6)),
        _bar("black", (0.0, 0.12), (0.0, -0.34), 0.1),
        _bar("black", (0.0, 0.12), (0.33, 0.26), 0.1),
        _oval("main", (0.0, 0.12), (0.09, 0.09)),
    ]


def _cup() -> list[Patch]:
    return [
        _bar("white", (-0.42, -0.55), (-0.3, -0.95), 0.1),
        _bar("white", (-0.05, -0.55), (0.07, -0.95), 0.1),
        _ring("main", (0.48, 0.1), 0.44, 0.15, (-90, 90)),
        _path("main", (-0.76, -0.4), (0.56, -0.4), (0.4, 0.66), (-0.6, 0.66)),
        _oval("dark", (-0.1, -0.4), (0.66, 0.14)),
        _path("light", (-0.73, -0.1), (0.52, -0.1), (0.49, 0.12), (-0.7, 0.12)),
        _oval("white", (-0.1, 0.76), (0.88, 0.16)),
    ]


def _fish() -> list[Patch]:
    return [
        _path("dark", (0.45, 0.0), (0.98, -0.5), (0.86, 0.0), (0.98, 0.5)),
        _path("dark", (-0.3, -0.35), (0.05, -0.78), (0.35, -0.3)),
        _path("dark", (-0.15, 0.35), (0.1, 0.72), (0.3, 0.3)),
        _oval("main", (-0.2, 0.0), (0.76, 0.46)),
        _ring("light", (-0.72, 0.0), 0.5, 0.09, (-50, 50)),
        _ring("light", (-0.42, 0.0), 0.5, 0.09, (-45, 45)),
        _oval("white", (-0.6, -0.12), (0.15, 0.15)),
        _oval("black", (-0.63, -0.12), (0.07, 0.07)),
    ]


def _flower() -> list[Patch]:
    petals = [
        _oval("main", (0.44 * np.cos(angle), -0.38 + 0.44 * np.sin(angle)), (0.25, 0.25))
        for angle in np.linspace(0.3, 2 * np.pi + 0.3, 6, endpoint=False)
    ]
    return [
        _bar("green", (0.0, -0.3), (0.0, 0.98), 0.12),
        _path("green", (0.0, 0.75), (0.6, 0.25), (0.5, 0.62)),
        _path("green", (0.0, 0.9), (-0.6, 0.4), (-0.5, 0.77)),
        *petals,
        _oval("gold", (0.0, -0.38), (0.26, 0.26)),
    ]


def _guitar() -> list[Patch]:
    return [
        _box("wood", -0.09, -0.8, 0.09, 0.2),
        _box("black", -0.15, -0.99, 0.15, -0.72),
        _oval("main", (0.0, 0.1), (0.4, 0.34)),
        _oval("main", (0.0, 0.56), (0.56, 0.43)),
        _oval("black", (0.0, 0.24), (0.17, 0.17)),
        _bar("white", (0.0, -0.75), (0.0, 0.7), 0.05),
        _box("dark", -0.24, 0.66, 0.24, 0.76),
    ]


def _house() -> list[Patch]:
    return [
        _box("dark", 0.35, -0.85, 0.58, -0.2),
        _box("light", -0.7, -0.1, 0.7, 0.92),
        _path("main", (-0.95, -0.05), (0.0, -0.92), (0.95, -0.05)),
        _box("wood", -0.16, 0.35, 0.16, 0.92),
        _box("glass", -0.56, 0.15, -0.28, 0.45),
        _box("glass", 0.28, 0.15, 0.56, 0.45),
    ]


def _ice_cream() -> list[Patch]:
    return [
        _path("wood", (-0.44, 0.0), (0.44, 0.0), (0.0, 0.98)),
        _bar("cream", (-0.3, 0.08), (0.12, 0.62), 0.06),
        _bar("cream", (0.3, 0.08), (-0.12, 0.62), 0.06),
        _oval("main", (-0.3, -0.2), (0.36, 0.34)),
        _oval("light", (0.3, -0.2), (0.36, 0.34)),
        _oval("dark", (0.0, -0.56), (0.34, 0.34)),
        _oval("white", (0.0, -0.9), (0.11, 0.11)),
    ]


def _kite() -> list[Patch]:
    return [
        _bar("black", (0.0, 0.35), (-0.25, 0.6), 0.05),
        _bar("black", (-0.25, 0.6), (0.05, 0.75), 0.05),
        _bar("black", (0.05, 0.75), (-0.2, 0.98), 0.05),
        _path("light", (-0.45, 0.5), (-0.25, 0.6), (-0.4, 0.76)),
        _path("light", (0.25, 0.64), (0.05, 0.75), (0.22, 0.9)),
        _path("main", (0.0, -0.98), (0.62, -0.35), (0.0, 0.4)),
        _path("dark", (0.0, -0.98), (-0.62, -0.35), (0.0, 0.4)),
        _bar("white", (0.0, -0.98), (0.0, 0.4), 0.05),
        _bar("white", (-0.62, -0.35), (0.62, -0.35), 0.05),
    ]


def _lamp() -> list[Patch]:
    return [
        _path("gold", (-0.4, 0.0), (0.4, 0.0), (0.6, 0.3), (-0.6, 0.3)),
        _bar("metal", (0.0, -0.1), (0.0, 0.85), 0.14),
        _path("main", (-0.34, -0.92), (0.34, -0.92), (0.76, 0.02), (-0.76, 0.02)),
        _path("dark", (-0.66, -0.18), (0.66, -0.18), (0.76, 0.02), (-0.76, 0.02)),
        _oval("metal", (0.0, 0.86), (0.46, 0.13)),
    ]


def _lighthouse() -> list[Patch]:
    return [
        _path("gold", (0.0, -0.62), (0.98, -0.82), (0.98, -0.42)),
        _path("white", (-0.24, -0.45), (0.24, -0.45), (0.42, 0.8), (-0.42, 0.8)),
        _path("main", (-0.28, -0.2), (0.28, -0.2), (0.32, 0.1), (-0.32, 0.1)),
        _path("main", (-0.36, 0.38), (0.36, 0.38), (0.41, 0.68), (-0.41, 0.68)),
        _box("black", -0.34, -0.5, 0.34, -0.4),
        _box("gold", -0.2, -0.76, 0.2, -0.48),
        _path("dark", (-0.28, -0.74), (0.0, -0.99), (0.28, -0.74)),
        _oval("metal", (0.0, 0.84), (0.7, 0.15)),
    ]


def _mushroom() -> list[Patch]:
    return [
        _path("cream", (-0.22, -0.1), (0.22, -0.1), (0.34, 0.92), (-0.34, 0.92)),
        _oval("main", (0.0, 0.02), (0.92, 0.88), (180, 360)),
        _oval("light", (0.0, 0.04), (0.92, 0.14)),
        _oval("white", (-0.42, -0.3), (0.15, 0.14)),
        _oval("white", (0.08, -0.56), (0.17, 0.15)),
        _oval("white", (0.5, -0.22), (0.13, 0.12)),
    ]


def _robot() -> list[Patch]:
    return [
        _bar("metal", (0.0, -0.6), (0.0, -0.95), 0.07),
        _oval("gold", (0.0, -0.9), (0.1, 0.1)),
        _box("dark", -0.42, 0.55, -0.12, 0.96),
        _box("dark", 0.12, 0.55, 0.42, 0.96),
        _box("metal", -0.86, -0.05, -0.5, 0.14),
        _box("metal", -0.86, -0.05, -0.68, 0.5),
        _box("metal", 0.5, -0.05, 0.86, 0.14),
        _box("metal", 0.68, -0.05, 0.86, 0.5),
        _box("main", -0.55, -0.12, 0.55, 0.62),
        _box("light", -0.44, -0.75, 0.44, -0.16),
        _oval("black", (-0.2, -0.5), (0.12, 0.12)),
        _oval("black", (0.2, -0.5), (0.12, 0.12)),
        _box("black", -0.22, -0.3, 0.22, -0.23),
        _box("white", -0.3, 0.08, 0.3, 0.36),
    ]


def _rocket() -> list[Patch]:
    return [
        _path("gold", (-0.24, 0.55), (0.24, 0.55), (0.0, 0.99)),
        _path("dark", (-0.28, 0.05), (-0.72, 0.66), (-0.24, 0.56)),
        _path("dark", (0.28, 0.05), (0.72, 0.66), (0.24, 0.56)),
        _oval("white", (0.0, -0.1), (0.34, 0.88)),
        _box("main", -0.27, 0.38, 0.27, 0.62),
        _path("main", (-0.26, -0.62), (0.26, -0.62), (0.0, -0.99)),
        _oval("main", (0.0, -0.22), (0.2, 0.2)),
        _oval("glass", (0.0, -0.22), (0.12, 0.12)),
    ]


def _tent() -> list[Patch]:
    return [
        _bar("wood", (-0.3, -0.9), (-0.24, -0.6), 0.07),
        _path("dark", (-0.25, -0.68), (0.55, -0.5), (0.98, 0.75), (0.4, 0.8)),
        _path("main", (-0.25, -0.68), (0.42, 0.8), (-0.95, 0.8)),
        _path("black", (-0.25, -0.25), (0.02, 0.8), (-0.54, 0.8)),
        _path("light", (-0.25, -0.25), (-0.54, 0.8), (-0.72, 0.8)),
    ]


def _train() -> list[Patch]:
    wheels = [
        part
        for x, radius in ((-0.6, 0.26), (-0.02, 0.22), (0.5, 0.22))
        for part in (
            _oval("black", (x, 0.86 - radius), (radius, radius)),
            _oval("gold", (x, 0.86 - radius), (radius * 0.45, radius * 0.45)),
        )
    ]
    return [
        _oval("white", (0.42, -0.86), (0.2, 0.13)),
        _oval("white", (0.16, -0.93), (0.14, 0.1)),
        _path("black", (0.36, -0.2), (0.3, -0.7), (0.7, -0.7), (0.62, -0.2)),
        _box("main", -0.3, -0.25, 0.84, 0.4),
        _oval("light", (0.84, 0.08), (0.1, 0.33)),
        _box("dark", -0.85, -0.6, -0.22, 0.5),
        _box("glass", -0.7, -0.42, -0.38, -0.06),
        _box("main", -0.96, -0.74, -0.12, -0.56),
        _path("metal", (0.7, 0.4), (0.99, 0.88), (0.62, 0.88)),
        _box("black", -0.88, 0.4, 0.8, 0.52),
        *wheels,
    ]


def _tree() -> list[Patch]:
    return [
        _box("wood", -0.14, 0.5, 0.14, 0.98),
        _path("dark", (0.0, -0.3), (0.82, 0.68), (-0.82, 0.68)),
        _path("main", (0.0, -0.66), (0.66, 0.24), (-0.66, 0.24)),
        _path("light", (0.0, -0.98), (0.48, -0.24), (-0.48, -0.24)),
    ]


def _umbrella() -> list[Patch]:
    return [
        _bar("wood", (0.0, -0.2), (0.0, 0.76), 0.09),
        _ring("wood", (-0.16, 0.74), 0.205, 0.09, (0, 180)),
        _bar("wood", (0.0, -0.98), (0.0, -0.7), 0.07),
        _oval("main", (0.0, 0.05), (0.95, 0.88), (180, 360)),
        _path("dark", (0.0, -0.83), (-0.34, 0.05), (-0.66, 0.05), (-0.5, -0.5)),
        _path("light", (0.0, -0.83), (0.34, 0.05), (-0.02, 0.05)),
        _path("dark", (0.0, -0.83), (0.66, 0.05), (0.95, 0.05), (0.7, -0.54)),
    ]


DRAWINGS: dict[str, Callable[[], list[Patch]]] = {
    "apple": _apple,
    "balloon": _balloon,
    "boat": _boat,
    "butterfly": _butterfly,
    "cactus": _cactus,
    "car": _car,
    "cat": _cat,
    "clock": _clock,
    "cup": _cup,
    "fish": _fish,
    "flower": _flower,
    "guitar": _guitar,
    "house": _house,
    "ice cream": _ice_cream,
    "kite": _kite,
    "lamp": _lamp,
    "lighthouse": _lighthouse,
    "mushroom": _mushroom,
    "robot": _robot,
    "rocket": _rocket,
    "tent": _tent,
    "train": _train,
    "tree": _tree,
    "umbrella": _umbrella,
}
"""Name of a thing -> the function that draws it."""
