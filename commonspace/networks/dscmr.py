"""Network of DSCMR: a branch for each modality, a shared last layer and a linear classifier."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.networks.network import MultiBranchNetwork

__all__ = ["Classifier", "DSCMRConfig", "DSCMRNetwork", "Outputs", "closed_form_classifier"]

Classifier = Literal["linear", "affine", "closed_form"]


@dataclass(frozen=True)
class DSCMRConfig:
    """Settings of a ``DSCMRNetwork``.

    Args:
        backbones: Modality -> description of its backbone, ``{"kind": ..., ...}``.
        classes: c, the number of classes.
        hidden_dim: Size of the fully connected layer of each branch.
        embedding_dim: d, the size of the shared layer, which is the embedding dimension.
        relu_after_shared: Whether a ReLU follows the shared layer (the paper) or not (its code).
        classifier: "linear" is P'u with a learned P; "affine" adds a bias; "closed_form" is P'u
            with P from ``closed_form_classifier``.
    """

    backbones: Mapping[str, Mapping[str, Any]]
    classes: int
    hidden_dim: int = 2048
    embedding_dim: int = 1024
    relu_after_shared: bool = True
    classifier: Classifier = "linear"


class Outputs(NamedTuple):
    """Outputs of the network for one modality of a batch."""

    representation: Tensor
    """(n, d) float32, for each sample that has the modality."""
    prediction: Tensor
    """(n, c) float32, the output of the classifier."""


class DSCMRNetwork(MultiBranchNetwork):
    """Branches with a shared last layer and classifier, for two or more modalities.

        branch m:     h = ReLU(W_m f_m(x) + b_m)       f_m: the backbone, W_m: hidden x features
        shared layer: u = W h + b                      followed by a ReLU in the paper
        classifier:   P'u                              with a bias in the official code

    Weights are drawn from torch's global generator.

    Source: Zhen et al., Deep Supervised Cross-modal Retrieval, CVPR 2019, section 3.

    Args:
        config: Sizes, backbones and options.
    """

    config: DSCMRConfig

    def __init__(self, config: DSCMRConfig) -> None:
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
        """d, the embedding dimension."""
        return self.config.embedding_dim

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Outputs]:
        """Return representation and prediction for each modality of a batch.

        Args:
            inputs: Modality -> (n_m, ...) input of its backbone.

        Returns:
            Modality -> (n_m, d) and (n_m, c), both float32.
        """
        hidden = [self._hidden(name, batch) for name, batch in inputs.items()]
        counts = [len(batch) for batch in hidden]
        # One product for all modalities: weights are read, and their gradients written, once.
        u = self._shared(torch.cat(hidden))
        representations = torch.split(u, counts)
        predictions = torch.split(self.classifier(u), counts)
        outputs = zip(inputs, representations, predictions, strict=True)
        return {name: Outputs(rows.float(), labels.float()) for name, rows, labels in outputs}

    def represent(self, modality: str, inputs: Tensor) -> Tensor:
        """Return u for one modality: (n, d), before normalization."""
        return self._shared(self._hidden(modality, inputs))

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, d) float32 embeddings of unit length, whose inner product is the cosine."""
        return normalize(self.represent(modality, inputs).float())

    @torch.no_grad()
    def set_classifier(self, P: Tensor) -> None:
        """Set the matrix of the classifier to P, (d, c)."""
        self.classifier.weight.copy_(P.T)

    def to_config(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self.config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "DSCMRNetwork":
        """Build the network with fresh weights from what ``to_config`` returned."""
        return cls(DSCMRConfig(**config))

    def _hidden(self, modality: str, inputs: Tensor) -> Tensor:
        number = self._numbers[modality]
        return torch.relu(self.hidden[number](self.backbones[number](inputs)))

    def _shared(self, hidden: Tensor) -> Tensor:
        u: Tensor = self.shared(hidden)
        return torch.relu(u) if self.config.relu_after_shared else u


@torch.no_grad()
def closed_form_classifier(representations: Sequence[Tensor], labels: Sequence[Tensor]) -> Tensor:
    """Return the linear classifier that the paper computes from the representations of a batch.

        P = (U U')^-1 U Y' + (V V')^-1 V Y'        with U, V (d, n) and Y (c, n)

    Each term is the least-squares solution of P'U = Y for one modality. A batch usually has fewer
    samples than dimensions, and then U U' has no inverse: the pseudo-inverse gives the solution of
    least norm. P is a constant for the gradient.

    Source: Zhen et al., Deep Supervised Cross-modal Retrieval, CVPR 2019, the update of P in its
    algorithm.

    Args:
        representations: (n, d) floating point for each modality, the transpose of U.
        labels: (n, c) for each modality, the transpose of Y.

    Returns:
        (d, c), of the type of the representations: outputs are ``representation @ P``.

    Example:
        >>> closed_form_classifier([torch.eye(2)], [torch.tensor([[1.0], [0.0]])])
        tensor([[1.],
                [0.]])
    """
    solutions = [
        torch.linalg.pinv(U.double()) @ Y.double()
        for U, Y in zip(representations, labels, strict=True)
    ]
    return torch.stack(solutions).sum(dim=0).to(representations[0].dtype)
