"""Compare methods on one data set: ``compare`` and its result."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from commonspace.atomic import as_path, ensure_folder
from commonspace.callbacks import Callback
from commonspace.comparison.benchmark import Benchmark, Protocol, run_benchmark
from commonspace.comparison.experiments import TuningBudget, make_experiments
from commonspace.comparison.summary import MethodSummary, summarize
from commonspace.comparison.tables import NOTE, columns, flatten, write_tables
from commonspace.data import Dataset
from commonspace.errors import TrainingError
from commonspace.methods import Method
from commonspace.plots import draw_method_classes
from commonspace.tables import Table, to_frame

if TYPE_CHECKING:
    from commonspace.plots.style import Figure

__all__ = ["ComparisonResult", "compare"]


@dataclass(frozen=True, repr=False)
class ComparisonResult:
    """The figures of several methods on one data set; it prints as a table."""

    title: str
    """Data set and number of test samples."""
    baseline: str
    """The method that the others are tested against."""
    methods: tuple[MethodSummary, ...]
    """The figures of each method, in the order that they were given."""

    def __getitem__(self, name: str) -> MethodSummary:
        """Return the figures of a method.

        Raises:
            KeyError: it was not compared.
        """
        for summary in self.methods:
            if summary.name == name:
                return summary
        raise KeyError(name)

    def to_table(self) -> Table:
        """Return the figures as a formatted table, with notes on intervals and significance."""
        head, rows = columns(self.methods, self.baseline)
        failed = [f"{one.name}: {one.failed}" for one in self.methods if one.failed]
        return Table(self.title, head, rows, [NOTE, *failed])

    def to_frame(self) -> Any:  # noqa: ANN401 - pandas is optional
        """Return a pandas ``DataFrame``: a row for each method, all figures as columns.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return to_frame([flatten(one) for one in self.methods], index="method")

    def save(self, folder: str | Path) -> None:
        """Write ``table.md``, ``.tex``, ``.csv`` and ``.json``, and ``classes.csv``, into a folder.

        Raises:
            OutputError: a file cannot be written.
            MissingExtraError: tabulate is not installed.
        """
        ensure_folder(as_path(folder))
        write_tables(Path(folder), self.methods, self.baseline, self.title)

    def plot_classes(self) -> "Figure":
        """Return a heat map of the mAP of each class, for each method with figures.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        return draw_method_classes(
            {one.name: one.class_map for one in self.methods if one.class_map}
        )

    def __repr__(self) -> str:
        """Return the table."""
        return str(self.to_table())

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return self.to_table().to_html()


def compare(
    data: Dataset,
    methods: Sequence[str | Method],
    *,
    settings: Mapping[str, Any] | None = None,
    seeds: int = 10,
    baseline: str | None = None,
    budget: TuningBudget | None = None,
    protocol: Protocol = "validation",
    folder: str | Path | None = None,
    jobs: int = 0,
    callbacks: Sequence[Callback] = (),
) -> ComparisonResult:
    """Compare methods on the same splits, with the same tuning budget and several seeds.

    Settings are tuned on the validation split; then each method is fitted for every seed and
    evaluated on the test split.

    Args:
        data: with a train, a validation and a test split.
        methods: names such as "dscmr" or "posterior", ``FILE.py:Class``, or instances of a method.
        settings: setting -> value, for every method that has it, or name of a method -> settings of
            this one, such as ``{"hidden_dim": 256, "dscmr": {"eta": 0.1}}``. They are not tuned.
        seeds: number of runs of each method that has a seed.
        baseline: the method that the others are tested against (default: the first with figures).
        budget: tuning and training budget of each method.
        protocol: "validation" chooses everything on validation; "as-published" also records the
            best test mAP of any epoch, which is not a result.
        folder: for the runs, so that the same call continues after an interruption, and for the
            tables (default: a temporary folder, and no tables).
        jobs: number of processes; 0 runs everything in this process, as methods that are defined in
            a notebook need it.
        callbacks: receive the progress, such as ``[ProgressBar()]``.

    Raises:
        SettingError: a method or a setting is unknown, two methods share a name, the baseline is
            not compared, or a number is out of range.
        SplitError: a split is empty.
        TrainingError: no method has figures.

    Example:
        >>> from commonspace.datasets import load_dataset
        >>> from commonspace.methods import CCA
        >>> data = load_dataset("scenes")  # doctest: +SKIP
        >>> compare(data, ["dscmr", "posterior", CCA(dimension=8)], seeds=3)  # doctest: +SKIP
    """
    experiments = make_experiments(methods, settings)
    with _open_folder(folder) as place:
        benchmark = Benchmark(
            data=data,
            experiments=experiments,
            folder=place,
            seeds=seeds,
            budget=budget or TuningBudget(),
            protocol=protocol,
            jobs=jobs,
        )
        result = run_benchmark(benchmark, callbacks)
    measured = [name for name, runs in result.runs.items() if runs]
    chosen = baseline or (measured or [experiments[0].name])[0]
    title = f"{data.name}: {len(data.split('test'))} test samples"
    summaries = tuple(summarize(result, chosen))
    comparison = ComparisonResult(title, chosen, summaries)
    if folder is not None:
        comparison.save(folder)
    if not measured:
        raise TrainingError(
            "no method of the comparison has figures",
            expected="at least one method that supports the data",
            found="; ".join(f"{one.name}: {one.failed}" for one in summaries),
            advice="correct the cause that is named for each, or choose other methods",
        )
    return comparison


@contextmanager
def _open_folder(folder: str | Path | None) -> Iterator[Path]:
    if folder is not None:
        yield Path(folder)
        return
    with TemporaryDirectory(prefix="commonspace-") as temporary:
        yield Path(temporary)
