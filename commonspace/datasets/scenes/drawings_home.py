"""Drawings of things to use, to play with and to eat.

Each is a list of patches, from back to front, in the square from (-1, -1) to (1, 1), y pointing
down.
"""

from commonspace.datasets.scenes.shapes import Patch, bar, box, oval, pair, path, ring

__all__ = ["clock", "cup", "guitar", "ice_cream", "kite", "lamp", "robot", "umbrella"]


def clock() -> list[Patch]:
    """Return a clock."""
    return [
        *pair(bar("dark", (-0.4, 0.6), (-0.62, 0.93), 0.16)),
        *pair(oval("dark", (-0.5, -0.66), (0.34, 0.28))),
        oval("main", (0.0, 0.12), (0.8, 0.8)),
        oval("white", (0.0, 0.12), (0.6, 0.6)),
        bar("black", (0.0, 0.12), (0.0, -0.34), 0.1),
        bar("black", (0.0, 0.12), (0.33, 0.26), 0.1),
        oval("main", (0.0, 0.12), (0.09, 0.09)),
    ]


def cup() -> list[Patch]:
    """Return a cup."""
    return [
        bar("white", (-0.42, -0.55), (-0.3, -0.95), 0.1),
        bar("white", (-0.05, -0.55), (0.07, -0.95), 0.1),
        ring("main", (0.48, 0.1), 0.44, 0.15, (-90, 90)),
        path("main", (-0.76, -0.4), (0.56, -0.4), (0.4, 0.66), (-0.6, 0.66)),
        oval("dark", (-0.1, -0.4), (0.66, 0.14)),
        path("light", (-0.73, -0.1), (0.52, -0.1), (0.49, 0.12), (-0.7, 0.12)),
        oval("white", (-0.1, 0.76), (0.88, 0.16)),
    ]


def guitar() -> list[Patch]:
    """Return a guitar."""
    return [
        box("wood", -0.09, -0.8, 0.09, 0.2),
        box("black", -0.15, -0.99, 0.15, -0.72),
        oval("main", (0.0, 0.1), (0.4, 0.34)),
        oval("main", (0.0, 0.56), (0.56, 0.43)),
        oval("black", (0.0, 0.24), (0.17, 0.17)),
        bar("white", (0.0, -0.75), (0.0, 0.7), 0.05),
        box("dark", -0.24, 0.66, 0.24, 0.76),
    ]


def ice_cream() -> list[Patch]:
    """Return an ice cream."""
    return [
        path("wood", (-0.44, 0.0), (0.44, 0.0), (0.0, 0.98)),
        *pair(bar("cream", (-0.3, 0.08), (0.12, 0.62), 0.06)),
        oval("main", (-0.3, -0.2), (0.36, 0.34)),
        oval("light", (0.3, -0.2), (0.36, 0.34)),
        oval("dark", (0.0, -0.56), (0.34, 0.34)),
        oval("white", (0.0, -0.87), (0.11, 0.11)),
    ]


def kite() -> list[Patch]:
    """Return a kite."""
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


def lamp() -> list[Patch]:
    """Return a lamp."""
    return [
        path("gold", (-0.4, 0.0), (0.4, 0.0), (0.6, 0.3), (-0.6, 0.3)),
        bar("metal", (0.0, -0.1), (0.0, 0.85), 0.14),
        path("main", (-0.34, -0.92), (0.34, -0.92), (0.76, 0.02), (-0.76, 0.02)),
        path("dark", (-0.66, -0.18), (0.66, -0.18), (0.76, 0.02), (-0.76, 0.02)),
        oval("metal", (0.0, 0.86), (0.46, 0.13)),
    ]


def robot() -> list[Patch]:
    """Return a robot."""
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


def umbrella() -> list[Patch]:
    """Return an umbrella."""
    return [
        bar("wood", (0.0, -0.2), (0.0, 0.76), 0.09),
        ring("wood", (-0.16, 0.74), 0.205, 0.09, (0, 180)),
        bar("wood", (0.0, -0.98), (0.0, -0.7), 0.07),
        oval("main", (0.0, 0.05), (0.95, 0.88), (180, 360)),
        path("dark", (0.0, -0.83), (-0.34, 0.05), (-0.66, 0.05), (-0.5, -0.5)),
        path("light", (0.0, -0.83), (0.34, 0.05), (-0.02, 0.05)),
        path("dark", (0.0, -0.83), (0.66, 0.05), (0.95, 0.05), (0.7, -0.54)),
    ]
