"""Style and files of figures: size, fonts, colors; PNG, SVG and PDF.

Figures have the width of a page, ``WIDTH`` inches, so that fonts have their printed size. pyplot is
not used: there is no window and no global state.
"""

import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commonspace.atomic import replace_file
from commonspace.errors import SettingError
from commonspace.extras import optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure as Figure  # also for modules that hold one

__all__ = [
    "FAINT",
    "FORMATS",
    "INK",
    "MUTED",
    "PAPER",
    "WIDTH",
    "check_formats",
    "figure_to_svg",
    "freeze_layout",
    "new_figure",
    "open_axes",
    "plain_log_ticks",
    "plot_style",
    "require_plots",
    "save",
    "to_inline_svg",
]

FORMATS = ("png", "svg", "pdf")
WIDTH = 7.2
"""Inches: text width of an A4 page, or two columns of a journal."""

INK = "#21242b"
"""Color of text. A page replaces this color and the next three by its own."""
MUTED = "#6b6f79"
"""Color of axes and secondary text."""
FAINT = "#d5d8de"
"""Color of lines behind data."""
PAPER = "#fefefd"
"""Color of the background."""

_DPI = 200
_LETTERS: Mapping[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "figure.titlesize": 10,
}
_LOOK: Mapping[str, Any] = {
    "text.parse_math": False,  # a class may be called "$5"
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.facecolor": PAPER,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.linewidth": 0.6,
    "axes.unicode_minus": False,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "legend.frameon": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "svg.fonttype": "none",  # text stays text: searchable, accessible, in any font
    "svg.hashsalt": "commonspace",
    "pdf.fonttype": 42,
}
_WIDE_FONTS = re.compile(
    r"cjk|source ?han|wenquanyi|wqy|simhei|simsun|yahei|msyh|pingfang|hiragino|heiti|songti"
    r"|droid ?sans ?fall|arial ?unicode|ar pl|uming|ukai|malgun|nanum|yu ?gothic|meiryo",
    re.IGNORECASE,
)
_MISSING = re.compile(r"^Glyph (\d+) ")


def new_figure(height: float, width: float = WIDTH) -> "Figure":
    """Return an empty figure; draw into it and save it within ``plot_style()``.

    Args:
        height: in inches.
        width: in inches.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure: Figure = _matplotlib("figure").Figure(figsize=(width, height), layout="constrained")
    return figure


def require_plots() -> None:
    """Raise an error if a package for figures is missing.

    Raises:
        MissingExtraError: a package is not installed.
    """
    for package in ("matplotlib", "openTSNE", "sklearn", "jinja2"):
        optional(package, "a report", "plots")


@contextmanager
def plot_style() -> Iterator[None]:
    """Use the fonts and colors of this module in the block, including a font for CJK text.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    family = ["DejaVu Sans", *_wide_fonts(), "sans-serif"]
    log = logging.getLogger("matplotlib.font_manager")
    before = log.level
    log.setLevel(logging.ERROR)  # it warns about fonts with a single weight
    try:
        with _matplotlib().rc_context({**_LETTERS, **_LOOK, "font.family": family}):
            yield
    finally:
        log.setLevel(before)


def open_axes(axes: "Axes", grid: str = "y") -> None:
    """Remove the frame at the top and the right, and draw grid lines behind the data.

    Args:
        axes: the axes to change.
        grid: "x", "y", "both", or "" for none.
    """
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    if grid in ("x", "y", "both"):
        axes.grid(True, axis=grid)  # type: ignore[arg-type]


def plain_log_ticks(axis: "Axis") -> None:
    """Label a logarithmic axis with plain numbers, such as 0.01, 1 and 100.

    Args:
        axis: with a logarithmic scale.
    """
    ticker = _matplotlib("ticker")
    low, high = axis.get_view_interval()
    few = high / low < 30  # the range may hold fewer than two powers of ten
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if few else (1,)))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """Return the formats, each once.

    Args:
        formats: of ``FORMATS``, in any case.

    Raises:
        SettingError: one is unknown, or there is none.

    Example:
        >>> check_formats(["PNG", "png", "pdf"])
        ('png', 'pdf')
    """
    asked = tuple(dict.fromkeys(one.strip().lower() for one in formats))
    unknown = [one for one in asked if one not in FORMATS]
    if unknown or not asked:
        raise SettingError(
            "unknown figure format",
            expected=f"one or several of {', '.join(FORMATS)}",
            found=repr(unknown[0]) if unknown else "none",
            advice="leave the formats out to write all of them",
        )
    return asked


def save(figure: "Figure", path: Path, formats: Sequence[str] = FORMATS) -> str:
    """Write a figure as files: ``path`` with the suffix of each format.

    The same figure gives the same bytes: neither date nor program name is written.

    Args:
        figure: as the functions of this package return it.
        path: without a suffix, in a folder that exists.
        formats: of ``FORMATS``; PNG has 200 dots an inch.

    Returns:
        The characters that no installed font has, each once: PNG and PDF show a box for them,
        while SVG uses the fonts of the reader.

    Raises:
        SettingError: an unknown format.
        OutputError: a file exists or cannot be written.
    """
    missing: dict[str, None] = {}
    for kind in check_formats(formats):
        with replace_file(path.with_name(f"{path.name}.{kind}")) as draft:
            missing |= dict.fromkeys(_write(figure, draft, kind))
    return "".join(missing)


def freeze_layout(figure: "Figure") -> None:
    """Compute the layout once, instead of once for each format.

    Args:
        figure: from ``new_figure``, drawn, within ``plot_style()``.
    """
    constrained = _matplotlib("layout_engine").ConstrainedLayoutEngine
    if isinstance(figure.get_layout_engine(), constrained):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def figure_to_svg(figure: "Figure", name: str) -> str:
    """Return a figure as an <svg> element for a page; see ``to_inline_svg``.

    Args:
        figure: as the functions of this package return it.
        name: letters, digits and hyphens; unique on a page.
    """
    buffer = io.BytesIO()
    _write(figure, buffer, "svg")
    return to_inline_svg(buffer.getvalue().decode("utf-8"), name)


def to_inline_svg(text: str, name: str) -> str:
    """Return an SVG file that ``save`` wrote as an <svg> element without external links.

    Ids get the prefix ``name``, so that they are unique on a page, and the four colors of this
    module become ``var(--ink)``, ``var(--muted)``, ``var(--faint)`` and ``var(--paper)``.

    Args:
        text: the content of the file.
        name: letters, digits and hyphens; unique on a page.
    """
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'(?<=[\s"])id="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    for color, role in ((INK, "ink"), (MUTED, "muted"), (FAINT, "faint"), (PAPER, "paper")):
        text = text.replace(color, f"var(--{role})")
    return re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", text, count=1)


def _write(figure: "Figure", target: Path | io.BytesIO, kind: str) -> list[str]:
    """Write one format; return the characters that no installed font has."""
    metadata = {
        "png": {"Software": None},
        "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    with plot_style(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        freeze_layout(figure)
        figure.savefig(target, format=kind, dpi=_DPI, metadata=metadata[kind])
    missing = []
    for one in caught:
        glyph = _MISSING.match(str(one.message))
        if glyph:
            missing.append(chr(int(glyph[1])))
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return missing


@cache
def _wide_fonts() -> tuple[str, ...]:
    """Return installed fonts with Chinese, Japanese or Korean characters, at most three.

    matplotlib caches the list of fonts; where the cache has none of them, the files are scanned.
    """
    manager = _matplotlib("font_manager")
    known = {font.name for font in manager.fontManager.ttflist if _WIDE_FONTS.search(font.name)}
    if not known:
        for path in manager.findSystemFonts():
            if _WIDE_FONTS.search(Path(path).stem):
                with suppress(OSError, RuntimeError, ValueError):  # an unreadable font file
                    manager.fontManager.addfont(path)
                    known.add(manager.fontManager.ttflist[-1].name)
    return tuple(sorted(known)[:3])


def _matplotlib(part: str = "") -> Any:  # noqa: ANN401 - a module
    name = f"matplotlib.{part}" if part else "matplotlib"
    return optional(name, "a figure", "plots")
