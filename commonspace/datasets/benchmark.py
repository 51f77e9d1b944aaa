"""Common parts of the benchmark readers: sizes, splits, and missing files.

A published folder gives fewer splits than the papers report: a test list that holds validation and
test, or no list at all. The rest is drawn here, by seed, and recorded in the provenance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from commonspace.data.assemble import Table
from commonspace.data.reading import WarningLog
from commonspace.data.vocabulary import SPLITS, split_name
from commonspace.errors import DataError

__all__ = [
    "Benchmark",
    "Paths",
    "draw_sizes",
    "files_by_stem",
    "need_file",
    "paper_split",
    "report_missing",
    "stratified_draw",
]

Paths = list[Path | None]
_IMAGES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"})


@dataclass(frozen=True)
class Benchmark:
    """A data set on which papers report results.

    Args:
        pairs: numbers of pairs in train, validation and test of the papers.
        read: (folder, warnings, seed) -> table, split as the publisher splits it, or not at all.
        divides_test: whether the publisher's test list is the papers' validation and test together.
    """

    pairs: tuple[int, int, int]
    read: Callable[[Path, WarningLog, int], Table]
    divides_test: bool = False


def paper_split(table: Table, benchmark: Benchmark, *, seed: int, warnings: WarningLog) -> Table:
    """Give a table the splits of the papers where it lacks them.

    Splits that the source gives are kept. Where it gives none, all three are drawn in the papers'
    proportions. Where its test list is the papers' validation and test together, that list is
    divided: the papers do not say which of its pairs are which.

    Args:
        table: from a reader.
        benchmark: sizes of the papers.
        seed: the same seed draws the same pairs.
        warnings: gets a sentence where the sizes differ from the papers'.

    Returns:
        The table with its splits; ``drawn`` describes what was drawn.
    """
    classes = np.column_stack([table.labels, ~table.labels.any(axis=1)]).argmax(axis=1)
    sizes = "/".join(map(str, benchmark.pairs))
    if table.splits is None:
        split = np.array(SPLITS)[draw_sizes(classes, benchmark.pairs, seed=seed)]
        how = f"the paper's {sizes}, drawn: stratified, seed {seed}"
        table = replace(table, splits=split.tolist(), drawn=how)
    else:
        table = _divided_test(table, benchmark, classes, seed)
    assert table.splits is not None
    names = [split_name(spelling) for spelling in table.splits]
    counts = tuple(names.count(split) for split in SPLITS)
    if counts != benchmark.pairs:
        warnings.add(
            f"{table.source} has {'/'.join(map(str, counts))} pairs (train/validation/test), the"
            f" paper {sizes}: figures on it do not compare with published ones"
        )
    return table


def draw_sizes(classes: NDArray[np.intp], sizes: Sequence[int], *, seed: int) -> NDArray[np.intp]:
    """Divide samples into parts of exactly proportional size, each class in proportion.

    Args:
        classes: (n,) the class of each sample.
        sizes: k sizes of the parts, all to one scale: where they add up to n they are met exactly.
        seed: the same seed gives the same parts.

    Returns:
        (n,) intp, the number of each sample's part, from 0.

    Example:
        >>> parts = draw_sizes(np.repeat([0, 1], 50), (80, 10, 10), seed=0)
        >>> np.bincount(parts[:50]).tolist(), np.bincount(parts[50:]).tolist()
        ([40, 5, 5], [40, 5, 5])
    """
    generator = np.random.default_rng(seed)
    parts = np.zeros(len(classes), dtype=np.intp)
    for number in range(len(sizes) - 1, 0, -1):
        left = np.flatnonzero(parts == 0)
        count = round(len(classes) * sizes[number] / sum(sizes))
        parts[left[stratified_draw(classes[left], count, generator)]] = number
    return parts


def stratified_draw(
    classes: NDArray[np.intp], count: int, generator: np.random.Generator
) -> NDArray[np.intp]:
    """Draw ``count`` of n samples so that each class gives its share, by largest remainders.

    Args:
        classes: (n,) the class of each sample.
        count: from 0 to n.
        generator: random generator.

    Returns:
        (count,) intp, places from 0 to n - 1, ascending.
    """
    _, inverse, sizes = np.unique(classes, return_inverse=True, return_counts=True)
    quotas, remainders = np.divmod(count * sizes, max(len(classes), 1))
    quotas[np.argsort(-remainders, kind="stable")[: count - quotas.sum()]] += 1
    order = generator.permutation(len(classes))
    order = order[np.argsort(inverse[order], kind="stable")]  # by class, at random within each
    place = np.arange(len(classes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[place < np.repeat(quotas, sizes)])


def files_by_stem(folder: Path, suffixes: frozenset[str] = _IMAGES) -> dict[str, list[Path]]:
    """Return the files at any depth of a folder by name without suffix, each list sorted.

    Args:
        folder: may be missing: the result is empty.
        suffixes: in lower case (default: those of images).
    """
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in suffixes and not file.name.startswith("."):
            found.setdefault(file.stem, []).append(file)
    return found


def need_file(file: Path, what: str, *, advice: str) -> None:
    """Check that a required file exists.

    Args:
        file: the file.
        what: its content.
        advice: where to get it and where to put it.

    Raises:
        DataError: it is missing.
    """
    if not file.is_file():
        raise DataError(f"{file} is missing", expected=what, found="no such file", advice=advice)


def report_missing(
    source: str,
    what: str,
    wanted: Sequence[str],
    found: Sequence[object | None],
    *,
    advice: str,
    warnings: WarningLog,
) -> None:
    """Report all files that a list names and the folder lacks in one message.

    Args:
        source: what to call the source.
        what: kind of the files, such as "image".
        wanted: the name of each file.
        found: the file, or None where it is missing.
        advice: where to get them and where to put them.
        warnings: raises or records.

    Raises:
        DataError: strict, and a file is missing.
    """
    missing = [name for name, file in zip(wanted, found, strict=True) if file is None]
    if not missing:
        return
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    warnings.report(
        DataError(
            f"{source}: {len(missing)} of {len(wanted)} {what} files are missing",
            expected=f"a file for each of the {len(wanted)} pairs",
            found=f"no {', '.join(missing[:3])}{more}",
            advice=advice,
        ),
        instead=f"{len(missing)} samples have no {what}",
    )


def _divided_test(
    table: Table, benchmark: Benchmark, classes: NDArray[np.intp], seed: int
) -> Table:
    """Divide test into validation and test where the papers do and the source does not."""
    assert table.splits is not None
    names = np.array([split_name(spelling) or "" for spelling in table.splits])
    test = np.flatnonzero(names == "test")
    done = (names == "validation").any() or len(test) == benchmark.pairs[2]
    if done or not benchmark.divides_test or len(test) < 2:
        return table
    _, validation, rest = benchmark.pairs
    parts = draw_sizes(classes[test], (validation, rest), seed=seed)
    split = list(table.splits)
    for row in test[parts == 0].tolist():
        split[row] = "validation"
    drawn = int((parts == 0).sum())
    how = (
        f"as given; of the {len(test)} pairs of the test list {drawn} are validation, as in the"
        f" paper ({validation} and {rest}), which does not name them: drawn, stratified,"
        f" seed {seed}"
    )
    return replace(table, splits=split, drawn=how)
