"""Networks of a common space: backbones for raw input, and the layers that share one space."""

from commonspace.networks.backbones import (
    VGG19,
    ImageCNN,
    PretrainedImages,
    PretrainedTexts,
    TextCNN,
    backbone_from_config,
)
from commonspace.networks.boosted import BoostedConfig, BoostedNetwork
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.networks.dscmr import DSCMRConfig, DSCMRNetwork
from commonspace.networks.ensemble import EnsembleConfig, EnsembleNetwork
from commonspace.networks.feature_cache import FeatureCacheConfig, FeatureCacheNetwork
from commonspace.networks.hashing import HashingNetwork
from commonspace.networks.hierarchical import HierarchicalConfig, HierarchicalNetwork
from commonspace.networks.kernel import KernelConfig, KernelNetwork
from commonspace.networks.linear import AffineMap, LinearConfig, LinearNetwork
from commonspace.networks.neighbors import NeighborsConfig, NeighborsNetwork
from commonspace.networks.network import MultiBranchNetwork, Network, use_networks
from commonspace.networks.posterior import PosteriorConfig, PosteriorNetwork
from commonspace.networks.shared_space import SharedSpaceConfig, SharedSpaceNetwork
from commonspace.networks.zero_shot_posterior import (
    ZeroShotPosteriorConfig,
    ZeroShotPosteriorNetwork,
)

__all__ = [
    "VGG19",
    "AffineMap",
    "BoostedConfig",
    "BoostedNetwork",
    "BranchesConfig",
    "BranchesNetwork",
    "DSCMRConfig",
    "DSCMRNetwork",
    "EnsembleConfig",
    "EnsembleNetwork",
    "FeatureCacheConfig",
    "FeatureCacheNetwork",
    "HashingNetwork",
    "HierarchicalConfig",
    "HierarchicalNetwork",
    "ImageCNN",
    "KernelConfig",
    "KernelNetwork",
    "LinearConfig",
    "LinearNetwork",
    "MultiBranchNetwork",
    "NeighborsConfig",
    "NeighborsNetwork",
    "Network",
    "PosteriorConfig",
    "PosteriorNetwork",
    "PretrainedImages",
    "PretrainedTexts",
    "SharedSpaceConfig",
    "SharedSpaceNetwork",
    "TextCNN",
    "ZeroShotPosteriorConfig",
    "ZeroShotPosteriorNetwork",
    "backbone_from_config",
    "use_networks",
]
