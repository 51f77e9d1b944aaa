"""Captions of a scene in many wordings, which share their words across all classes.

A caption may name two objects. Which one is the subject follows from the order of the words and
from the size and color words, never from which names occur.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["BACKDROP_PHRASES", "NAMES", "RELATIONS", "Scene", "caption"]


@dataclass(frozen=True)
class Scene:
    """Content of a scene that a caption can describe.

    Attributes:
        subject: the main object and class, a key of ``NAMES``.
        color: the color of the subject.
        context: the smaller object.
        context_color: the color of the smaller object.
        relation: position of the subject relative to the smaller object: a key of ``RELATIONS``.
        backdrop: the background, a key of ``BACKDROP_PHRASES``.
    """

    subject: str
    color: str
    context: str
    context_color: str
    relation: str
    backdrop: str


NAMES: dict[str, tuple[str, ...]] = {
    "apple": ("apple",),
    "balloon": ("balloon", "hot-air balloon"),
    "boat": ("boat", "sailing boat"),
    "butterfly": ("butterfly",),
    "cactus": ("cactus",),
    "car": ("car", "toy car"),
    "cat": ("cat", "cat face"),
    "clock": ("clock", "alarm clock"),
    "cup": ("cup", "tea cup"),
    "fish": ("fish",),
    "flower": ("flower",),
    "guitar": ("guitar",),
    "house": ("house", "cottage"),
    "ice cream": ("ice cream",),
    "kite": ("kite", "paper kite"),
    "lamp": ("lamp", "table lamp"),
    "lighthouse": ("lighthouse",),
    "mushroom": ("mushroom",),
    "robot": ("robot", "toy robot"),
    "rocket": ("rocket", "space rocket"),
    "tent": ("tent",),
    "train": ("train", "toy train"),
    "tree": ("tree", "fir tree"),
    "umbrella": ("umbrella", "paper umbrella"),
}
"""Class -> nouns for it."""

RELATIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "above": ("below", ("above", "over")),
    "below": ("above", ("below", "under")),
    "left of": ("right of", ("to the left of", "left of", "beside", "next to")),
    "right of": ("left of", ("to the right of", "right of", "beside", "next to")),
}
"""Relation -> its inverse, and the words for it."""

BACKDROP_PHRASES: dict[str, tuple[str, ...]] = {
    "meadow": ("on a meadow", "in the grass", "on a bright day"),
    "night": ("at night", "under the stars", "in the moonlight"),
    "sea": ("at sea", "by the water", "on a bright day"),
    "snow": ("in the snow", "in winter"),
    "desert": ("in the desert", "in the sand"),
    "room": ("in a room", "on the floor", "at home"),
    "dusk": ("at dusk", "in the evening"),
    "city": ("in the city", "in the street"),
}
"""Background -> phrases for it."""

_LARGE = ("big", "large", "huge")
_SMALL = ("small", "little", "tiny")
_VERBS = ("is", "stands", "appears", "waits", "there is")
_OPENINGS = ("a picture of", "here is", "there is", "we see", "look at", "")
_TWO_THINGS = 0.5  # fraction of captions that name the smaller object too


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """Return one sentence that is true of the scene.

    Args:
        scene: content of the image.
        rng: random generator for the wording.
    """

    def pick(words: tuple[str, ...]) -> str:
        return words[int(rng.integers(len(words)))]

    def maybe(words: tuple[str, ...], chance: float) -> str:
        return pick(words) if rng.random() < chance else ""

    subject = _noun_phrase(
        maybe(_LARGE, 0.4), maybe((scene.color,), 0.7), pick(NAMES[scene.subject])
    )
    place = pick(BACKDROP_PHRASES[scene.backdrop])
    opening, verb = pick(_OPENINGS), pick(_VERBS)
    if rng.random() >= _TWO_THINGS:
        return _sentence(
            pick((f"{opening} {subject} {maybe((place,), 0.7)}", f"{place} {verb} {subject}"))
        )
    context = _noun_phrase(
        maybe(_SMALL, 0.5), maybe((scene.context_color,), 0.4), pick(NAMES[scene.context])
    )
    inverse, words = RELATIONS[scene.relation]
    where, back = pick(words), pick(RELATIONS[inverse][1])
    wordings = (
        f"{opening} {subject} {where} {context} {maybe((place,), 0.3)}",
        f"{where} {context} {verb} {subject} {maybe((place,), 0.3)}",
        f"{place} {where} {context} {verb} {subject}",
        f"{opening} {subject} {maybe((place,), 0.5)} with {context} {back} it",
    )
    return _sentence(pick(wordings))


def _noun_phrase(size: str, color: str, noun: str) -> str:
    words = [word for word in (size, color, noun) if word]
    return " ".join(["an" if words[0][0] in "aeiou" else "a", *words])


def _sentence(text: str) -> str:
    """Return the text with single spaces and a capital letter."""
    words = " ".join(text.split())
    return words[0].upper() + words[1:]
