"""Commonspace: one common representation space for samples of several modalities.

    import commonspace as cs

    data = cs.load_dataset("scenes")
    space = cs.DSCMR(seed=0).fit(data.split("train"), data.split("validation"))
    print(cs.evaluate(space, data.split("test")))
    space.save("run")
    vectors = cs.load("run").embed("text", ["a red kite above a house"])

Importing this module loads nothing heavy: each name is fetched when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from commonspace.data import Dataset, Features, Images, Texts
    from commonspace.datasets import load_dataset
    from commonspace.errors import CommonspaceError
    from commonspace.evaluation import mean_average_precision
    from commonspace.evaluation.protocol import evaluate
    from commonspace.methods import DSCMR, EncoderConfig, Method
    from commonspace.retrieval import Index
    from commonspace.space import CommonSpace, load
    from commonspace.training import Run

__version__ = "0.2.0"

__all__ = [
    "DSCMR",
    "CommonSpace",
    "CommonspaceError",
    "Dataset",
    "EncoderConfig",
    "Features",
    "Images",
    "Index",
    "Method",
    "Run",
    "Texts",
    "evaluate",
    "load",
    "load_dataset",
    "mean_average_precision",
]

_HOMES = {
    "DSCMR": "commonspace.methods",
    "CommonSpace": "commonspace.space",
    "CommonspaceError": "commonspace.errors",
    "Dataset": "commonspace.data",
    "Features": "commonspace.data",
    "EncoderConfig": "commonspace.methods",
    "Images": "commonspace.data",
    "Index": "commonspace.retrieval",
    "Method": "commonspace.methods",
    "Run": "commonspace.training",
    "Texts": "commonspace.data",
    "evaluate": "commonspace.evaluation.protocol",
    "load": "commonspace.space",
    "load_dataset": "commonspace.datasets",
    "mean_average_precision": "commonspace.evaluation",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type is that of the name
    """Fetch a public name from its room."""
    if name not in _HOMES:
        raise AttributeError(f"module 'commonspace' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
