"""Methods: labeled data in, a common space out."""

from commonspace.methods.acmr import ACMR
from commonspace.methods.algcn import ALGCN
from commonspace.methods.base.closed_form import ClosedFormMethod
from commonspace.methods.base.encoder_config import EncoderConfig
from commonspace.methods.base.gradient import GradientMethod
from commonspace.methods.base.hyperparameters import Between, OneOf, SearchSpace
from commonspace.methods.base.method import Method
from commonspace.methods.base.training_data import TrainingData
from commonspace.methods.boosted_trees import BoostedTrees
from commonspace.methods.cca import CCA
from commonspace.methods.ccl import CCL
from commonspace.methods.cmdn import CMDN
from commonspace.methods.dcca import DCCA
from commonspace.methods.dccae import DCCAE
from commonspace.methods.dcmh import DCMH
from commonspace.methods.dscmr import DSCMR
from commonspace.methods.ensemble_probe import EnsembleProbe
from commonspace.methods.fume import FUME
from commonspace.methods.gma import GMA
from commonspace.methods.infonce import InfoNCE
from commonspace.methods.jrl import JRL
from commonspace.methods.kcca import KernelCCA
from commonspace.methods.knn import NearestNeighbors
from commonspace.methods.linear_probe import LinearProbe
from commonspace.methods.mcca import MCCA
from commonspace.methods.mrl import MRL
from commonspace.methods.mvda import MvDA
from commonspace.methods.posterior import PosteriorMatching
from commonspace.methods.prototype import PrototypeLearning
from commonspace.methods.raw_features import RawFeatures
from commonspace.methods.rono import RONO
from commonspace.methods.sdml import SDML
from commonspace.methods.semantic_matching import SemanticMatching
from commonspace.methods.supcon import SupervisedContrastive
from commonspace.methods.tip_adapter import TipAdapter

__all__ = [
    "ACMR",
    "ALGCN",
    "CCA",
    "CCL",
    "CMDN",
    "DCCA",
    "DCCAE",
    "DCMH",
    "DSCMR",
    "FUME",
    "GMA",
    "JRL",
    "MCCA",
    "MRL",
    "RONO",
    "SDML",
    "Between",
    "BoostedTrees",
    "ClosedFormMethod",
    "EncoderConfig",
    "EnsembleProbe",
    "GradientMethod",
    "InfoNCE",
    "KernelCCA",
    "LinearProbe",
    "Method",
    "MvDA",
    "NearestNeighbors",
    "OneOf",
    "PosteriorMatching",
    "PrototypeLearning",
    "RawFeatures",
    "SearchSpace",
    "SemanticMatching",
    "SupervisedContrastive",
    "TipAdapter",
    "TrainingData",
]
