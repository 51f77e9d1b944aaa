"""Twenty-four things, each drawn with filled polygons in one main colour.

A drawing fills the square from (-1, -1) to (1, 1), y pointing down. This module knows nothing of
scenes: where a thing stands, how large it is and in what colour is for others to say.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from commonspace.data.pen import Patch, bar, box, oval, pair, path, ring

__all__ = ["DRAWINGS", "drawing"]


@cache
def drawing(name: str) -> tuple[Patch, ...]:
    """Return the patches of one thing, from back to front.

    Args:
        name: a key of ``DRAWINGS``.
    """
    return tuple(DRAWINGS[name]())


def _apple() -> list[Patch]:
    return [
        bar("wood", (0.0, -0.45), (0.12, -0.95), 0.13),
        oval("green", (0.42, -0.72), (0.32, 0.15)),
        *pair(oval("main", (-0.32, 0.18), (0.55, 0.72))),
        oval("light", (-0.5, -0.1), (0.12, 0.24)),
    ]


def _balloon() -> list[Patch]:
    return [
        *pair(bar("wood", (-0.5, 0.2), (-0.17, 0.75), 0.06)),
        oval("main", (0.0, -0.3), (0.7, 0.68)),
        path("main", (-0.6, 0.05), (0.6, 0.05), (0.17, 0.52), (-0.17, 0.52)),
        oval("light", (0.0, -0.3), (0.4, 0.68)),
        oval("dark", (0.0, -0.3), (0.16, 0.68)),
        box("wood", -0.22, 0.7, 0.22, 0.98),
    ]


def _boat() -> list[Patch]:
    return [
        bar("wood", (-0.02, -0.98), (-0.02, 0.5), 0.09),
        path("main", (0.06, -0.92), (0.85, 0.36), (0.06, 0.36)),
        path("light", (-0.1, -0.7), (-0.1, 0.36), (-0.75, 0.36)),
        path("dark", (-0.95, 0.46), (0.98, 0.46), (0.6, 0.9), (-0.62, 0.9)),
        box("white", -0.86, 0.5, 0.88, 0.58),
    ]


def _butterfly() -> list[Patch]:
    return [
        *pair(oval("main", (-0.52, -0.4), (0.44, 0.46))),
        *pair(oval("dark", (-0.42, 0.42), (0.34, 0.4))),
        *pair(oval("light", (-0.56, -0.42), (0.2, 0.22))),
        *pair(bar("black", (-0.04, -0.5), (-0.28, -0.97), 0.06)),
        oval("black", (0.0, 0.05), (0.11, 0.66)),
    ]


def _cactus() -> list[Patch]:
    return [
        box("main", -0.7, -0.12, -0.1, 0.12),
        oval("main", (-0.62, -0.22), (0.15, 0.32)),
        box("main", 0.1, 0.1, 0.68, 0.32),
        oval("main", (0.62, -0.08), (0.15, 0.4)),
        oval("main", (0.0, -0.5), (0.25, 0.45)),
        box("main", -0.25, -0.5, 0.25, 0.6),
        bar("light", (-0.09, -0.65), (-0.09, 0.5), 0.06),
        bar("light", (0.1, -0.65), (0.1, 0.5), 0.06),
        path("wood", (-0.48, 0.52), (0.48, 0.52), (0.36, 0.98), (-0.36, 0.98)),
    ]


def _car() -> list[Patch]:
    return [
        path("main", (-0.55, -0.05), (-0.35, -0.5), (0.3, -0.5), (0.58, -0.05)),
        path("glass", (-0.4, -0.08), (-0.27, -0.4), (-0.04, -0.4), (-0.04, -0.08)),
        path("glass", (0.05, -0.08), (0.05, -0.4), (0.24, -0.4), (0.42, -0.08)),
        path("main", (-0.98, 0.0), (-0.6, -0.1), (0.66, -0.1), (0.98, 0.08), (0.98, 0.4)),
        box("main", -0.98, 0.0, 0.98, 0.4),
        box("dark", -0.98, 0.28, 0.98, 0.42),
        oval("gold", (0.88, 0.14), (0.09, 0.09)),
        oval("black", (-0.52, 0.42), (0.26, 0.26)),
        oval("black", (0.54, 0.42), (0.26, 0.26)),
        oval("metal", (-0.52, 0.42), (0.12, 0.12)),
        oval("metal", (0.54, 0.42), (0.12, 0.12)),
    ]


def _cat() -> list[Patch]:
    return [
        *pair(path("main", (-0.82, -0.92), (-0.2, -0.5), (-0.74, 0.1))),
        *pair(path("light", (-0.7, -0.7), (-0.38, -0.48), (-0.66, -0.15))),
        oval("main", (0.0, 0.2), (0.82, 0.7)),
        *pair(oval("white", (-0.34, 0.05), (0.2, 0.22))),
        *pair(oval("black", (-0.32, 0.07), (0.09, 0.18))),
        oval("white", (0.0, 0.55), (0.36, 0.24)),
        path("black", (-0.12, 0.4), (0.12, 0.4), (0.0, 0.54)),
        bar("black", (-0.3, 0.52), (-0.98, 0.4), 0.05),
        bar("black", (-0.3, 0.6), (-0.96, 0.68), 0.05),
        bar("black", (0.3, 0.52), (0.98, 0.4), 0.05),
        bar("black", (0.3, 0.6), (0.96, 0.68), 0.05),
    ]


def _clock() -> list[Patch]:
    return [
        *pair(bar("dark", (-0.4, 0.6), (-0.62, 0.93), 0.16)),
        *pair(oval("dark", (-0.5, -0.66), (0.34, 0.28))),
        oval("main", (0.0, 0.12), (0.8, 0.8)),
        oval("white", (0.0, 0.12), (0.6, 0.6)),
        bar("black", (0.0, 0.12), (0.0, -0.34), 0.1),
        bar("black", (0.0, 0.12), (0.33, 0.26), 0.1),
        oval("main", (0.0, 0.12), (0.09, 0.09)),
    ]


def _cup() -> list[Patch]:
    return [
        bar("white", (-0.42, -0.55), (-0.3, -0.95), 0.1),
        bar("white", (-0.05, -0.55), (0.07, -0.95), 0.1),
        ring("main", (0.48, 0.1), 0.44, 0.15, (-90, 90)),
        path("main", (-0.76, -0.4), (0.56, -0.4), (0.4, 0.66), (-0.6, 0.66)),
        oval("dark", (-0.1, -0.4), (0.66, 0.14)),
        path("light", (-0.73, -0.1), (0.52, -0.1), (0.49, 0.12), (-0.7, 0.12)),
        oval("white", (-0.1, 0.76), (0.88, 0.16)),
    ]


def _fish() -> list[Patch]:
    return [
        path("dark", (0.45, 0.0), (0.98, -0.5), (0.86, 0.0), (0.98, 0.5)),
        path("dark", (-0.3, -0.35), (0.05, -0.78), (0.35, -0.3)),
        path("dark", (-0.15, 0.35), (0.1, 0.72), (0.3, 0.3)),
        oval("main", (-0.2, 0.0), (0.76, 0.46)),
        ring("light", (-0.72, 0.0), 0.5, 0.09, (-50, 50)),
        ring("light", (-0.42, 0.0), 0.5, 0.09, (-45, 45)),
        oval("white", (-0.6, -0.12), (0.15, 0.15)),
        oval("black", (-0.63, -0.12), (0.07, 0.07)),
    ]


def _flower() -> list[Patch]:
    petals = [
        oval("main", (0.42 * np.cos(angle), -0.36 + 0.42 * np.sin(angle)), (0.23, 0.23))
        for angle in np.linspace(0.3, 2 * np.pi + 0.3, 6, endpoint=False)
    ]
    return [
        bar("green", (0.0, -0.3), (0.0, 0.98), 0.12),
        path("green", (0.0, 0.75), (0.6, 0.25), (0.5, 0.62)),
        path("green", (0.0, 0.9), (-0.6, 0.4), (-0.5, 0.77)),
        *petals,
        oval("gold", (0.0, -0.36), (0.25, 0.25)),
    ]


def _guitar() -> list[Patch]:
    return [
        box("wood", -0.09, -0.8, 0.09, 0.2),
        box("black", -0.15, -0.99, 0.15, -0.72),
        oval("main", (0.0, 0.1), (0.4, 0.34)),
        oval("main", (0.0, 0.56), (0.56, 0.43)),
        oval("black", (0.0, 0.24), (0.17, 0.17)),
        bar("white", (0.0, -0.75), (0.0, 0.7), 0.05),
        box("dark", -0.24, 0.66, 0.24, 0.76),
    ]


def _house() -> list[Patch]:
    return [
        box("dark", 0.35, -0.85, 0.58, -0.2),
        box("light", -0.7, -0.1, 0.7, 0.92),
        path("main", (-0.95, -0.05), (0.0, -0.92), (0.95, -0.05)),
        box("wood", -0.16, 0.35, 0.16, 0.92),
        box("glass", -0.56, 0.15, -0.28, 0.45),
        box("glass", 0.28, 0.15, 0.56, 0.45),
    ]


def _ice_cream() -> list[Patch]:
    return [
        path("wood", (-0.44, 0.0), (0.44, 0.0), (0.0, 0.98)),
        *pair(bar("cream", (-0.3, 0.08), (0.12, 0.62), 0.06)),
        oval("main", (-0.3, -0.2), (0.36, 0.34)),
        oval("light", (0.3, -0.2), (0.36, 0.34)),
        oval("dark", (0.0, -0.56), (0.34, 0.34)),
        oval("white", (0.0, -0.87), (0.11, 0.11)),
    ]


def _kite() -> list[Patch]:
    return [
        bar("black", (0.0, 0.35), (-0.25, 0.6), 0.05),
        bar("black", (-0.25, 0.6), (0.05, 0.75), 0.05),
        bar("black", (0.05, 0.75), (-0.2, 0.98), 0.05),
        path("light", (-0.45, 0.5), (-0.25, 0.6), (-0.4, 0.76)),
        path("light", (0.25, 0.64), (0.05, 0.75), (0.22, 0.9)),
        path("main", (0.0, -0.98), (0.62, -0.35), (0.0, 0.4)),
        path("dark", (0.0, -0.98), (-0.62, -0.35), (0.0, 0.4)),
        bar("white", (0.0, -0.98), (0.0, 0.4), 0.05),
        bar("white", (-0.62, -0.35), (0.62, -0.35), 0.05),
    ]


def _lamp() -> list[Patch]:
    return [
        path("gold", (-0.4, 0.0), (0.4, 0.0), (0.6, 0.3), (-0.6, 0.3)),
        bar("metal", (0.0, -0.1), (0.0, 0.85), 0.14),
        path("main", (-0.34, -0.92), (0.34, -0.92), (0.76, 0.02), (-0.76, 0.02)),
        path("dark", (-0.66, -0.18), (0.66, -0.18), (0.76, 0.02), (-0.76, 0.02)),
        oval("metal", (0.0, 0.86), (0.46, 0.13)),
    ]


def _lighthouse() -> list[Patch]:
    return [
        path("gold", (0.0, -0.62), (0.98, -0.82), (0.98, -0.42)),
        path("white", (-0.24, -0.45), (0.24, -0.45), (0.42, 0.8), (-0.42, 0.8)),
        path("main", (-0.28, -0.2), (0.28, -0.2), (0.32, 0.1), (-0.32, 0.1)),
        path("main", (-0.36, 0.38), (0.36, 0.38), (0.41, 0.68), (-0.41, 0.68)),
        box("black", -0.34, -0.5, 0.34, -0.4),
        box("gold", -0.2, -0.76, 0.2, -0.48),
        path("dark", (-0.28, -0.74), (0.0, -0.99), (0.28, -0.74)),
        oval("metal", (0.0, 0.84), (0.7, 0.15)),
    ]


def _mushroom() -> list[Patch]:
    return [
        path("cream", (-0.22, -0.1), (0.22, -0.1), (0.34, 0.92), (-0.34, 0.92)),
        oval("main", (0.0, 0.02), (0.92, 0.88), (180, 360)),
        oval("light", (0.0, 0.04), (0.92, 0.14)),
        oval("white", (-0.42, -0.3), (0.15, 0.14)),
        oval("white", (0.08, -0.56), (0.17, 0.15)),
        oval("white", (0.5, -0.22), (0.13, 0.12)),
    ]


def _robot() -> list[Patch]:
    return [
        bar("metal", (0.0, -0.6), (0.0, -0.95), 0.07),
        oval("gold", (0.0, -0.9), (0.1, 0.1)),
        box("dark", -0.42, 0.55, -0.12, 0.96),
        box("dark", 0.12, 0.55, 0.42, 0.96),
        box("metal", -0.86, -0.05, -0.5, 0.14),
        box("metal", -0.86, -0.05, -0.68, 0.5),
        box("metal", 0.5, -0.05, 0.86, 0.14),
        box("metal", 0.68, -0.05, 0.86, 0.5),
        box("main", -0.55, -0.12, 0.55, 0.62),
        box("light", -0.44, -0.75, 0.44, -0.16),
        *pair(oval("black", (-0.2, -0.5), (0.12, 0.12))),
        box("black", -0.22, -0.3, 0.22, -0.23),
        box("white", -0.3, 0.08, 0.3, 0.36),
    ]


def _rocket() -> list[Patch]:
    return [
        path("gold", (-0.24, 0.55), (0.24, 0.55), (0.0, 0.99)),
        *pair(path("dark", (-0.28, 0.05), (-0.72, 0.66), (-0.24, 0.56))),
        oval("white", (0.0, -0.1), (0.34, 0.88)),
        box("main", -0.27, 0.38, 0.27, 0.62),
        path("main", (-0.26, -0.62), (0.26, -0.62), (0.0, -0.99)),
        oval("main", (0.0, -0.22), (0.2, 0.2)),
        oval("glass", (0.0, -0.22), (0.12, 0.12)),
    ]


def _tent() -> list[Patch]:
    return [
        bar("wood", (-0.3, -0.9), (-0.24, -0.6), 0.07),
        path("dark", (-0.25, -0.68), (0.55, -0.5), (0.98, 0.75), (0.4, 0.8)),
        path("main", (-0.25, -0.68), (0.42, 0.8), (-0.95, 0.8)),
        path("black", (-0.25, -0.25), (0.02, 0.8), (-0.54, 0.8)),
        path("light", (-0.25, -0.25), (-0.54, 0.8), (-0.72, 0.8)),
    ]


def _train() -> list[Patch]:
    wheels = [
        part
        for x, radius in ((-0.6, 0.26), (-0.02, 0.22), (0.5, 0.22))
        for part in (
            oval("black", (x, 0.86 - radius), (radius, radius)),
            oval("gold", (x, 0.86 - radius), (radius * 0.45, radius * 0.45)),
        )
    ]
    return [
        oval("white", (0.42, -0.86), (0.2, 0.13)),
        oval("white", (0.16, -0.89), (0.14, 0.1)),
        path("black", (0.36, -0.2), (0.3, -0.7), (0.7, -0.7), (0.62, -0.2)),
        box("main", -0.3, -0.25, 0.84, 0.4),
        oval("light", (0.84, 0.08), (0.1, 0.33)),
        box("dark", -0.85, -0.6, -0.22, 0.5),
        box("glass", -0.7, -0.42, -0.38, -0.06),
        box("main", -0.96, -0.74, -0.12, -0.56),
        path("metal", (0.7, 0.4), (0.99, 0.88), (0.62, 0.88)),
        box("black", -0.88, 0.4, 0.8, 0.52),
        *wheels,
    ]


def _tree() -> list[Patch]:
    return [
        box("wood", -0.14, 0.5, 0.14, 0.98),
        path("dark", (0.0, -0.3), (0.82, 0.68), (-0.82, 0.68)),
        path("main", (0.0, -0.66), (0.66, 0.24), (-0.66, 0.24)),
        path("light", (0.0, -0.98), (0.48, -0.24), (-0.48, -0.24)),
    ]


def _umbrella() -> list[Patch]:
    return [
        bar("wood", (0.0, -0.2), (0.0, 0.76), 0.09),
        ring("wood", (-0.16, 0.74), 0.205, 0.09, (0, 180)),
        bar("wood", (0.0, -0.98), (0.0, -0.7), 0.07),
        oval("main", (0.0, 0.05), (0.95, 0.88), (180, 360)),
        path("dark", (0.0, -0.83), (-0.34, 0.05), (-0.66, 0.05), (-0.5, -0.5)),
        path("light", (0.0, -0.83), (0.34, 0.05), (-0.02, 0.05)),
        path("dark", (0.0, -0.83), (0.66, 0.05), (0.95, 0.05), (0.7, -0.54)),
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
