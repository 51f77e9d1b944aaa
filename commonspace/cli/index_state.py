"""The commands that look at an index: what it holds, and whether all is well."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from commonspace.cli.index import IndexArgument
from commonspace.cli.options import JsonOption

__all__ = ["info", "verify"]


def info(index: IndexArgument, as_json: JsonOption = False) -> None:
    """Show what an index holds.

    Its items, fields and vectors, the space and the encoders that it is bound
    to, how it searches, and how large it is.

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
    typer.echo(
        f"{index}: {facts['items']} items\n"
        f"vectors: {vectors or 'none'}, of {facts['dimension']} numbers each\n"
        f"classes: {facts['classes']}\n"
        f"fields: {', '.join(facts['fields']) or 'none'}\n"
        f"space: {facts['fingerprint'][:12]}\n"
        f"encoders: {', '.join(f'{k}={v}' for k, v in facts['encoders'].items()) or 'none'}\n"
        f"search: {facts['kind']}\n"
        f"sizes: {sizes}"
    )


def verify(index: IndexArgument, as_json: JsonOption = False) -> None:
    """Look an index over, and measure what its kind of search costs.

    Checks the database, every vector, the copy of the space and the derived
    files; those that are missing or damaged are made anew. With labels, the
    mAP at 100 of the index stands beside that of comparing with every item;
    "hnsw 64" keeps 64 candidates for a query, "ivf 8" looks into 8 lists.
    The exit code is 1 where something is wrong with the store.

    [bold]Example[/bold]

      commonspace verify shop
    """
    from commonspace.retrieval import Index

    with Index.open(index) as opened:
        found = opened.verify()
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2, ensure_ascii=False))
    else:
        _print_verification(index, asdict(found))
    if found.problems:
        raise typer.Exit(1)


def _size(count: int) -> str:
    value, units = float(count), ["bytes", "KB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] == "bytes" else f"{value:.1f} {units[0]}"


def _print_verification(index: Path, found: dict[str, Any]) -> None:
    from commonspace.cli.tables import print_table

    for sentence in (*found["mended"], *found["notes"]):
        typer.echo(f"note: {sentence}", err=True)
    rows = []
    for name, count in found["vectors"].items():
        cost = found["costs"].get(name)
        figures = (
            [f"{cost['recall']:.3f}", *(_figure(cost[key]) for key in ("map_index", "map_exact"))]
            if cost
            else ["", "", ""]
        )
        kind = found["kinds"][name] + (f" {cost['effort']}" if cost and cost["effort"] else "")
        rows.append([name, str(count), kind, *figures])
    head = ["", "vectors", "search", "recall at 10", "mAP at 100", "mAP of exact search"]
    print_table(f"{index}: {found['items']} items", head, rows)
    typer.echo(f"problems: {len(found['problems']) or 'none'}")
    for problem in found["problems"]:
        typer.echo(f"  {problem}")


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
