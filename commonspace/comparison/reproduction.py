"""The files of a reproduced paper: its table beside the published figures, and the figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from commonspace.atomic import replace_file
from commonspace.comparison.tables import (
    AS_PUBLISHED,
    NOTE,
    format_table,
    latex_table,
    latex_text,
    write_csv,
)

__all__ = ["PaperFigure", "write_reproduction"]


class PaperFigure(NamedTuple):
    """A figure that was written as ``path.png`` and ``path.pdf``."""

    path: str
    """Path in the folder of the reproduction, without suffix."""
    caption: str


def write_reproduction(
    folder: Path,
    title: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    differences: Sequence[str] = (),
    figures: Sequence[PaperFigure] = (),
) -> None:
    r"""Write ``reproduction.md``, ``.tex``, ``.csv`` and ``appendix.tex`` into a folder.

    ``reproduction.tex`` is the table; ``appendix.tex`` is a section with the table and the figures,
    for \input in a document with the packages booktabs and graphicx. Earlier files are replaced.

    Args:
        folder: the folder.
        title: of the page.
        head: of the table.
        rows: cells.
        differences: what is known to differ from the published figures, one sentence each.
        figures: figures in the folder, in their order.

    Raises:
        OutputError: a file cannot be written.
        MissingExtraError: tabulate is not installed.
    """
    note = " ".join([NOTE + AS_PUBLISHED, *differences])
    table = latex_table(format_table(head, rows, "latex_booktabs"), f"{title}.", note)
    for name, content in (
        ("reproduction.md", _markdown(title, head, rows, differences, figures)),
        ("reproduction.tex", table),
        ("appendix.tex", _appendix(title, figures)),
    ):
        with replace_file(folder / name, overwrite=True) as draft:
            draft.write_text(content, "utf-8")
    write_csv(folder / "reproduction.csv", [dict(zip(head, cells, strict=True)) for cells in rows])


def _markdown(
    title: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    differences: Sequence[str],
    figures: Sequence[PaperFigure],
) -> str:
    parts = [f"# {title}", format_table(head, rows, "pipe"), NOTE + AS_PUBLISHED]
    if differences:
        parts.append("Known differences from the published figures:")
        parts.append("\n".join(f"- {sentence}" for sentence in differences))
    for one in figures:
        parts.append(f"![{one.caption}]({one.path}.png)")
        parts.append(one.caption)
    return "\n\n".join(parts) + "\n"


def _appendix(title: str, figures: Sequence[PaperFigure]) -> str:
    parts = [
        "% In the document: \\usepackage{booktabs,graphicx}; compile it in this folder.",
        f"\\section{{{latex_text(title)}}}",
        "\\input{reproduction}",
    ]
    parts += [
        "\\begin{figure}\n\\centering\n"
        f"\\includegraphics[width=\\linewidth]{{{one.path}.pdf}}\n"
        f"\\caption{{{latex_text(one.caption)}}}\n\\end{{figure}}"
        for one in figures
    ]
    return "\n\n".join(parts) + "\n"
