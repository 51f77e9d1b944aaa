"""What all pictures share: size and letters of the paper, and how they become files.

Pictures are drawn for a page of ``WIDTH`` inches, so that letters have their printed size. Nothing
is drawn through pyplot: no window is opened and no global state is left behind.
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
    from matplotlib.figure import Figure as Figure  # also for rooms that hold one

__all__ = [
    "FAINT",
    "FORMATS",
    "INK",
    "MUTED",
    "PAPER",
    "WIDTH",
    "check_formats",
    "draw",
    "for_page",
    "new_figure",
    "open_axes",
    "plain_logarithms",
    "require",
    "save",
    "settle",
    "svg_of",
]

FORMATS = ("png", "svg", "pdf")
WIDTH = 7.2
"""Inches: the text of an A4 page, or two columns of a journal."""

INK = "#21242b"
"""Letters. A page exchanges this colour and the next three for its own."""
MUTED = "#6b6f79"
"""Axes, and lesser letters."""
FAINT = "#d5d8de"
"""Lines behind data."""
PAPER = "#fefefd"
"""The ground."""

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
    "svg.fonttype": "none",  # letters stay letters: to be searched, read aloud, and set in any font
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
    """Return an empty figure; draw into it and save it within ``draw()``.

    Args:
        height: in inches.
        width: in inches.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure: Figure = _matplotlib("figure").Figure(figsize=(width, height), layout="constrained")
    return figure


def require() -> None:
    """Refuse before any work where a package that draws is missing.

    Raises:
        MissingExtraError: it names the package, and the command that installs it.
    """
    for package in ("matplotlib", "sklearn", "jinja2"):
        optional(package, "a report", "plots")


@contextmanager
def draw() -> Iterator[None]:
    """Draw with this paper's letters and colours in the block, and with a font for wide scripts.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    family = ["DejaVu Sans", *_wide_fonts(), "sans-serif"]
    log = logging.getLogger("matplotlib.font_manager")
    before = log.level
    log.setLevel(logging.ERROR)  # it warns of fonts that come in one weight only
    try:
        with _matplotlib().rc_context({**_LETTERS, **_LOOK, "font.family": family}):
            yield
    finally:
        log.setLevel(before)


def open_axes(axes: "Axes", grid: str = "y") -> None:
    """Take away the frame at the top and the right, and draw quiet lines behind the data.

    Args:
        axes: to be dressed.
        grid: "x", "y", "both", or "" for none.
    """
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    if grid in ("x", "y", "both"):
        axes.grid(True, axis=grid)  # type: ignore[arg-type]


def plain_logarithms(axis: "Axis") -> None:
    """Write 0.01, 1 and 100 at a logarithmic axis, which would else speak TeX.

    Args:
        axis: one whose scale is logarithmic; numbers that are no powers of ten are left out where
            there are enough powers.
    """
    ticker = _matplotlib("ticker")
    low, high = axis.get_view_interval()
    few = high / low < 30  # fewer than two powers may be in sight
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
            "there is no such format of pictures",
            expected=f"one or several of {', '.join(FORMATS)}",
            found=repr(unknown[0]) if unknown else "none",
            advice="leave the formats out to take all",
        )
    return asked


def save(figure: "Figure", path: Path, formats: Sequence[str] = FORMATS) -> str:
    """Write a figure as files: ``path`` with the suffix of each format.

    The same figure gives the same bytes: no date and no name of a program is written.

    Args:
        figure: as the functions of this room return it.
        path: without a suffix, in a folder that exists.
        formats: of ``FORMATS``; PNG has 200 dots an inch.

    Returns:
        The characters for which no installed font has a shape, each once: PNG and PDF show a box
        for them, while SVG leaves them to the fonts of whoever looks at it.

    Raises:
        SettingError: an unknown format.
        OutputError: a file exists or cannot be written.
    """
    missing: dict[str, None] = {}
    for kind in check_formats(formats):
        with replace_file(path.with_name(f"{path.name}.{kind}")) as draft:
            missing |= dict.fromkeys(_write(figure, draft, kind))
    return "".join(missing)


def settle(figure: "Figure") -> None:
    """Find the place of everything once and for all; anew for each format would be slow.

    Args:
        figure: from ``new_figure``, drawn, within ``draw()``.
    """
    constrained = _matplotlib("layout_engine").ConstrainedLayoutEngine
    if isinstance(figure.get_layout_engine(), constrained):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def svg_of(figure: "Figure", name: str) -> str:
    """Return a figure as an <svg> element for a page; see ``for_page``.

    Args:
        figure: as the functions of this room return it.
        name: letters, digits and hyphens, another for each figure of a page.
    """
    buffer = io.BytesIO()
    _write(figure, buffer, "svg")
    return for_page(buffer.getvalue().decode("utf-8"), name)


def for_page(text: str, name: str) -> str:
    """Return what ``save`` wrote as SVG as an element for a page that points nowhere else.

    Ids begin with ``name``, so that several fit into one page, and the four colours of the
    paper become ``var(--ink)``, ``var(--muted)``, ``var(--faint)``, ``var(--paper)``: the page
    decides.

    Args:
        text: the content of the file.
        name: letters, digits and hyphens, another for each figure of a page.
    """
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'(?<=[\s"])id="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    for colour, role in ((INK, "ink"), (MUTED, "muted"), (FAINT, "faint"), (PAPER, "paper")):
        text = text.replace(colour, f"var(--{role})")
    return re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", text, count=1)


def _write(figure: "Figure", target: Path | io.BytesIO, kind: str) -> list[str]:
    """Write one format; return the characters that no font has."""
    metadata = {
        "png": {"Software": None},
        "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    with draw(), warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        settle(figure)
        figure.savefig(target, format=kind, dpi=_DPI, metadata=metadata[kind])
    missing = []
    for one in heard:
        glyph = _MISSING.match(str(one.message))
        if glyph:
            missing.append(chr(int(glyph[1])))
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return missing


@cache
def _wide_fonts() -> tuple[str, ...]:
    """Return installed fonts with Chinese, Japanese or Korean characters, at most three.

    matplotlib remembers which fonts there were when it ran first; where it knows of none, the
    files are looked at anew.
    """
    manager = _matplotlib("font_manager")
    known = {font.name for font in manager.fontManager.ttflist if _WIDE_FONTS.search(font.name)}
    if not known:
        for path in manager.findSystemFonts():
            if _WIDE_FONTS.search(Path(path).stem):
                with suppress(OSError, RuntimeError, ValueError):  # one that cannot be read
                    manager.fontManager.addfont(path)
                    known.add(manager.fontManager.ttflist[-1].name)
    return tuple(sorted(known)[:3])


def _matplotlib(part: str = "") -> Any:  # noqa: ANN401 - a module of somebody else
    name = f"matplotlib.{part}" if part else "matplotlib"
    return optional(name, "a picture", "plots")
