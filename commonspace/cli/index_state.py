"""Commands that inspect an index: ``info`` and ``verify``."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from commonspace.cli.index import IndexArgument
from commonspace.cli.options import JsonOption

__all__ = ["info", "verify"]

MovedPhotosOption = Annotated[
    Path | None,
    typer.Option(
        "--photos",
        metavar="DIR",
        help="New folder of the photos, if they have been moved; it is stored.",
        show_default=False,
    ),
]


def info(index: IndexArgument, as_json: JsonOption = False) -> None:
    """Show the contents of an index.

    Items, fields and vectors, the space and its encoders, the kind of search,
    and the size of the files.

    [bold]Example[/bold]

      commonspace info shop
    """
    from commonspace.retrieval import Index

    with Index.open(index) as opened:
        facts, notes = opened.info(), opened.notes
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    if as_json:
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    vectors = ", ".join(f"{count} {name}" for name, count in facts["vectors"].items())
    sizes = ", ".join(f"{name} {_size(size)}" for name, size in facts["bytes"].items())
    kind = facts["kind"] + (f", {facts['compress']} bytes a vector" if facts["compress"] else "")
    typer.echo(
        f"{index}: {facts['items']} items{', read-only' if facts['read_only'] else ''}\n"
        f"vectors: {vectors or 'none'}, of {facts['dimension']} numbers each\n"
        f"classes: {facts['classes']}\n"
        f"fields: {', '.join(facts['fields']) or 'none'}\n"
        f"roles: {', '.join(f'{role}={name}' for role, name in facts['roles'].items()) or 'none'}\n"
        f"photos: {', '.join(facts['photo_folders']) or 'none'}\n"
        f"space: {facts['fingerprint'][:12]}\n"
        f"encoders: {', '.join(f'{k}={v}' for k, v in facts['encoders'].items()) or 'none'}\n"
        f"search: {kind}\n"
        f"sizes: {sizes}"
    )


def verify(
    index: IndexArgument, photos: MovedPhotosOption = None, as_json: JsonOption = False
) -> None:
    """Check an index, and measure the recall of its search, or check a run.

    Checks the database, the checksum of every item and vector, the copy of the
    space, the photos and the search structures; damaged search structures are
    rebuilt. With labels, the mAP at 100 of the index is compared with that of
    exact search; "hnsw 64" keeps 64 candidates of a query, "ivf 8" searches 8
    lists. Of a run, the space and the checksums of all files are checked. The
    exit code is 1 if there is a problem.

    [bold]Examples[/bold]

      commonspace verify shop
      commonspace verify runs/photos
      commonspace verify shop --photos new/place
    """
    if (index / "config.json").is_file() and not (index / "store.sqlite").exists():
        _verify_run(index, as_json)
        return
    from commonspace.retrieval import Index

    with Index.open(index, photos=photos) as opened:
        result = opened.verify()
    if as_json:
        typer.echo(json.dumps(asdict(result), indent=2, ensure_ascii=False))
    else:
        _print_verification(index, asdict(result))
    if result.problems:
        raise typer.Exit(1)


def _verify_run(run: Path, as_json: bool) -> None:
    from commonspace.reporting.run_files import find_run_problems

    problems = find_run_problems(run)
    if as_json:
        typer.echo(json.dumps({"problems": problems}, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"problems: {len(problems) or 'none'}")
        for problem in problems:
            typer.echo(f"  {problem}")
    if problems:
        raise typer.Exit(1)


def _size(count: int) -> str:
    value, units = float(count), ["bytes", "KB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] == "bytes" else f"{value:.1f} {units[0]}"


def _print_verification(index: Path, result: dict[str, Any]) -> None:
    from commonspace.cli.tables import print_table

    for sentence in (*result["repaired"], *result["notes"]):
        typer.echo(f"note: {sentence}", err=True)
    rows = []
    for name, count in result["vectors"].items():
        cost = result["costs"].get(name)
        figures = (
            [f"{cost['recall']:.3f}", *(_figure(cost[key]) for key in ("map_index", "map_exact"))]
            if cost
            else ["", "", ""]
        )
        kind = result["kinds"][name] + (f" {cost['effort']}" if cost and cost["effort"] else "")
        rows.append([name, str(count), kind, *figures])
    head = ["", "vectors", "search", "recall at 10", "mAP at 100", "mAP of exact search"]
    print_table(f"{index}: {result['items']} items", head, rows)
    for id in result["missing_photos"]:
        typer.echo(f"missing photo: {id}")
    typer.echo(f"problems: {len(result['problems']) or 'none'}")
    for problem in result["problems"]:
        typer.echo(f"  {problem}")


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
