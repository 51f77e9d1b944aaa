"""The rows that ``compare`` offers: every method as it stands, and DSCMR without its parts.

It knows names and settings, and nothing of how rows are compared.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from commonspace.cli.methods import METHODS, MethodOptions, method_named
from commonspace.errors import SettingError

if TYPE_CHECKING:
    from commonspace.comparison import Row

__all__ = ["ABLATIONS", "ROWS", "rows_named"]

ABLATIONS: Mapping[str, Mapping[str, float]] = {
    "dscmr-no-j1": {"label_weight": 0.0},
    "dscmr-no-j2": {"lambda_": 0.0},
    "dscmr-no-j3": {"eta": 0.0},
    "dscmr-j1-alone": {"lambda_": 0.0, "eta": 0.0},
}
"""Name -> the terms of DSCMR that are left out; the rest is as chosen for ``dscmr``."""

ROWS = (*METHODS, "dscmr-released", *ABLATIONS)
"""Every row by name."""


def rows_named(names: Sequence[str]) -> "tuple[Row, ...]":
    """Return the rows of these names, ``all`` of them, or of methods in files of somebody else.

    Args:
        names: each may be several with commas between; ``FILE.py:Class`` names a method in a file.

    Raises:
        SettingError: there is no such row, file or class.
    """
    from commonspace.comparison import row_from_file

    asked = [one.strip() for name in names for one in name.split(",") if one.strip()]
    asked = [one for name in asked for one in (ROWS if name == "all" else (name,))]
    rows = [row_from_file(name) if ".py:" in name else _row(name) for name in dict.fromkeys(asked)]
    return tuple(rows)


def _row(name: str) -> "Row":
    from commonspace.comparison import Row
    from commonspace.methods import DSCMR

    if name in METHODS:
        return Row(name, method_named(name, MethodOptions()))
    if name == "dscmr-released":
        return Row(name, DSCMR(variant="released"))
    if name in ABLATIONS:
        return Row(name, DSCMR(**ABLATIONS[name]), tuned_as="dscmr")  # type: ignore[arg-type]
    raise SettingError(
        f"there is no method {name!r} to compare",
        expected=f"all, FILE.py:Class, or some of {', '.join(ROWS)}",
        found=repr(name),
        advice="see docs/methods.md",
    )
