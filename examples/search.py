"""Search a data set with a sentence, or with a picture.

    python examples/search.py RUN DATA "a red kite above a small house"
    python examples/search.py RUN DATA photo.jpg

RUN is the folder of a space that was trained on raw images and texts, such as runs/demo; DATA is
what is searched, such as scenes or a folder of images with metadata.jsonl.
"""

import sys
from pathlib import Path

import commonspace as cs
from commonspace.errors import CommonspaceError

__all__ = ["main", "search"]


def search(
    space: cs.CommonSpace, data: cs.Dataset, query: str, count: int = 5
) -> list[tuple[float, str]]:
    """Find the samples that answer a query best.

    Args:
        space: fitted on the modalities "image" and "text".
        data: what is searched.
        query: the path of an image file, which finds texts; any other string finds images.
        count: how many to return.

    Returns:
        (score, sample id), the best first.
    """
    asks, answers = ("image", "text") if Path(query).is_file() else ("text", "image")
    gallery = space.embed_dataset(data)[answers]
    scores = gallery.vectors @ space.embed(asks, [query])[0]
    best = (-scores).argsort(kind="stable")[:count]
    return [(float(scores[i]), data.ids[gallery.rows[i]]) for i in best]


def main() -> None:
    """Search with what stands on the command line, and print what was found."""
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    run, data, query = sys.argv[1:]
    if (
        Path(query).suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")
        and not Path(query).exists()
    ):
        sys.exit(f"error: there is no picture {query}")
    try:
        for score, name in search(cs.load(run), cs.load_dataset(data), query):
            print(f"{score:.3f}  {name}")
    except CommonspaceError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
