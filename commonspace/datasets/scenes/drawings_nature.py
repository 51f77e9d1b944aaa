"""Drawings of what grows and lives.

Each is a list of patches, from back to front, in the square from (-1, -1) to (1, 1), y pointing
down.
"""

import numpy as np

from commonspace.datasets.scenes.shapes import Patch, bar, box, oval, pair, path, ring

__all__ = ["apple", "butterfly", "cactus", "cat", "fish", "flower", "mushroom", "tree"]


def apple() -> list[Patch]:
    """Return an apple."""
    return [
        bar("wood", (0.0, -0.45), (0.12, -0.95), 0.13),
        oval("green", (0.42, -0.72), (0.32, 0.15)),
        *pair(oval("main", (-0.32, 0.18), (0.55, 0.72))),
        oval("light", (-0.5, -0.1), (0.12, 0.24)),
    ]


def butterfly() -> list[Patch]:
    """Return a butterfly."""
    return [
        *pair(oval("main", (-0.52, -0.4), (0.44, 0.46))),
        *pair(oval("dark", (-0.42, 0.42), (0.34, 0.4))),
        *pair(oval("light", (-0.56, -0.42), (0.2, 0.22))),
        *pair(bar("black", (-0.04, -0.5), (-0.28, -0.97), 0.06)),
        oval("black", (0.0, 0.05), (0.11, 0.66)),
    ]


def cactus() -> list[Patch]:
    """Return a cactus."""
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


def cat() -> list[Patch]:
    """Return a cat."""
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


def fish() -> list[Patch]:
    """Return a fish."""
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


def flower() -> list[Patch]:
    """Return a flower."""
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


def mushroom() -> list[Patch]:
    """Return a mushroom."""
    return [
        path("cream", (-0.22, -0.1), (0.22, -0.1), (0.34, 0.92), (-0.34, 0.92)),
        oval("main", (0.0, 0.02), (0.92, 0.88), (180, 360)),
        oval("light", (0.0, 0.04), (0.92, 0.14)),
        oval("white", (-0.42, -0.3), (0.15, 0.14)),
        oval("white", (0.08, -0.56), (0.17, 0.15)),
        oval("white", (0.5, -0.22), (0.13, 0.12)),
    ]


def tree() -> list[Patch]:
    """Return a tree."""
    return [
        box("wood", -0.14, 0.5, 0.14, 0.98),
        path("dark", (0.0, -0.3), (0.82, 0.68), (-0.82, 0.68)),
        path("main", (0.0, -0.66), (0.66, 0.24), (-0.66, 0.24)),
        path("light", (0.0, -0.98), (0.48, -0.24), (-0.48, -0.24)),
    ]
