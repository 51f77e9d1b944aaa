"""Search a data set by a sentence or a picture.

    python examples/search.py RUN DATA "a red kite above a small house"
    python examples/search.py RUN DATA photo.jpg

RUN is the folder of a space trained on raw images and texts, such as runs/demo; DATA is the data
set to search, such as scenes or a folder of images with metadata.jsonl.
"""

import sys
from pathlib import Path

import commonspace as cs
from commonspace.errors import CommonspaceError

__all__ = ["main", "search"]


def search(
    space: cs.CommonSpace, data: cs.Dataset, query: str, count: int = 5
) -> list[tuple[float, str]]:
    """Return the best matches of a query.

    Args:
        space: fitted on the modalities "image" and "text".
        data: data set to search.
        query: path of an image file, which finds texts; any other string finds images.
        count: number of results.

    Returns:
        (score, sample id), best first.
    """
    if Path(query).is_file():
        results = space.search(data, image=query, modality="text", k=count)
    else:
        results = space.search(data, text=query, modality="image", k=count)
    return [(item.score, item.id) for item in results]


def main() -> None:
    """Run the search of the command line and print the results."""
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    run, data, query = sys.argv[1:]
    if (
        Path(query).suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")
        and not Path(query).exists()
    ):
        sys.exit(f"error: no such file: {query}")
    try:
        for score, name in search(cs.load(run), cs.load_dataset(data), query):
            print(f"{score:.3f}  {name}")
    except CommonspaceError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
