"""The network of DSCMR: a branch for each modality, shared last layer, shared linear classifier.

It knows nothing of losses, of training, or of where its input comes from.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.networks.multi_branch import MultiBranchNetwork

__all__ = ["Classifier", "DSCMRConfig", "DSCMRNetwork", "Outputs"]

Classifier = Literal["linear", "affine", "closed_form"]


@dataclass(frozen=True)
class DSCMRConfig:
    """All that is needed to build the network again.

    Args:
        backbones: modality name -> description of its backbone, ``{"kind": ..., ...}``.
        classes: c, the number of classes.
        hidden_dim: the size of the fully connected layer of each branch.
        embedding_dim: d, the size of the shared layer, which is that of the common space.
        relu_after_shared: whether a ReLU follows the shared layer (the paper) or not (its code).
        classifier: "linear" is P'u, learnt; "affine" adds a bias; "closed_form" is P'u with P
            set from outside.
    """

    backbones: Mapping[str, Mapping[str, Any]]
    classes: int
    hidden_dim: int = 2048
    embedding_dim: int = 1024
    relu_after_shared: bool = True
    classifier: Classifier = "linear"


class Outputs(NamedTuple):
    """What the network makes of one modality of a batch."""

    representation: Tensor
    """(n, d) float32, a row for each sample that has the modality."""
    prediction: Tensor
    """(n, c) float32, the classifier's output for each of them."""


class DSCMRNetwork(MultiBranchNetwork):
    """Branches with shared last layers, for two or more modalities.

        branch m:     h = ReLU(W_m f_m(x) + b_m)       f_m: the backbone, W_m: hidden x features
        shared layer: u = W h + b                      followed by a ReLU in the paper
        classifier:   P'u                              with a bias in the released code

    Source: Zhen et al., Deep Supervised Cross-modal Retrieval, CVPR 2019, section 3.

    Args:
        config: sizes, backbones and options.
    """

    kind = "dscmr"
    config: DSCMRConfig

    def __init__(self, config: DSCMRConfig) -> None:
        """Build the layers with fresh weights from torch's global generator."""
        super().__init__(config)
        self.hidden = nn.ModuleList(
            nn.Linear(int(backbone.size), config.hidden_dim)  # type: ignore[arg-type]
            for backbone in self.backbones
        )
        self.shared = nn.Linear(config.hidden_dim, config.embedding_dim)
        self.classifier = nn.Linear(
            config.embedding_dim, config.classes, bias=config.classifier == "affine"
        )
        if config.classifier == "closed_form":
            self.classifier.requires_grad_(False)

    @property
    def dimension(self) -> int:
        """d, the size of the common space."""
        return self.config.embedding_dim

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Outputs]:
        """Return representation and prediction for each modality of a batch.

        Args:
            inputs: modality name -> (n_m, ...) input of its backbone.

        Returns:
            Modality name -> (n_m, d) and (n_m, c), both float32.
        """
        hidden = [self._hidden(name, batch) for name, batch in inputs.items()]
        counts = [len(part) for part in hidden]
        # All modalities in one product: the weights are read, and their gradient written, once.
        u = self._shared(torch.cat(hidden))
        rows, predictions = torch.split(u, counts), torch.split(self.classifier(u), counts)
        parts = zip(inputs, rows, predictions, strict=True)
        return {name: Outputs(one.float(), prediction.float()) for name, one, prediction in parts}

    def represent(self, modality: str, inputs: Tensor) -> Tensor:
        """Return u for one modality: (n, d), neither scaled nor shifted."""
        return self._shared(self._hidden(modality, inputs))

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Return u / ||u|| for one modality: (n, d) float32, whose inner product is the cosine."""
        return normalize(self.represent(modality, inputs).float())

    @torch.no_grad()
    def set_classifier(self, P: Tensor) -> None:
        """Take P, (d, c), as the classifier's matrix."""
        self.classifier.weight.copy_(P.T)

    def to_config(self) -> dict[str, Any]:
        """Return a description, fit for JSON, from which ``from_config`` builds it again."""
        return asdict(self.config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "DSCMRNetwork":
        """Build the network that ``to_config`` described, with fresh weights."""
        return cls(DSCMRConfig(**config))

    def _hidden(self, modality: str, inputs: Tensor) -> Tensor:
        number = self._numbers[modality]
        return torch.relu(self.hidden[number](self.backbones[number](inputs)))

    def _shared(self, hidden: Tensor) -> Tensor:
        u: Tensor = self.shared(hidden)
        return torch.relu(u) if self.config.relu_after_shared else u
