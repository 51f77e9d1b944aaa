"""Cross-modal retrieval: one embedding space for images, texts and other modalities.

    import commonspace as cs

    data = cs.load_dataset("scenes")
    space = cs.DSCMR(seed=0).fit(data.split("train"), data.split("validation"))
    print(space.evaluate(data, k=50))
    space.save("run")
    vectors = cs.load("run").embed(text=["a red kite above a house"])

Importing this package takes milliseconds: each name is imported when it is first used. Subpackages,
such as ``cs.losses``, hold further names.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from commonspace.assessment import Assessment as Assessment
    from commonspace.assessment import PairAssessment as PairAssessment
    from commonspace.assessment import assess as assess
    from commonspace.assessment import assess_pairs as assess_pairs
    from commonspace.async_client import AsyncClient as AsyncClient
    from commonspace.callbacks import Callback as Callback
    from commonspace.callbacks import EpochRecord as EpochRecord
    from commonspace.client import Client as Client
    from commonspace.comparison import ComparisonResult as ComparisonResult
    from commonspace.comparison import check_method as check_method
    from commonspace.comparison import compare as compare
    from commonspace.data import Dataset as Dataset
    from commonspace.data import Features as Features
    from commonspace.data import Images as Images
    from commonspace.data import Texts as Texts
    from commonspace.datasets import load_dataset as load_dataset
    from commonspace.engines import LocalProcesses as LocalProcesses
    from commonspace.engines import RayCluster as RayCluster
    from commonspace.errors import CommonspaceError as CommonspaceError
    from commonspace.errors import DataError as DataError
    from commonspace.errors import FileFormatError as FileFormatError
    from commonspace.errors import MissingExtraError as MissingExtraError
    from commonspace.errors import OutputError as OutputError
    from commonspace.errors import ServiceError as ServiceError
    from commonspace.errors import SettingError as SettingError
    from commonspace.errors import SpaceError as SpaceError
    from commonspace.errors import SplitError as SplitError
    from commonspace.errors import StoreError as StoreError
    from commonspace.errors import TrainingError as TrainingError
    from commonspace.evaluation import EvaluationReport as EvaluationReport
    from commonspace.evaluation import evaluate as evaluate
    from commonspace.evaluation import mean_average_precision as mean_average_precision
    from commonspace.losses import common_space_loss as common_space_loss
    from commonspace.losses import info_nce_loss as info_nce_loss
    from commonspace.losses import label_space_loss as label_space_loss
    from commonspace.losses import modality_invariance_loss as modality_invariance_loss
    from commonspace.losses import multi_positive_info_nce_loss as multi_positive_info_nce_loss
    from commonspace.losses import multimodal_contrastive_loss as multimodal_contrastive_loss
    from commonspace.losses import reverse_gradient as reverse_gradient
    from commonspace.losses import sigmoid_contrastive_loss as sigmoid_contrastive_loss
    from commonspace.losses import supervised_contrastive_loss as supervised_contrastive_loss
    from commonspace.losses import total_correlation_loss as total_correlation_loss
    from commonspace.losses import triplet_loss as triplet_loss
    from commonspace.methods import ACMR as ACMR
    from commonspace.methods import ALGCN as ALGCN
    from commonspace.methods import CCA as CCA
    from commonspace.methods import CCL as CCL
    from commonspace.methods import CMDN as CMDN
    from commonspace.methods import DCCA as DCCA
    from commonspace.methods import DCCAE as DCCAE
    from commonspace.methods import DCMH as DCMH
    from commonspace.methods import DSCMR as DSCMR
    from commonspace.methods import FUME as FUME
    from commonspace.methods import GMA as GMA
    from commonspace.methods import JRL as JRL
    from commonspace.methods import MCCA as MCCA
    from commonspace.methods import MRL as MRL
    from commonspace.methods import RONO as RONO
    from commonspace.methods import SDML as SDML
    from commonspace.methods import Between as Between
    from commonspace.methods import BoostedTrees as BoostedTrees
    from commonspace.methods import ClosedFormMethod as ClosedFormMethod
    from commonspace.methods import EncoderConfig as EncoderConfig
    from commonspace.methods import EnsembleProbe as EnsembleProbe
    from commonspace.methods import GradientMethod as GradientMethod
    from commonspace.methods import InfoNCE as InfoNCE
    from commonspace.methods import KernelCCA as KernelCCA
    from commonspace.methods import LinearProbe as LinearProbe
    from commonspace.methods import Method as Method
    from commonspace.methods import MvDA as MvDA
    from commonspace.methods import NearestNeighbors as NearestNeighbors
    from commonspace.methods import OneOf as OneOf
    from commonspace.methods import PosteriorMatching as PosteriorMatching
    from commonspace.methods import PrototypeLearning as PrototypeLearning
    from commonspace.methods import RawFeatures as RawFeatures
    from commonspace.methods import SemanticMatching as SemanticMatching
    from commonspace.methods import SupervisedContrastive as SupervisedContrastive
    from commonspace.methods import TipAdapter as TipAdapter
    from commonspace.methods import TrainingData as TrainingData
    from commonspace.networks import Network as Network
    from commonspace.progress import ProgressBar as ProgressBar
    from commonspace.retrieval import Index as Index
    from commonspace.retrieval import Item as Item
    from commonspace.retrieval import Query as Query
    from commonspace.retrieval import SearchResult as SearchResult
    from commonspace.retrieval import SearchResults as SearchResults
    from commonspace.settings import setting as setting
    from commonspace.space import CommonSpace as CommonSpace
    from commonspace.space import load as load
    from commonspace.training import RunConfig as RunConfig

__version__ = "0.2.0"

_EXPORTS: dict[str, tuple[str, ...]] = {
    "assessment": ("Assessment", "PairAssessment", "assess", "assess_pairs"),
    "async_client": ("AsyncClient",),
    "callbacks": ("Callback", "EpochRecord"),
    "client": ("Client",),
    "comparison": ("ComparisonResult", "check_method", "compare"),
    "data": ("Dataset", "Features", "Images", "Texts"),
    "datasets": ("load_dataset",),
    "engines": ("LocalProcesses", "RayCluster"),
    "errors": (
        "CommonspaceError",
        "DataError",
        "FileFormatError",
        "MissingExtraError",
        "OutputError",
        "ServiceError",
        "SettingError",
        "SpaceError",
        "SplitError",
        "StoreError",
        "TrainingError",
    ),
    "evaluation": ("EvaluationReport", "evaluate", "mean_average_precision"),
    "losses": (
        "common_space_loss",
        "info_nce_loss",
        "label_space_loss",
        "modality_invariance_loss",
        "multi_positive_info_nce_loss",
        "multimodal_contrastive_loss",
        "reverse_gradient",
        "sigmoid_contrastive_loss",
        "supervised_contrastive_loss",
        "total_correlation_loss",
        "triplet_loss",
    ),
    "methods": (
        "ACMR",
        "CCA",
        "DCCA",
        "DSCMR",
        "GMA",
        "JRL",
        "MCCA",
        "SDML",
        "KernelCCA",
        "CMDN",
        "PrototypeLearning",
        "ALGCN",
        "RONO",
        "CCL",
        "MRL",
        "DCCAE",
        "DCMH",
        "FUME",
        "BoostedTrees",
        "EnsembleProbe",
        "Between",
        "ClosedFormMethod",
        "EncoderConfig",
        "GradientMethod",
        "InfoNCE",
        "LinearProbe",
        "NearestNeighbors",
        "Method",
        "MvDA",
        "OneOf",
        "PosteriorMatching",
        "RawFeatures",
        "SemanticMatching",
        "SupervisedContrastive",
        "TipAdapter",
        "TrainingData",
    ),
    "networks": ("Network",),
    "progress": ("ProgressBar",),
    "retrieval": ("Index", "Item", "Query", "SearchResult", "SearchResults"),
    "space": ("CommonSpace", "load"),
    "settings": ("setting",),
    "training": ("RunConfig",),
}
"""Module -> the names that this package exports from it."""

_MODULES = (
    "assessment",
    "async_client",
    "callbacks",
    "calibration",
    "client",
    "comparison",
    "data",
    "datasets",
    "distributed",
    "encoders",
    "engines",
    "errors",
    "evaluation",
    "losses",
    "methods",
    "networks",
    "plots",
    "progress",
    "reporting",
    "retrieval",
    "serve",
    "training",
)
"""Public modules, which are attributes of this package without an import of their own."""

_HOMES = {name: f"commonspace.{module}" for module, names in _EXPORTS.items() for name in names}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type is that of the name
    """Import a public name or module when it is first used."""
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif name in _MODULES:
        value = import_module(f"commonspace.{name}")
    else:
        raise AttributeError(f"module 'commonspace' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names and modules."""
    return sorted([*__all__, *_MODULES, "__version__"])
