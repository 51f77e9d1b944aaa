"""Commands ``new-method`` and ``check-method``: a user-defined method and its checks."""

import keyword
import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from commonspace.atomic import write_error
from commonspace.errors import OutputError, SettingError

__all__ = ["METHOD_KINDS", "check_method", "method_template", "new_method"]

MethodKind = Literal["loss", "closed-form"]

METHOD_KINDS: dict[str, str] = {
    "loss": '''"""{title}: a user-defined method that trains by gradient descent."""

from typing import ClassVar

from torch import Tensor

import commonspace as cs
from commonspace.methods import SearchSpace


class {class_name}(cs.GradientMethod):
    """Items near the center of their class, and away from the other centers."""

    search_space: ClassVar[SearchSpace] = {{"margin": cs.Between(0.1, 1.0)}}
    margin: float = cs.setting(0.5, help="Cosine to keep between own and other center.", above=0)

    def loss(self, embeddings: dict[str, Tensor], labels: Tensor) -> Tensor:
        """Return the loss of a batch: embeddings are (n, d) of unit length, labels (n, c)."""
        centers = sum(labels.T @ z for z in embeddings.values())
        centers = centers / centers.norm(dim=1, keepdim=True).clamp(min=1e-6)
        cosines = [z @ centers.T for z in embeddings.values()]
        own = [(c * labels).sum(dim=1, keepdim=True) for c in cosines]
        terms = [((self.margin + c - o) * (1 - labels)).relu() for c, o in zip(cosines, own)]
        return sum(term.sum(dim=1).mean() for term in terms)
''',
    "closed-form": '''"""{title}: a user-defined method that is solved in closed form."""

import numpy as np

import commonspace as cs
from commonspace.data import Dataset
from commonspace.methods.base.views import labeled_views
from commonspace.networks import LinearNetwork


class {class_name}(cs.ClosedFormMethod):
    """The mean of each class as a direction, on principal coordinates of equal variance."""

    shrinkage: float = cs.setting(0.1, help="Share of a multiple of the identity.", low=0, high=1)

    def prepare(self, train: Dataset) -> dict:
        """Return the labeled samples of each modality in principal coordinates."""
        return labeled_views(train)

    def solve(self, problem: dict) -> LinearNetwork:
        """Return the linear map of each modality."""
        maps = {{}}
        for name, view in problem.items():
            spread = view.variances
            spread = (1 - self.shrinkage) * spread + self.shrinkage * spread.mean()
            means = view.values.T @ view.labels / np.maximum(view.labels.sum(axis=0), 1)
            maps[name] = view.affine_map(means / spread[:, None])
        return LinearNetwork.from_maps(maps)
''',
}
"""Kind of method -> template of its file."""


def new_method(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the method, such as center-loss.")
    ],
    kind: Annotated[
        MethodKind,
        typer.Option(
            help="loss trains a network by gradient descent; closed-form solves a linear map."
        ),
    ] = "loss",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.py",
            help="File to write (default: the name, with underscores, in this folder).",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a file with a method of your own, to start from.

    The file holds a complete method of about twenty lines. check-method checks
    it; train and compare run it as FILE.py:Class.

    [bold]Examples[/bold]

      commonspace new-method center-loss
      commonspace check-method center_loss.py:CenterLoss
      commonspace compare features.npz --methods center_loss.py:CenterLoss,dscmr --out t
    """
    class_name, text = method_template(name, kind)
    words = [word.lower() for word in _words(name)]
    path = out or Path("_".join(words) + ".py")
    if path.exists():
        raise OutputError(
            f"{path} exists already",
            expected="a new file",
            found="a file of this name",
            advice="choose another name, or another file with --out",
        )
    try:
        path.write_text(text, "utf-8")
    except OSError as exc:
        raise OutputError(
            f"{path} cannot be written",
            expected="a file in an existing folder",
            found=write_error(path, exc).found,
            advice="make the folder, or choose another file with --out",
        ) from exc
    spec = f"{path}:{class_name}"
    typer.echo(f"written: {path}")
    typer.echo(f"next: commonspace check-method {spec}")
    typer.echo(f"      commonspace compare DATA --methods {spec},dscmr --out TABLE")
    typer.echo("in a package of yours, this makes it available by its name:")
    typer.echo('      [project.entry-points."commonspace.methods"]')
    typer.echo(f'      {"-".join(words)} = "PACKAGE.{path.stem}:{class_name}"')


def check_method(
    method: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py:CLASS", help="Your method, or the name of an installed one."
        ),
    ],
    epochs: Annotated[
        int, typer.Option(min=2, help="Number of epochs of each training of the checks.")
    ] = 3,
) -> None:
    """Check that a method of your own behaves as the other commands rely on.

    It is fitted about ten times on 200 synthetic samples. Checked are shapes
    and types of embeddings, equal results for equal seeds, that the test split
    has no influence, saving and loading, resuming, samples that lack a
    modality, and errors for wrong input. Exit code 1 if a check fails.

    [bold]Examples[/bold]

      commonspace check-method mine.py:CenterLoss
      commonspace check-method mrl --epochs 10
    """
    from commonspace.cli.tables import print_table
    from commonspace.comparison.check_method import check_method as run_checks

    report = run_checks(method, epochs=epochs)
    table = report.to_table()
    print_table(table.title, table.head, table.rows)
    if not report.passed:
        count = len(report.failures)
        typer.echo(f"{count} check{'s' * (count > 1)} failed", err=True)
        raise typer.Exit(1)
    typer.echo("no check failed")


def method_template(name: str, kind: str = "loss") -> tuple[str, str]:
    """Return the name of the class and the text of a file with a method.

    Args:
        name: of the method: letters, digits, spaces, hyphens and underscores.
        kind: a key of ``METHOD_KINDS``.

    Raises:
        SettingError: the name gives no valid class name.

    Example:
        >>> method_template("center-loss")[0]
        'CenterLoss'
    """
    words = _words(name)
    class_name = "".join(word[0].upper() + word[1:] for word in words)
    if not words or keyword.iskeyword(class_name):
        raise SettingError(
            f"{name!r} is no name for a method",
            expected="letters, digits and hyphens, with a letter first",
            found=repr(name),
            advice="choose another name, such as center-loss",
        )
    title = " ".join(words)
    title = title[0].upper() + title[1:]
    return class_name, METHOD_KINDS[kind].format(title=title, class_name=class_name)


def _words(name: str) -> list[str]:
    """Return the words of a name, such as ["center", "loss"]; none if it is invalid."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9 _-]*", name):
        return []
    return re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", re.sub(r"[-_]", " ", name)).split()
