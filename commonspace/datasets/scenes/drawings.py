"""Drawings of the 24 classes: filled polygons in one main color.

A drawing fills the square from (-1, -1) to (1, 1), y pointing down.
"""

from collections.abc import Callable
from functools import cache

from commonspace.datasets.scenes import drawings_home as home
from commonspace.datasets.scenes import drawings_nature as nature
from commonspace.datasets.scenes import drawings_travel as travel
from commonspace.datasets.scenes.shapes import Patch

__all__ = ["DRAWINGS", "drawing"]

DRAWINGS: dict[str, Callable[[], list[Patch]]] = {
    "apple": nature.apple,
    "balloon": travel.balloon,
    "boat": travel.boat,
    "butterfly": nature.butterfly,
    "cactus": nature.cactus,
    "car": travel.car,
    "cat": nature.cat,
    "clock": home.clock,
    "cup": home.cup,
    "fish": nature.fish,
    "flower": nature.flower,
    "guitar": home.guitar,
    "house": travel.house,
    "ice cream": home.ice_cream,
    "kite": home.kite,
    "lamp": home.lamp,
    "lighthouse": travel.lighthouse,
    "mushroom": nature.mushroom,
    "robot": home.robot,
    "rocket": travel.rocket,
    "tent": travel.tent,
    "train": travel.train,
    "tree": nature.tree,
    "umbrella": home.umbrella,
}
"""Class -> the function that draws it."""


@cache
def drawing(name: str) -> tuple[Patch, ...]:
    """Return the patches of one class, from back to front.

    Args:
        name: a key of ``DRAWINGS``.
    """
    return tuple(DRAWINGS[name]())
