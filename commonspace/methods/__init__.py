"""The methods: labelled data in, a common space out."""

from commonspace.methods.cca import CCA
from commonspace.methods.dscmr import DSCMR
from commonspace.methods.gma import GMA
from commonspace.methods.jrl import JRL
from commonspace.methods.linear_probe import LinearProbe
from commonspace.methods.mcca import MCCA
from commonspace.methods.method import Method
from commonspace.methods.mvda import MvDA
from commonspace.methods.raw import FromRaw
from commonspace.methods.raw_features import RawFeatures
from commonspace.methods.semantic_matching import SemanticMatching

__all__ = [
    "CCA",
    "DSCMR",
    "GMA",
    "JRL",
    "MCCA",
    "FromRaw",
    "LinearProbe",
    "Method",
    "MvDA",
    "RawFeatures",
    "SemanticMatching",
]
