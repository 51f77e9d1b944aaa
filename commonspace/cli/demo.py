"""``commonspace demo``: the whole way on built-in data, from raw pixels and words to a search."""

import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commonspace.cli.interrupts import INTERRUPTED, sigterm_interrupts
from commonspace.cli.methods import MethodOptions, method_named
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
OPTIONS = MethodOptions(epochs=10)
"""As many as these pictures need on validation; all else is what train does by itself."""

SENTENCES = ("a sailing boat", "a kite above a small house")
FOUND = 5
SEARCHES = "searches"
MADE = {
    "run.json",
    "checkpoint.safetensors",
    "events",
    "history.jsonl",
    "model.safetensors",
    "config.json",
    SEARCHES,
    "report",
}
"""All that the demo puts into its folder, and the report of it, which would be out of date."""

NEXT = """
What lies together shares its class: the space was taught no colours or places.

The space is in {out}. Measure it again: commonspace evaluate {out}

Now with your own images. Put them into a folder, say photos, with a file
metadata.jsonl that has a line for each:

  {{"file_name": "a.jpg", "text": "two dogs on a beach", "label": "dog"}}

  commonspace data photos                      what is in it, and what is wrong
  commonspace train photos --out runs/photos   learn a space from it
  commonspace evaluate runs/photos             mAP on the test split"""


def demo(
    out: Annotated[
        Path,
        typer.Option(metavar="RUN", help="The folder for the space; that of a demo is replaced."),
    ] = Path("runs/demo"),
    seed: Annotated[int, typer.Option(min=0, help="Of the weights and the batches.")] = 0,
) -> None:
    """See it work on built-in data, in about a minute.

    Draws and captions pictures of 24 things, learns a common space from the
    raw pixels and words with DSCMR, measures it on pictures and captions
    that it has not seen, and searches in both directions.

    [bold]Example[/bold]

      commonspace demo

    Next: your own folder of images; the demo ends with the commands.
    """
    from commonspace.cli.tables import print_report
    from commonspace.datasets import load_dataset
    from commonspace.evaluation.protocol import evaluate

    _make_room(out)
    try:
        with sigterm_interrupts(), new_run(out, RunRecord(DATA, made_by="demo")):
            data = load_dataset(DATA)
            typer.echo(repr(data))
            method = method_named("dscmr", replace(OPTIONS, seed=seed))
            with _one_thread():
                space = fit_into(out, method, data, resume=False)
    except KeyboardInterrupt as exc:
        typer.echo("stopped; to start again: commonspace demo", err=True)
        raise typer.Exit(INTERRUPTED) from exc
    test = data.split("test")
    print_report(f"mAP on the test split of {DATA}", evaluate(space, test))
    _search(space, test, out / SEARCHES, query_row=random.Random(seed).randrange(len(test)))
    typer.echo(NEXT.format(out=out))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread in the block.

    The steps of the demo are so small that a second one gains little, while a busy second core
    makes every step wait; and the figures do not depend on how many cores there are.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _make_room(out: Path) -> None:
    """Take away what an earlier demo made, and nothing else.

    Raises:
        OutputError: something else is there.
    """
    if not out.is_dir() or not any(out.iterdir()):
        return  # new_run refuses a file
    record = RunRecord.read(out)
    drafts = tuple(f".{name}." for name in MADE)  # a kill in the middle of writing leaves one
    names = (entry.name for entry in out.iterdir())
    foreign = sorted(name for name in names if name not in MADE and not name.startswith(drafts))
    if record is None or record.made_by != "demo" or foreign:
        raise OutputError(
            f"{out} is not the folder of a demo alone",
            expected="a place that is still free, or what an earlier demo left",
            found=", ".join(foreign[:5]) or "another training",
            advice="choose another place with --out; nothing was changed",
        )
    shutil.rmtree(out)


def _search(space: "CommonSpace", gallery: "Dataset", folder: Path, query_row: int) -> None:
    """Search with two sentences and one picture; print what was found, and save the pictures."""
    from commonspace.cli.sheets import write_sheet

    pictures, texts = _pictures(gallery), _texts(gallery)
    vectors = {name: part.vectors for name, part in space.embed_dataset(gallery).items()}
    (folder / "found").mkdir(parents=True)
    for number, sentence in enumerate(SENTENCES, 1):
        rows, scores = _nearest(space.embed("text", [sentence])[0], vectors["image"])
        typer.echo(f"\nSearch {number}: the sentence {sentence!r} finds the pictures")
        for row, score in zip(rows, scores, strict=True):
            file = folder / "found" / f"{gallery.ids[row].replace(' ', '-')}.png"
            _save_picture(file, pictures[row])
            typer.echo(f"  {score:.3f}  {file}  (its own caption: {texts[row]!r})")
        sheet = folder / f"{number}.png"
        write_sheet(sheet, sentence, [pictures[row] for row in rows], [texts[row] for row in rows])
        typer.echo(f"  all in one: {sheet}")
    rows, scores = _nearest(vectors["image"][query_row], vectors["text"])
    query = folder / f"{len(SENTENCES) + 1}.png"
    _save_picture(query, pictures[query_row])
    typer.echo(f"\nSearch {len(SENTENCES) + 1}: the picture {query} finds the captions")
    for row, score in zip(rows, scores, strict=True):
        typer.echo(f"  {score:.3f}  {texts[row]!r}")


def _nearest(
    query: "NDArray[np.float32]", gallery: "NDArray[np.float32]"
) -> tuple[list[int], list[float]]:
    """Return the rows of the best matches of a (d,) query in an (n, d) gallery, and their scores.

    That is all a search is: an inner product with each vector, and a sort.
    """
    scores = gallery @ query
    rows = (-scores).argsort(kind="stable")[:FOUND]
    return rows.tolist(), scores[rows].tolist()


def _pictures(data: "Dataset") -> "Sequence[NDArray[np.uint8]]":
    """Return the pictures of the built-in data, which all samples have."""
    from commonspace.data import Images, decode_image

    column = data.columns["image"]
    assert isinstance(column, Images)
    return [decode_image(item) for item in column.items if item is not None]


def _texts(data: "Dataset") -> list[str]:
    """Return the captions of the built-in data, one for each sample."""
    from commonspace.data import Texts

    column = data.columns["text"]
    assert isinstance(column, Texts)
    return [texts[0] for texts in column.items]


def _save_picture(path: Path, picture: "NDArray[np.uint8]") -> None:
    """Write a picture as a PNG file; one picture can be found by several searches."""
    from PIL import Image

    from commonspace.atomic import replace_file

    with replace_file(path, overwrite=True) as draft:
        Image.fromarray(picture).save(draft, "PNG")
