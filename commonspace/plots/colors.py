"""Colors of classes and markers of modalities, distinct with color vision deficiencies too."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import SettingError

__all__ = ["FEW", "MARKERS", "class_colors", "modality_markers", "separation"]

FEW = 10
"""Number of classes up to which a color identifies a class; for more, names are drawn."""

MARKERS = ("^", "o", "s", "D", "P", "X", "v", "*", "<", ">")
"""Triangles for images, circles for texts, as in the paper; then the most different ones."""

_FIRST = (0.06, -0.13)  # a and b of the first color, a blue
_LIGHTNESS = (0.46, 0.83)  # in OKLab: dark enough for a light page, light enough for a dark page

# Linear RGB as a dichromat sees it: Machado, Oliveira, Fernandes, IEEE TVCG 15 (2009), severity 1.
_PROTAN = ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
           (-0.003882, -0.048116, 1.051998))  # fmt: skip
_DEUTAN = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
           (-0.011820, 0.042940, 0.968881))  # fmt: skip
_TRITAN = ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602),
           (0.004733, 0.691367, 0.303900))  # fmt: skip
_VISION = np.array([np.eye(3), _PROTAN, _DEUTAN, _TRITAN])

# OKLab: Ottosson, A perceptual color space for image processing (2020).
_TO_CONES = np.array([[0.4122214708, 0.5363325363, 0.0514459929],
                      [0.2119034982, 0.6806995451, 0.1073969566],
                      [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
_TO_LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468],
                    [1.9779984951, -2.4285922050, 0.4505937099],
                    [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip


def class_colors(count: int) -> tuple[str, ...]:
    """Return colors that are as distinct as possible, with and without color vision deficiency.

    Each color is the one, of a grid of medium lightness, whose smallest distance to the colors
    before is largest. The distance is the smallest of the distances in OKLab with normal vision,
    protanopia, deuteranopia and tritanopia. The first colors are the same for any count. Ten are
    easy to distinguish; fifty are distinct but need names beside them (``FEW``).

    Args:
        count: number of colors, from 0 to 500.

    Returns:
        ``count`` distinct colors, "#rrggbb".

    Raises:
        SettingError: ``count`` is out of range.

    Example:
        >>> class_colors(3) == class_colors(5)[:3]
        True
    """
    if not 0 <= count <= 500:
        raise SettingError(
            f"`count` must be in [0, 500], got {count}",
            expected="0 to 500",
            found=f"{count}",
            advice="draw fewer classes at a time",
        )
    return _row_of_colors(-(-count // 50) * 50)[:count]


def modality_markers(modalities: Sequence[str]) -> dict[str, str]:
    """Return the marker of each modality: a triangle for "image", a circle for "text".

    Args:
        modalities: their names; markers that are not taken are assigned in order.

    Raises:
        SettingError: there are more modalities than markers.

    Example:
        >>> modality_markers(["text", "audio", "image"])
        {'text': 'o', 'audio': 's', 'image': '^'}
    """
    if len(modalities) > len(MARKERS):
        raise SettingError(
            "there are more modalities than markers",
            expected=f"at most {len(MARKERS)} modalities",
            found=f"{len(modalities)}",
            advice="draw fewer modalities at a time",
        )
    fixed = {"image": MARKERS[0], "text": MARKERS[1]}
    taken = {fixed[name] for name in modalities if name in fixed}
    free = iter(marker for marker in MARKERS if marker not in taken)
    return {name: fixed[name] if name in fixed else next(free) for name in modalities}


def separation(colors: Sequence[str]) -> float:
    """Return the smallest OKLab distance between two colors, the worst of four kinds of vision.

    Args:
        colors: "#rrggbb" each, at least two.

    Example:
        >>> separation(class_colors(10)) > separation(("#d62728", "#2ca02c"))
        True
    """
    numbers = [[int(color[at : at + 2], 16) for at in (1, 3, 5)] for color in colors]
    seen = _seen(np.array(numbers) / 255)
    distances = np.linalg.norm(seen[:, :, None] - seen[:, None], axis=-1).min(axis=0)
    return float(distances[~np.eye(len(colors), dtype=bool)].min())


@cache
def _row_of_colors(count: int) -> tuple[str, ...]:
    steps = np.arange(0, 256, 15)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    seen = _seen(grid / 255)
    lightness, a, b = seen[0].T
    medium = (lightness >= _LIGHTNESS[0]) & (lightness <= _LIGHTNESS[1])
    colorful = np.hypot(a, b) > 0.07  # gray marks samples without a class
    grid, seen = grid[medium & colorful], seen[:, medium & colorful]
    chosen = [int(np.hypot(seen[0, :, 1] + _FIRST[0], seen[0, :, 2] - _FIRST[1]).argmin())]
    nearest = np.full(len(grid), np.inf)
    while len(chosen) < count:
        apart = np.linalg.norm(seen - seen[:, chosen[-1]][:, None], axis=-1).min(axis=0)
        nearest = np.minimum(nearest, apart)
        chosen.append(int(nearest.argmax()))
    return tuple("#" + bytes(grid[row].tolist()).hex() for row in chosen)


def _seen(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (4, n, 3) OKLab of (n, 3) sRGB from 0 to 1, for each kind of vision."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    received = np.clip(np.einsum("eij,nj->eni", _VISION, linear), 0, 1)
    return np.asarray(np.cbrt(received @ _TO_CONES.T) @ _TO_LAB.T)
