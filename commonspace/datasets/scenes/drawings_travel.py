"""Drawings of what carries people, and of what they come home to.

Each is a list of patches, from back to front, in the square from (-1, -1) to (1, 1), y pointing
down.
"""

from commonspace.datasets.scenes.shapes import Patch, bar, box, oval, pair, path

__all__ = ["balloon", "boat", "car", "house", "lighthouse", "rocket", "tent", "train"]


def balloon() -> list[Patch]:
    """Return a balloon."""
    return [
        *pair(bar("wood", (-0.5, 0.2), (-0.17, 0.75), 0.06)),
        oval("main", (0.0, -0.3), (0.7, 0.68)),
        path("main", (-0.6, 0.05), (0.6, 0.05), (0.17, 0.52), (-0.17, 0.52)),
        oval("light", (0.0, -0.3), (0.4, 0.68)),
        oval("dark", (0.0, -0.3), (0.16, 0.68)),
        box("wood", -0.22, 0.7, 0.22, 0.98),
    ]


def boat() -> list[Patch]:
    """Return a boat."""
    return [
        bar("wood", (-0.02, -0.98), (-0.02, 0.5), 0.09),
        path("main", (0.06, -0.92), (0.85, 0.36), (0.06, 0.36)),
        path("light", (-0.1, -0.7), (-0.1, 0.36), (-0.75, 0.36)),
        path("dark", (-0.95, 0.46), (0.98, 0.46), (0.6, 0.9), (-0.62, 0.9)),
        box("white", -0.86, 0.5, 0.88, 0.58),
    ]


def car() -> list[Patch]:
    """Return a car."""
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


def house() -> list[Patch]:
    """Return a house."""
    return [
        box("dark", 0.35, -0.85, 0.58, -0.2),
        box("light", -0.7, -0.1, 0.7, 0.92),
        path("main", (-0.95, -0.05), (0.0, -0.92), (0.95, -0.05)),
        box("wood", -0.16, 0.35, 0.16, 0.92),
        box("glass", -0.56, 0.15, -0.28, 0.45),
        box("glass", 0.28, 0.15, 0.56, 0.45),
    ]


def lighthouse() -> list[Patch]:
    """Return a lighthouse."""
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


def rocket() -> list[Patch]:
    """Return a rocket."""
    return [
        path("gold", (-0.24, 0.55), (0.24, 0.55), (0.0, 0.99)),
        *pair(path("dark", (-0.28, 0.05), (-0.72, 0.66), (-0.24, 0.56))),
        oval("white", (0.0, -0.1), (0.34, 0.88)),
        box("main", -0.27, 0.38, 0.27, 0.62),
        path("main", (-0.26, -0.62), (0.26, -0.62), (0.0, -0.99)),
        oval("main", (0.0, -0.22), (0.2, 0.2)),
        oval("glass", (0.0, -0.22), (0.12, 0.12)),
    ]


def tent() -> list[Patch]:
    """Return a tent."""
    return [
        bar("wood", (-0.3, -0.9), (-0.24, -0.6), 0.07),
        path("dark", (-0.25, -0.68), (0.55, -0.5), (0.98, 0.75), (0.4, 0.8)),
        path("main", (-0.25, -0.68), (0.42, 0.8), (-0.95, 0.8)),
        path("black", (-0.25, -0.25), (0.02, 0.8), (-0.54, 0.8)),
        path("light", (-0.25, -0.25), (-0.54, 0.8), (-0.72, 0.8)),
    ]


def train() -> list[Patch]:
    """Return a train."""
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
