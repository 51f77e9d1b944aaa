"""Flipped bits anywhere in an index, a run and a saved space: each must be refused or reported.

    python benchmarks/bit_flips.py                 1,200 flips, about ten minutes
    python benchmarks/bit_flips.py --flips 100

Every round copies a folder and flips a random bit of a random file: half of the time of any byte,
by size, half of the time of any file with equal odds. Everything that can be read is then read. It
must be an error of this package, or equal to what the intact folder returns; then ``verify`` must
report the damage. The index has vectors of two modalities in FAISS files, removed items, pictures
and a map; a second one was left by a killed process with changes in its log. Pages of a database
that the log replaces are not read any more, and counted as "replaced".
"""

import argparse
import re
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

import commonspace as cs
from commonspace.cli.runs import RunRecord, data_of, write_run_checksums
from commonspace.errors import CommonspaceError
from commonspace.reporting.run_files import find_run_problems, read_learning_curves
from commonspace.retrieval import Index, vector_index
from commonspace.retrieval.log_file import read_log
from commonspace.retrieval.schema import PAGE_SIZE
from commonspace.serve.images import read_photo
from commonspace.serve.projection import make_map, read_map

_CHANGING = ("bytes", "generation")
"""Facts of an index that change when a damaged search structure is built again."""

Outcome = str
"""refused, reported, or what went wrong."""


def build(folder: Path) -> dict[str, Path]:
    """Create the folders; return their names and paths."""
    data = cs.load_dataset("scenes")
    photos = folder / "photos"
    photos.mkdir()
    rows = np.arange(90)
    part = data.take(rows)
    run = folder / "run"
    run.mkdir()
    RunRecord("scenes").write(run)
    method = cs.DSCMR(preset="official", epochs=1, hidden_dim=16, embedding_dim=8, device="cpu")
    space = method.fit(data.split("train").take(np.arange(100)), data.split("validation"))
    (run / "history.jsonl").write_text(
        '{"epoch": 1, "validation_score": 0.5, "losses": {"a": 1}}\n'
    )
    space.write(run)
    write_run_checksums(run)
    space.save(folder / "space")
    vector_index.MIN_CHANGES = 30
    with Index.create(folder / "index", space, part) as index:
        make_map(index)
        index.remove(list(part.ids[3:9]))
        for id in part.ids[20:24]:
            index.remove([id])
        shutil.copytree(folder / "index", folder / "killed")  # its log holds all of it
    return {name: folder / name for name in ("index", "killed", "run", "space")}


def read_index(folder: Path) -> Any:  # noqa: ANN401
    """Return everything that an index returns."""
    queries = np.random.default_rng(5).normal(size=(2, 8)).astype(np.float32)
    with Index.open(folder) as index:
        page = index.scroll(limit=1000)
        results = [
            [(one.id, one.score) for one in index.search(vector=query, k=200, modality=modality)]
            for query in queries
            for modality in (None, "image", "text")
        ]
        results.append([(one.id, one.score) for one in index.search("a red boat", k=50)])
        pictures = [index.picture(item.id) for item in page.items]
        shown = [
            read_photo(one) if isinstance(one, Path) else None if one is None else one.tobytes()
            for one in pictures
        ]
        vectors = [
            {name: vector.tobytes() for name, vector in index.vectors(item.id).items()}
            for item in page.items
        ]
        found = read_map(folder)
        info = {key: value for key, value in index.info().items() if key not in _CHANGING}
        return page, results, shown, vectors, index.facets(), found, info


def read_run(folder: Path) -> Any:  # noqa: ANN401
    """Return everything that a run or a saved space returns."""
    space = cs.load(folder)
    record = RunRecord.read(folder)
    curves = read_learning_curves(folder, {"epoch": 1})
    figures = None if curves is None else curves.validation_score.tolist()
    if record is not None:
        data_of(folder, None, None, partial=False)
    return space.fingerprint, space.provenance, record, figures


def check(name: str, copy: Path, expected: Any) -> Outcome:  # noqa: ANN401
    """Return what becomes of a folder with a flipped bit."""
    is_index = name in ("index", "killed")
    try:
        noted: tuple[str, ...] = ()
        if is_index:
            with Index.open(copy) as index:
                noted = index.notes
            if any("last change" in note for note in noted):
                return "reported"  # and left out
        found = read_index(copy) if is_index else read_run(copy)
        if is_index and found[5] is None:
            found = (*found[:5], expected[5], found[6])  # a damaged map is not shown
        if repr(found) != repr(expected):
            return "SERVED"
        if not is_index:
            return "reported" if find_run_problems(copy) else "UNNOTICED"
        with Index.open(copy) as index:
            report = index.verify()
        return "reported" if noted or report.problems or report.repaired else "UNNOTICED"
    except CommonspaceError:
        return "refused"


def flip(folder: Path, draw: np.random.Generator) -> str:
    """Flip a bit; return where."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.stat().st_size)
    sizes = np.array([file.stat().st_size for file in files], dtype=float)
    odds = sizes / sizes.sum() if draw.random() < 0.5 else np.full(len(files), 1 / len(files))
    file = files[draw.choice(len(files), p=odds)]
    data = bytearray(file.read_bytes())
    at, bit = int(draw.integers(len(data))), int(draw.integers(8))
    data[at] ^= 1 << bit
    file.write_bytes(data)
    return f"{file.relative_to(folder)}: bit {bit} of byte {at}"


def is_replaced(folder: Path, where: str) -> bool:
    """Return whether a flipped bit is in a page that the log of the database replaces."""
    match = re.fullmatch(r"store.sqlite: bit . of byte (\d+)", where)
    pages = read_log(folder / "store.sqlite").pages
    return match is not None and int(match[1]) // PAGE_SIZE + 1 in pages


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory() as place:
        folders = build(Path(place))
        (folders["killed"] / "store.sqlite-shm").unlink(missing_ok=True)  # SQLite writes a new one
        kinds = {"index": 0.5, "killed": 0.2, "run": 0.2, "space": 0.1}
        for name, share in kinds.items():
            copy = Path(place) / "copy"
            intact = Path(shutil.copytree(folders[name], Path(place) / f"intact {name}"))
            expected = read_index(intact) if name in ("index", "killed") else read_run(intact)
            outcomes: Counter[str] = Counter()
            for _ in range(round(arguments.flips * share)):
                shutil.rmtree(copy, ignore_errors=True)
                shutil.copytree(folders[name], copy)
                where = flip(copy, draw)
                replaced = name == "killed" and is_replaced(copy, where)
                outcome = "replaced" if replaced else check(name, copy, expected)
                outcomes[outcome] += 1
                if outcome.isupper():
                    print(f"{outcome}: {name}/{where}", flush=True)
            print(f"{name:8} {dict(outcomes)}", flush=True)


if __name__ == "__main__":
    main()
