"""Command ``demo``: training, evaluation and searches on the built-in data set."""

import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from commonspace.cli.interrupts import INTERRUPTED, sigterm_interrupts
from commonspace.cli.methods import configure_method
from commonspace.cli.runs import RunRecord, new_run
from commonspace.cli.train import fit_into
from commonspace.errors import OutputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from commonspace.data import Dataset
    from commonspace.space import CommonSpace

__all__ = ["demo"]

DATA = "scenes"
OPTIONS = {"epochs": 10}
"""Ten epochs suffice for these pictures; everything else is the default of ``train``."""

SENTENCES = ("a sailing boat", "a kite above a small house")
RESULTS = 5
SEARCHES = "searches"
OUTPUTS = {
    "run.json",
    "checkpoint.safetensors",
    "events",
    "history.jsonl",
    "model.safetensors",
    "config.json",
    "SHA256SUMS",
    SEARCHES,
    "report",
}
"""Entries that the demo, or a report of it, writes into its folder."""

NEXT = """
Items of one class are close to each other: training used classes only, no
colors or positions.

The space is in {out}. Evaluate it again: commonspace evaluate {out}

Next, your own images: put them into a folder, such as photos, with a file
metadata.jsonl that has one line per image:

  {{"file_name": "a.jpg", "text": "two dogs on a beach", "label": "dog"}}

  commonspace data photos                      check the data
  commonspace train photos --out runs/photos   train a space
  commonspace evaluate runs/photos             mAP on the test split"""


def demo(
    out: Annotated[
        Path,
        typer.Option(metavar="RUN", help="Output folder; that of an earlier demo is replaced."),
    ] = Path("runs/demo"),
    seed: Annotated[int, typer.Option(min=0, help="Random seed for weights and batches.")] = 0,
) -> None:
    """Train, evaluate and search on built-in data, in about a minute.

    Draws and captions pictures of 24 classes, trains DSCMR on the raw pixels
    and words, evaluates on pictures and captions that it has not seen, and
    searches in both directions.

    [bold]Example[/bold]

      commonspace demo

    The last lines of the output show the commands for your own images.
    """
    from commonspace.cli.tables import print_report
    from commonspace.datasets import load_dataset
    from commonspace.evaluation.protocol import evaluate

    _remove_earlier_demo(out)
    try:
        with sigterm_interrupts(), new_run(out, RunRecord(DATA, made_by="demo")):
            data = load_dataset(DATA)
            typer.echo(repr(data))
            method = configure_method("dscmr", {**OPTIONS, "seed": seed})
            with _one_thread():
                space = fit_into(out, method, data)
    except KeyboardInterrupt as exc:
        typer.echo("stopped; start again with: commonspace demo", err=True)
        raise typer.Exit(INTERRUPTED) from exc
    test = data.split("test")
    print_report(f"mAP on the test split of {DATA}", evaluate(space, test))
    _search(space, test, out / SEARCHES, query_row=random.Random(seed).randrange(len(test)))
    typer.echo(NEXT.format(out=quote(str(out))))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limit torch to one thread in the block.

    The batches are too small for a second thread, and results do not depend on the number of cores.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _remove_earlier_demo(out: Path) -> None:
    """Remove the output of an earlier demo.

    Raises:
        OutputError: If the folder contains anything else.
    """
    if not out.is_dir() or not any(out.iterdir()):
        return  # new_run rejects a file
    record = RunRecord.read(out)
    drafts = tuple(f".{name}." for name in OUTPUTS)  # left by a kill during a write
    names = (entry.name for entry in out.iterdir())
    foreign = sorted(name for name in names if name not in OUTPUTS and not name.startswith(drafts))
    if record is None or record.made_by != "demo" or foreign:
        raise OutputError(
            f"{out} contains more than the output of a demo",
            expected="a new path, or the output of an earlier demo",
            found=", ".join(foreign[:5]) or "another run",
            advice="choose another path with --out; nothing was changed",
        )
    shutil.rmtree(out)


def _search(space: "CommonSpace", gallery: "Dataset", folder: Path, query_row: int) -> None:
    """Search with two sentences and one picture; print the results and save the pictures."""
    from commonspace.cli.sheets import write_sheet

    pictures, texts = _pictures(gallery), _texts(gallery)
    vectors = {name: part.vectors for name, part in space.embed_dataset(gallery).items()}
    (folder / "results").mkdir(parents=True)
    for number, sentence in enumerate(SENTENCES, 1):
        rows, scores = _nearest(space.embed("text", [sentence])[0], vectors["image"])
        typer.echo(f"\nSearch {number}: the sentence {sentence!r} finds the pictures")
        for row, score in zip(rows, scores, strict=True):
            file = folder / "results" / f"{gallery.ids[row].replace(' ', '-')}.png"
            _save_picture(file, pictures[row])
            typer.echo(f"  {score:.3f}  {file}  (caption: {texts[row]!r})")
        sheet = folder / f"{number}.png"
        write_sheet(sheet, sentence, [pictures[row] for row in rows], [texts[row] for row in rows])
        typer.echo(f"  overview: {sheet}")
    rows, scores = _nearest(vectors["image"][query_row], vectors["text"])
    query = folder / f"{len(SENTENCES) + 1}.png"
    _save_picture(query, pictures[query_row])
    typer.echo(f"\nSearch {len(SENTENCES) + 1}: the picture {query} finds the captions")
    for row, score in zip(rows, scores, strict=True):
        typer.echo(f"  {score:.3f}  {texts[row]!r}")


def _nearest(
    query: "NDArray[np.float32]", gallery: "NDArray[np.float32]"
) -> tuple[list[int], list[float]]:
    """Return rows and scores of the best matches of a (d,) query in an (n, d) gallery.

    The score is the inner product.
    """
    scores = gallery @ query
    rows = (-scores).argsort(kind="stable")[:RESULTS]
    return rows.tolist(), scores[rows].tolist()


def _pictures(data: "Dataset") -> "Sequence[NDArray[np.uint8]]":
    """Return the pictures of the built-in data; no sample lacks one."""
    from commonspace.data import Images, decode_image

    column = data.columns["image"]
    assert isinstance(column, Images)
    return [decode_image(item) for item in column.items if item is not None]


def _texts(data: "Dataset") -> list[str]:
    """Return the caption of each sample of the built-in data."""
    from commonspace.data import Texts

    column = data.columns["text"]
    assert isinstance(column, Texts)
    return [texts[0] for texts in column.items]


def _save_picture(path: Path, picture: "NDArray[np.uint8]") -> None:
    """Write a picture as a PNG file; several searches may return the same picture."""
    from PIL import Image

    from commonspace.atomic import replace_file

    with replace_file(path, overwrite=True) as draft:
        Image.fromarray(picture).save(draft, "PNG")
