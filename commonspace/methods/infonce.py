"""InfoNCE: symmetric contrastive learning of pairs, without labels."""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from commonspace.callbacks import Callback, Callbacks, EpochRecord
from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.losses import normalize_rows, paired_binary_cross_entropy, paired_cross_entropy
from commonspace.methods.base.belonging_pairs import belonging_pairs
from commonspace.methods.base.gradient import GradientMethod, zero_loss
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.base.training_data import TrainingData
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.settings import setting
from commonspace.space import CommonSpace
from commonspace.training.batch import Batch
from commonspace.training.loop import RunConfig
from commonspace.training.samples import Samples

__all__ = ["InfoNCE", "Objective", "pair_vectors"]

Objective = Literal["softmax", "sigmoid"]

BIAS = -10.0
"""Initial bias of the sigmoid objective, that of the source."""


class InfoNCE(GradientMethod):
    """Contrastive learning of pairs: each sample against all others of the batch.

        min -(1/2n) sum_i [ log softmax_j(cos(u_i, v_j) / t)_i
                          + log softmax_j(cos(u_j, v_i) / t)_i ]

    Source: van den Oord, Li, Vinyals: Representation Learning with Contrastive Predictive Coding,
    2018, eq. 4; in both directions, with the cosine and a learned temperature, Radford et al.:
    Learning Transferable Visual Models From Natural Language Supervision, ICML 2021. With more than
    two modalities the loss is summed over all pairs of them. Unlike the sources, which train large
    encoders, the networks here have one hidden layer per modality on given features.

    With ``objective="sigmoid"`` each pair of the batch is classified on its own, with a learned
    bias b:

        min -(1/n) sum_ij log sigmoid(z_ij (cos(u_i, v_j) / t + b)),   z_ii = 1, else -1

    Source: Zhai, Mustafa, Kolesnikov, Beyer: Sigmoid Loss for Language Image Pre-Training,
    ICCV 2023, eq. 2.

    Features of pairs that probably do not belong together are left out of training, if their
    estimated share is at least 0.05 (``belonging_pairs``).

    Needs pairs and two or more modalities; no labels and no equal sizes. Other samples of the same
    class count as negatives, which lowers class-level mAP and raises instance-level recall. A
    sample that lacks a modality is used in those that it has. Where the validation split has
    labels, the default temperature is higher than in the sources, which aim at instance retrieval:
    it favors class-level mAP. Without labels it is that of the source, and the epoch is chosen by
    the mean recall of the pairs.

    No results on the benchmarks of this field are published.
    """

    name: ClassVar[str] = "infonce"
    supervised: ClassVar[bool] = False
    needs_pairs: ClassVar[bool] = True
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "temperature": Between(0.02, 0.5),
    }

    temperature: float | None = setting(
        None,
        help="Temperature t, or its initial value; None: 0.1 for sigmoid; for softmax 0.5 where"
        " validation has labels, 0.07 without.",
        low=0.01,
    )
    learn_temperature: bool = setting(True, help="Learn the temperature; 1/t stays below 100.")
    objective: Objective = setting(
        "softmax",
        help="Softmax over the batch (InfoNCE), or a sigmoid for each pair (SigLIP).",
        choices=get_args(Objective),
    )

    drop_mismatched: bool = setting(
        True,
        help="Leave out pairs that probably do not belong together, if their share is 0.05 or more;"
        " on features, and with frozen encoders.",
    )

    def prepare(self, train: Dataset, validation: Dataset, run: RunConfig) -> TrainingData:
        """Encode, check and choose as every method, and leave out mismatched pairs.

        Args:
            train: The training split.
            validation: The validation split.
            run: Its callbacks receive the progress of the encoders, and how many are left out.
        """
        data = super().prepare(train, validation, run)
        kept = belonging_pairs(data.train, self.seed) if self.drop_mismatched else None
        if kept is None:  # as always where an encoder is trained: its column is raw
            return data
        left_out = _count_pairs(data.train) - _count_pairs(kept)
        Callbacks(run.callbacks).on_message(
            f"{left_out:,} training pairs probably do not belong together and are left out"
            " (--set drop_mismatched=false keeps them)"
        )
        samples = Samples(kept, data.inputs, data.device, processes=run.processes)
        return _WithoutMismatches(
            **{**vars(data), "train": kept, "samples": samples}, left_out=left_out
        )

    def calibrate(
        self, network: nn.Module, data: TrainingData, history: tuple[EpochRecord, ...]
    ) -> CommonSpace:
        """Return the common space; its provenance says how many pairs were left out."""
        space = super().calibrate(network, data, history)
        if isinstance(data, _WithoutMismatches):
            space.provenance["mismatched"] = data.left_out
        return space

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return a branch for each modality, the learned temperature, and the bias of sigmoid."""
        heads: dict[str, dict[str, Any]] = {}
        if self.learn_temperature:
            heads["scale"] = {"kind": "scale", "temperature": self._temperature(data)}
        if self.objective == "sigmoid":
            heads["bias"] = {"kind": "bias", "value": BIAS}
        return BranchesNetwork(
            BranchesConfig(data.backbones, self.hidden_dim, self.embedding_dim, heads=heads)
        )

    def batch_loss(self, network: nn.Module, batch: Batch, data: TrainingData) -> dict[str, Tensor]:
        """Return the sum of the losses of all pairs of modalities, and the temperature."""
        assert isinstance(network, BranchesNetwork)
        embeddings = batch.outputs(network)
        learned = "scale" in network.heads
        scale = network.heads["scale"]() if learned else torch.tensor(1 / self._temperature(data))
        with torch.autocast(batch.labels.device.type, enabled=False):
            loss = zero_loss(embeddings)
            for one, other in combinations(embeddings, 2):
                first, second = batch.pairs(embeddings, one, other)
                scores = scale * normalize_rows(first) @ normalize_rows(second).T
                if self.objective == "sigmoid":
                    loss = loss + paired_binary_cross_entropy(scores + network.heads["bias"]())
                else:
                    loss = loss + paired_cross_entropy(scores)
        return {"loss": loss, **({"temperature": 1 / scale} if learned else {})}

    def _temperature(self, data: TrainingData) -> float:
        """Return the temperature, or its initial value."""
        if self.temperature is not None:
            return self.temperature
        if self.objective == "sigmoid":
            return 0.1
        return 0.5 if data.validation.labels.any() else 0.07


@dataclass(frozen=True)
class _WithoutMismatches(TrainingData):
    """The data of one fit without some pairs."""

    left_out: int
    """Number of those pairs."""


def _count_pairs(data: Dataset) -> int:
    """Return the number of samples with two modalities or more."""
    present = np.stack([column.present for column in data.columns.values()])
    return int((present.sum(axis=0) >= 2).sum())


def pair_vectors(
    train: Dataset,
    validation: Dataset,
    *,
    seed: int,
    device: str = "auto",
    minutes: float | None = None,
    callbacks: Callbacks | None = None,
) -> Dataset:
    """Return training samples as vectors of a space that is trained on their pairs, one a sample.

    Args:
        train: The training split; columns are features, and each has pairs with another.
        validation: Chooses the epoch.
        seed: Random seed.
        device: Where to train.
        minutes: Time budget; None: no limit.
        callbacks: Receive each epoch as a step.

    Returns:
        The samples with one column of features, the mean of the unit vectors of the modalities that
        a sample has. Samples that are near in it are alike in all modalities, as far as the pairs
        show which differences matter.
    """
    method = InfoNCE(seed=seed, device=device, minutes=minutes)
    with (callbacks or Callbacks()).task("space of the pairs", method.epochs) as task:
        space = method.fit(train, validation, RunConfig(callbacks=(_EpochSteps(task),)))
    total = np.zeros((len(train), space.dimension), dtype=np.float32)
    count = np.zeros((len(train), 1), dtype=np.float32)
    for name, part in space.embed_dataset(train).items():
        rows = train.columns[name].present
        lengths = np.linalg.norm(part.vectors, axis=1, keepdims=True)
        total[rows] += part.vectors / np.maximum(lengths, 1e-12)
        count[rows] += 1
    mean = Features(total / np.maximum(count, 1), count[:, 0] > 0)
    return replace(train, columns={"pair": mean})


class _EpochSteps(Callback):
    """Reports each epoch of a training as a step of the task around it."""

    def __init__(self, task: Callbacks) -> None:
        self._task = task

    def on_epoch_end(self, record: EpochRecord, network: object) -> None:
        self._task.on_advance()
