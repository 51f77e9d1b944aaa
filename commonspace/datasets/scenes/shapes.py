"""Filled polygons and their shades.

Points lie in the square from (-1, -1) to (1, 1), y pointing down.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Color", "Patch", "bar", "box", "oval", "pair", "path", "ring", "shades"]

Color = tuple[int, int, int]
"""Red, green and blue, each from 0 to 255."""


class Patch(NamedTuple):
    """One filled polygon: the name of its shade, and (corners, 2) float64 points."""

    shade: str
    points: NDArray[np.float64]


def shades(color: Color) -> dict[str, Color]:
    """Return the color of every shade that a patch may name.

    Args:
        color: the main color of the object.

    Example:
        >>> shades((200, 100, 0))["dark"]
        (124, 62, 0)
    """
    red, green, blue = color
    fixed: dict[str, Color] = {
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
        "main": color,
        "dark": (int(red * 0.62), int(green * 0.62), int(blue * 0.62)),
        "light": (128 + red // 2, 128 + green // 2, 128 + blue // 2),
    }


def path(shade: str, *corners: tuple[float, float]) -> Patch:
    """Return the polygon of these corners."""
    return Patch(shade, np.array(corners, dtype=np.float64))


def box(shade: str, left: float, top: float, right: float, bottom: float) -> Patch:
    """Return an upright rectangle."""
    return path(shade, (left, top), (right, top), (right, bottom), (left, bottom))


def bar(shade: str, start: tuple[float, float], end: tuple[float, float], width: float) -> Patch:
    """Return a straight stroke of the given width."""
    first, last = np.array(start), np.array(end)
    along = (last - first) / np.linalg.norm(last - first)
    side = np.array([-along[1], along[0]]) * width / 2
    return Patch(shade, np.array([first + side, last + side, last - side, first - side]))


def pair(patch: Patch) -> list[Patch]:
    """Return a patch and its mirror image."""
    return [patch, Patch(patch.shade, patch.points * (-1, 1))]


def oval(
    shade: str,
    center: tuple[float, float],
    radius: tuple[float, float],
    turn: tuple[float, float] = (0, 360),
) -> Patch:
    """Return an ellipse, or the piece of it between two angles in degrees, clockwise from 3."""
    corners = 20 if turn == (0, 360) else 14
    angle = np.deg2rad(np.linspace(*turn, corners))
    return Patch(
        shade, np.column_stack([np.cos(angle), np.sin(angle)]) * np.array(radius) + np.array(center)
    )


def ring(
    shade: str,
    center: tuple[float, float],
    radius: float,
    width: float,
    turn: tuple[float, float],
) -> Patch:
    """Return an arc of the given width."""
    outer = oval(shade, center, (radius, radius), turn).points
    inner = oval(shade, center, (radius - width, radius - width), turn).points
    return Patch(shade, np.concatenate([outer, inner[::-1]]))
