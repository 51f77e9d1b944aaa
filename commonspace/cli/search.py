"""``commonspace search``: ranked results for words, a photo, an item, a vector or a query file."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from commonspace.cli.encoders import EncoderOption, encoders_named
from commonspace.cli.index import IndexArgument
from commonspace.cli.options import DeviceOption, JsonOption
from commonspace.cli.short_process import without_collection
from commonspace.errors import FileFormatError, SettingError
from commonspace.json_text import parse_json

__all__ = ["search"]


def search(
    index: IndexArgument,
    words: Annotated[
        str | None,
        typer.Argument(metavar="[WORDS]", help="Words to search for.", show_default=False),
    ] = None,
    image: Annotated[
        str | None, typer.Option(metavar="FILE", help="Photo to search for.", show_default=False)
    ] = None,
    vector: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="NumPy file (.npy) with a vector of the space.",
            show_default=False,
        ),
    ] = None,
    id: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="ID",
            help="Item of the index: show more like this. Of several of words, photo, vector and"
            " item, the mean is searched for.",
            show_default=False,
        ),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help='File of queries: a text file with one query a line, or .jsonl with "text",'
            ' "image", "vector" or "id" in each line.',
            show_default=False,
        ),
    ] = None,
    k: Annotated[
        int, typer.Option("-k", "--k", metavar="K", help="Maximum number of results.")
    ] = 10,
    offset: Annotated[
        int, typer.Option(metavar="N", help="Number of results to skip, for paging.")
    ] = 0,
    modality: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Search only the vectors of this modality (default: all).",
            show_default=False,
        ),
    ] = None,
    query_modality: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="With --id, use only this modality of the item (default: the mean of all).",
            show_default=False,
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            metavar="CONDITION",
            help="""Filter on the fields, such as 'label = "Watches" and price < 50'.""",
            show_default=False,
        ),
    ] = None,
    instance_weight: Annotated[
        float | None,
        typer.Option(
            metavar="0..1",
            help="0 ranks by class, 1 by exact item. Only for models with an instance block"
            " (default: chosen on validation when the model was trained).",
            show_default=False,
        ),
    ] = None,
    min_relevance: Annotated[
        float | None,
        typer.Option(
            metavar="0..1",
            help="Minimum relevance of a result; less relevant ones are dropped.",
            show_default=False,
        ),
    ] = None,
    keywords: Annotated[
        bool,
        typer.Option(
            help="Whether items that hold all words of the query come first, if they are at most"
            " 10.",
        ),
    ] = True,
    text_weight: Annotated[
        float | None,
        typer.Option(
            metavar="0..1",
            help="Weight of the words in a query of words and something else (default: chosen on"
            " validation when the model was trained).",
            show_default=False,
        ),
    ] = None,
    without: Annotated[
        str | None,
        typer.Option(
            metavar="WORDS",
            help="Words to avoid: items that hold all of them are left out; with commas between"
            ' them, items that hold one. Also written with a hyphen: "watch -leather".',
            show_default=False,
        ),
    ] = None,
    less_like: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="Item that results are to be unlike; repeatable.",
            show_default=False,
        ),
    ] = None,
    less_like_image: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Photo that results are to be unlike.", show_default=False
        ),
    ] = None,
    diversity: Annotated[
        float,
        typer.Option(
            metavar="0..1",
            help="0 ranks by score; above, results unlike those before them are preferred.",
        ),
    ] = 0.0,
    max_similarity: Annotated[
        float | None,
        typer.Option(
            metavar="0..1",
            help="List only the best of results that are at least so similar; 0.95 is for"
            " near-duplicates.",
            show_default=False,
        ),
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD",
            help="List only the best of the items with equal values of this field, such as the"
            " photos of one product.",
            show_default=False,
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD",
            help="Sort the 200 best results by this field; -FIELD for descending order.",
            show_default=False,
        ),
    ] = None,
    encoder: EncoderOption = None,
    as_json: JsonOption = False,
    open_page: Annotated[
        bool,
        typer.Option("--open", help="Show the results with their pictures in the browser."),
    ] = False,
    device: DeviceOption = "auto",
) -> None:
    """Search an index by words, photo, item or vector.

    score is the inner product of the query vector and the item vector.
    relevance, if the space is calibrated, is the probability that query and
    item share a class. Conditions support = != < <= > >=, in, like, is null,
    and, or, not and parentheses, on the fields of the items and on id, label
    and split; see docs/search.md.

    [bold]Examples[/bold]

      commonspace search shop "red running shoes"
      commonspace search shop --image photo.jpg -k 5 --modality text
      commonspace search shop "like this in blue" --image photo.jpg
      commonspace search shop --id 1163
      commonspace search shop "a watch" --less-like 1163 --sort price
      commonspace search shop "a watch" --where "price < 50"
      commonspace search shop "a watch" --open
      commonspace search shop --queries queries.txt --json
    """
    from commonspace.retrieval.items import Query, split_words

    if words is not None:
        words, avoided = split_words(words)
        without = ", ".join(part for part in (without, avoided) if part) or None
        words = words or (None if avoided else words)
    parts = {"text": words, "image": image, "vector": vector, "id": id}
    inputs = _inputs({name: part for name, part in parts.items() if part is not None}, queries)
    made = [
        Query(
            **one,
            k=k,
            offset=offset,
            modality=modality,
            query_modality=query_modality,
            where=where,
            instance_weight=instance_weight,
            min_relevance=min_relevance,
            keywords=keywords,
            text_weight=text_weight,
            without=without,
            less_like=less_like,
            diversity=diversity,
            max_similarity=max_similarity,
            group_by=group_by,
            sort=sort,
        )
        for one in inputs
    ]
    encoders = encoders_named(None, None, encoder)
    if where is not None:
        from commonspace.retrieval.precheck import check_filter

        check_filter(index, where)
    with ExitStack() as stack:
        stack.enter_context(without_collection())
        from commonspace.cli.results import format_results, write_page
        from commonspace.networks.backbones.deferred import deferring
        from commonspace.retrieval.index import Index

        stack.enter_context(deferring())
        opened = stack.enter_context(Index.open(index, encoders=encoders, device=device))
        if less_like_image is not None:
            unlike = opened.embed(image=less_like_image)
            made = [replace(query, less_like_vector=unlike) for query in made]
        answers = opened.search_many(made)
        for note in opened.notes:
            typer.echo(f"note: {note}", err=True)
        if where is not None and not all(results.total for results in answers):
            for hint in opened.filter_hints(where):
                typer.echo(f"note: {hint}", err=True)
        avoided = f" (without {without})" if without else ""
        titles = [" + ".join(map(str, _describe(one).values())) + avoided for one in inputs]
        roles = opened.roles
        if open_page:
            page = write_page([*zip(titles, answers, strict=True)], roles, opened.picture)
    if as_json:
        described = [
            {
                "query": _describe(one),
                "total": results.total,
                "nothing_matches": results.nothing_matches,
                "results": [*map(vars, results)],
            }
            for one, results in zip(inputs, answers, strict=True)
        ]
        typer.echo(json.dumps(described, indent=2, ensure_ascii=False))
        return
    typer.echo(
        "\n\n".join(
            format_results(title, results, roles)
            for title, results in zip(titles, answers, strict=True)
        )
    )
    if open_page:
        import webbrowser

        typer.echo(f"page: {page}")
        webbrowser.open(page.as_uri())


def _inputs(parts: dict[str, Any], queries: Path | None) -> list[dict[str, Any]]:
    """Return the text, image, vector and id of each query."""
    if bool(parts) == (queries is not None):
        raise SettingError(
            "it is not clear what to search for",
            expected="words, --image, --vector or --id; or --queries",
            found="both" if parts else "none of them",
            advice='write: commonspace search INDEX "a red kite"',
        )
    if queries is not None:
        return _read_queries(queries)
    return [parts | ({"vector": _read_vector(parts["vector"])} if "vector" in parts else {})]


def _read_vector(file: Path) -> Any:  # noqa: ANN401 - checked by the index
    import numpy as np

    from commonspace.data.reading import reading

    with reading(file, "a NumPy file with one vector"):
        return np.load(file, allow_pickle=False)


def _read_queries(file: Path) -> list[dict[str, Any]]:
    from commonspace.data.reading import reading

    with reading(file, "a text file of queries"):
        lines = file.read_text("utf-8-sig").split("\n")
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise FileFormatError(
            f"{file} contains no query",
            expected="one query a line",
            found=f"{len(lines)} empty lines" if len(lines) > 1 else "nothing",
            advice="write words into it, one query a line",
        )
    if file.suffix != ".jsonl":
        return [{"text": line} for _, line in numbered]
    return [_parse_line(file, number, line) for number, line in numbered]


def _parse_line(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        query = parse_json(line)
        if not isinstance(query, dict) or not query or query.keys() - {*_TYPES}:
            raise ValueError(line.strip()[:60])
        if not all(isinstance(value, _TYPES[name]) for name, value in query.items()):
            raise ValueError(line.strip()[:60])
        if not all(value.strip() for value in query.values() if isinstance(value, str)):
            raise ValueError(line.strip()[:60])
    except ValueError as exc:
        raise FileFormatError(
            f"{file}, line {number}, is not a query",
            expected='{"text": "words"}, {"image": "photo.jpg"}, {"id": "1163"}, {"vector": [...]}'
            " or several of them",
            found=str(exc),
            advice="correct this line",
        ) from exc
    if "image" in query:
        query["image"] = file.parent / query["image"]
    return query


_TYPES: dict[str, type] = {"text": str, "image": str, "vector": list, "id": str}


def _describe(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return a query as JSON; a vector by its size."""
    return {
        name: f"vector of {len(value)} numbers" if name == "vector" else str(value)
        for name, value in query.items()
    }
