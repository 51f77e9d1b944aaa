"""Built-in data set of drawn images with captions, generated from a seed.

Each image shows a large object, which is its class, a smaller object of another class, one of eight
backgrounds and small clutter. Each caption is a true statement about the image. No file is read.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

from commonspace.data.columns import Images, Texts
from commonspace.data.dataset import Dataset
from commonspace.datasets.scenes.backdrops import BACKDROPS, backdrop
from commonspace.datasets.scenes.captions import RELATIONS, Scene, caption
from commonspace.datasets.scenes.drawings import DRAWINGS, drawing
from commonspace.datasets.scenes.shapes import Color, shades
from commonspace.errors import SettingError

__all__ = ["COLORS", "SIDE", "scenes"]

SIDE = 64
"""Height and width of a picture, in pixels."""

COLORS: dict[str, Color] = {
    "red": (212, 52, 48),
    "orange": (240, 140, 36),
    "yellow": (244, 208, 56),
    "green": (64, 160, 74),
    "blue": (52, 108, 206),
    "purple": (126, 74, 176),
    "pink": (238, 130, 172),
    "brown": (136, 86, 52),
}
"""Name of a color -> its red, green and blue."""

_FINE = 3  # drawn larger by this factor, then averaged, for smooth edges
_STEPS = {"above": (0, -1), "below": (0, 1), "left of": (-1, 0), "right of": (1, 0)}


def scenes(seed: int = 0, per_class: int = 120) -> Dataset:
    """Draw and caption the data set: 24 classes, one 64 x 64 picture and one caption each.

    Args:
        seed: the same seed gives the same data set, to the bit, on one machine.
        per_class: samples of each class; 70% of them are train, 10% validation, 20% test.

    Raises:
        SettingError: too few samples to fill the three splits.

    Example:
        >>> scenes(per_class=10)
        Dataset('scenes', 240 samples, image: images, text: texts, 24 classes)
    """
    test, validation = round(0.2 * per_class), round(0.1 * per_class)
    if validation < 1:
        raise SettingError(
            "per_class is too small",
            expected="at least 6 samples, so that each split has one of each class",
            found=f"{per_class}",
            advice="the default is 120",
        )
    classes = tuple(DRAWINGS)
    labels = np.repeat(np.arange(len(classes)), per_class)
    generators = np.random.default_rng(seed).spawn(len(labels))
    plans = [_plan(classes[label], rng) for label, rng in zip(labels, generators, strict=True)]
    pictures = [_draw(plan, rng) for plan, rng in zip(plans, generators, strict=True)]
    texts = [(caption(plan, rng),) for plan, rng in zip(plans, generators, strict=True)]
    train = per_class - validation - test
    splits = ["train"] * train + ["validation"] * validation + ["test"] * test
    facts = ("color", "context", "context_color", "relation", "backdrop")
    return Dataset(
        name="scenes",
        ids=tuple(f"{classes[label]}-{row % per_class:03d}" for row, label in enumerate(labels)),
        columns={"image": Images(pictures), "text": Texts(texts)},
        labels=labels[:, None] == np.arange(len(classes)),
        class_names=classes,
        splits=np.array(splits * len(classes)),
        fields={fact: [getattr(plan, fact) for plan in plans] for fact in facts},
        provenance={
            "source": "drawn by code",
            "format": "scenes",
            "seed": seed,
            "per_class": per_class,
            "split": "as given",
        },
    )


def _plan(subject: str, rng: np.random.Generator) -> Scene:
    """Choose the second object, its place and the colors."""
    others = [name for name in DRAWINGS if name != subject]
    color, context_color = rng.choice(len(COLORS), 2, replace=False)
    names = list(COLORS)
    return Scene(
        subject=subject,
        color=names[color],
        context=others[rng.integers(len(others))],
        context_color=names[context_color],
        relation=list(RELATIONS)[rng.integers(len(RELATIONS))],
        backdrop=list(BACKDROPS)[rng.integers(len(BACKDROPS))],
    )


def _draw(scene: Scene, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the picture of a scene: (64, 64, 3) uint8."""
    picture = backdrop(scene.backdrop, SIDE * _FINE, rng)
    pen = ImageDraw.Draw(picture)
    _clutter(pen, rng)
    subject, context = _places(scene.relation, rng)
    _thing(pen, scene.context, COLORS[scene.context_color], *context, rng)
    _thing(pen, scene.subject, COLORS[scene.color], *subject, rng)
    smooth: NDArray[np.uint8] = np.asarray(picture.reduce(_FINE))
    return smooth


def _places(
    relation: str, rng: np.random.Generator
) -> tuple[tuple[NDArray[np.float64], float], tuple[NDArray[np.float64], float]]:
    """Return center and half size of subject and context, as fractions of the image side."""
    large, small = rng.uniform(0.24, 0.34), rng.uniform(0.1, 0.14)
    step = np.array(_STEPS[relation])
    across = step == 0
    # Along the relation the two touch; the remaining room shifts them together.
    slack = max(0.0, 1 - 2 * large - 2 * small)
    start = rng.uniform(0, slack)
    along = {1: (start + 2 * small + large, start + small)}
    along[-1] = (1 - along[1][0], 1 - along[1][1])
    subject, context = np.empty(2), np.empty(2)
    subject[~across], context[~across] = along[int(step.sum())]
    subject[across] = rng.uniform(large, 1 - large)
    near = subject[across] + rng.uniform(-large, large)
    context[across] = near.clip(small, 1 - small)
    return (subject, large), (context, small)


def _thing(
    pen: ImageDraw.ImageDraw,
    name: str,
    color: Color,
    center: NDArray[np.float64],
    half: float,
    rng: np.random.Generator,
) -> None:
    """Draw one object with a thin dark outline, slightly rotated, stretched or mirrored."""
    turn = rng.normal(0, 0.12)
    stretch = rng.uniform(0.88, 1.0, 2) * (rng.choice((-1, 1)), 1)
    cos, sin = np.cos(turn), np.sin(turn)
    frame = np.array([[cos, sin], [-sin, cos]]) * stretch[:, None] * half * SIDE * _FINE
    tint = rng.normal(0, 10, 3)
    red, green, blue = np.add(color, tint).clip(0, 255).astype(int).tolist()
    tones = shades((red, green, blue))
    patches = [
        (tones[patch.shade], (patch.points @ frame + center * SIDE * _FINE).ravel().tolist())
        for patch in drawing(name)
    ]
    for _, corners in patches:
        pen.line(corners + corners[:2], fill=(40, 34, 44), width=_FINE)
    for tone, corners in patches:
        pen.polygon(corners, fill=tone)


def _clutter(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Draw small plain shapes behind the objects."""
    palette = list(COLORS.values())
    for _ in range(rng.integers(2, 6)):
        x, y = rng.uniform(0.05, 0.95, 2) * SIDE * _FINE
        radius = rng.uniform(0.02, 0.05) * SIDE * _FINE
        pen.regular_polygon(
            (x, y, radius),
            n_sides=int(rng.integers(3, 7)),
            rotation=int(rng.integers(90)),
            fill=palette[rng.integers(len(palette))],
        )
