"""DCCA: Deep Canonical Correlation Analysis.

Andrew, Arora, Bilmes, Livescu: Deep Canonical Correlation Analysis, ICML 2013.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from commonspace.data.dataset import Dataset
from commonspace.errors import DataError
from commonspace.losses import total_correlation, whitened_covariance
from commonspace.methods.base.batches import nothing, paired
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.base.settings import check_setting
from commonspace.methods.descent import Backbones, Descent, Plan, check_pairs, descend
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.networks.linear import AffineMap
from commonspace.space import CommonSpace
from commonspace.training import Batch, Run, Samples

__all__ = ["DCCA", "DCCAObjective", "canonical_maps"]


@dataclass(frozen=True)
class DCCA(Descent):
    """Deep canonical correlation analysis: networks whose outputs correlate most.

        max sum of the singular values of S_11^-1/2 S_12 S_22^-1/2,   S_mm = H_m'H_m / (n-1) + r I

    then linear CCA of the outputs on the training part, as in the paper: u = A_1'(h_1 - m_1) with
    A_1 = S_11^-1/2 U, and likewise for the other. Source: Andrew, Arora, Bilmes, Livescu: Deep
    Canonical Correlation Analysis, ICML 2013. Computed in float64, with Cholesky factors: see
    ``total_correlation``. Projections are compared by the cosine.

    The objective does not fall apart into samples: covariances of d outputs take batches of many
    times d, or the correlation of noise is learnt. The paper takes all data in one step of L-BFGS;
    here it is Adam on batches of equal size, as large as ``batch_size`` allows. The paper
    initialises with denoising autoencoders, here the initial weights are drawn.

    Needs: pairs, two modalities; no labels and no equal sizes. Samples that lack a modality are
    left out. Collinear, constant or dead outputs do no harm.

    Published mAP, image->text / text->image: Wikipedia .444 / .396, Pascal .678 / .677,
    NUS-WIDE-10k .532 / .549, XMediaNet .583 / .596 on deep features (Zhen et al., CVPR 2019).

    Args:
        ridge: r, above 0, in the unit of the outputs squared.
        dimension: how many canonical directions the space keeps, those that correlate most; None:
            all, which is ``embedding_dim``, the number of outputs.

    The other settings are those of ``Descent``. Defaults were chosen on the validation parts of
    Wikipedia (shallow features) and of Flipkart products.

    Raises:
        SettingError: a value that cannot work.
    """

    name: ClassVar[str] = "dcca"
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((400, 800, 1600)),
        "ridge": Between(1e-4, 10.0),
        "embedding_dim": OneOf((8, 16, 32, 64)),
    }

    batch_size: int = 1000
    learning_rate: float = 1e-3
    embedding_dim: int = 16
    ridge: float = 0.1
    dimension: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work, before any data is read."""
        super().__post_init__()
        r, k = self.ridge, self.dimension
        check_setting("dcca", "ridge", r, 0 < r < float("inf"), "above 0")
        fine = k is None or 1 <= k <= self.embedding_dim
        check_setting(
            "dcca", "dimension", k, fine, f"from 1 to embedding_dim, {self.embedding_dim}"
        )

    def fit(self, train: Dataset, validation: Dataset, run: Run | None = None) -> CommonSpace:
        """Learn the common space of the training pairs; the epoch is chosen on validation.

        Args:
            train: pairs of two modalities; their labels are not looked at.
            validation: labelled samples of the same columns.
            run: how to report progress and where to keep a checkpoint.

        Raises:
            DataError: there are not two modalities, or too few pairs.
            TrainingError: the loss is no longer finite.
            MissingExtraError: an encoder needs an optional package.
        """
        return descend(self, self._plan, train, validation, run)

    def _plan(self, backbones: Backbones, train: Dataset) -> Plan:
        if len(backbones) != 2:
            raise DataError(
                f"dcca cannot join the modalities of {train.name!r}",
                expected="exactly 2",
                found=f"{len(backbones)}: {', '.join(map(repr, backbones))}",
                advice="drop columns, or take a method for any number of them, such as mcca or"
                " infonce",
            )
        check_pairs(train)
        config = BranchesConfig(
            backbones,
            self.hidden_dim,
            self.embedding_dim,
            projected=self.dimension or self.embedding_dim,
        )

        def settle(network: nn.Module, samples: Samples) -> None:
            assert isinstance(network, BranchesNetwork)
            _set_maps(network, samples, self.ridge)

        batches = -(-len(train) // self.batch_size)
        return Plan(
            config,
            DCCAObjective(self.ridge),
            supervised=False,
            batch_size=-(-len(train) // batches),  # no small last batch, which would be noise
            settle=settle,
        )


@dataclass(frozen=True)
class DCCAObjective:
    """Minus the total correlation of the pairs of a batch.

    Args:
        ridge: r.
    """

    ridge: float

    def __call__(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return the loss, a scalar; 0 for fewer than two pairs."""
        assert isinstance(network, BranchesNetwork)
        outputs = network(batch.inputs)
        with torch.autocast(batch.labels.device.type, enabled=False):
            loss = nothing(outputs)
            if len(outputs) == 2:
                first, second = paired(outputs, batch, *outputs)
                if len(first) >= 2:
                    loss = loss - total_correlation(first, second, self.ridge).to(loss.dtype)
        return {"loss": loss}


@torch.no_grad()
def canonical_maps(
    first: Tensor, second: Tensor, ridge: float, dimension: int
) -> tuple[AffineMap, AffineMap, Tensor]:
    """Return linear CCA of two sets of outputs: x -> A'(x - m), the first directions of all.

    Args:
        first: (n, a), H_1; n at least 2.
        second: (n, b), H_2.
        ridge: r, above 0.
        dimension: how many directions, at most a and b.

    Returns:
        The two maps, and (dimension,) float64 correlations in decreasing order.
    """
    T, *factors = whitened_covariance(first, second, ridge)
    U, S, Vt = torch.linalg.svd(T, full_matrices=False)
    maps = [
        AffineMap(
            H.cpu().double().mean(dim=0).numpy(),
            torch.linalg.solve_triangular(L.T, W[:, :dimension], upper=True).cpu().numpy(),
        )
        for H, L, W in zip((first, second), factors, (U, Vt.T), strict=True)
    ]
    return maps[0], maps[1], S[:dimension]


@torch.no_grad()
def _set_maps(network: BranchesNetwork, samples: Samples, ridge: float) -> None:
    """Set the maps of a network to linear CCA of its outputs for the training pairs."""
    one, other = network.modalities
    outputs = {
        name: torch.cat([network.represent(name, part) for part in samples.parts(name, 512)])
        for name in (one, other)
    }
    first, second = samples.present[one], samples.present[other]
    pairs = outputs[one][second[first]], outputs[other][first[second]]
    *maps, _ = canonical_maps(*pairs, ridge, network.dimension)
    for name, found in zip((one, other), maps, strict=True):
        network.fixed_map(name).set(found)
