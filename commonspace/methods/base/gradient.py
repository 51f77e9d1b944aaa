"""Base class of the methods that train a network by gradient descent."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, fields, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from commonspace.callbacks import Callbacks, EpochRecord
from commonspace.data.dataset import Dataset
from commonspace.encoders import Encoder
from commonspace.machine import choose_device, choose_precision, versions
from commonspace.methods.base.encoder_config import (
    EncoderConfig,
    encode_splits,
    encoder_modules,
    has_weights_to_train,
    join_encoders,
    photo_changes,
)
from commonspace.methods.base.fine_tuning import (
    fit_frozen_or_tuned,
    tune_encoders,
    tuning_settings,
)
from commonspace.methods.base.hyperparameters import SearchSpace
from commonspace.methods.base.method import (
    calibrate_scores,
    check_splits,
    describe_split,
    select_splits,
)
from commonspace.methods.base.search_defaults import set_text_weight
from commonspace.methods.base.training_data import (
    TrainingData,
    branch_start,
    check_columns,
    check_pairs,
)
from commonspace.networks.backbones.lora import merge_lora
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.progress import ProgressBar
from commonspace.settings import Precision, Settings, declared, setting
from commonspace.space import CommonSpace
from commonspace.training.batch import Batch
from commonspace.training.loop import RunConfig, chosen_epoch, epoch_seed, train
from commonspace.training.samples import Samples
from commonspace.training.settings import NetworkSettings, TrainingSettings
from commonspace.training.validation import ValidationScore

__all__ = ["GradientMethod", "TrainingData", "zero_loss"]


class GradientMethod(Settings):
    """Base of the methods that train a network by gradient descent.

    ``fit`` runs four steps, which a subclass may override:

        prepare        encode raw columns, check the splits, choose input and backbones
        build_network  by default a `BranchesNetwork`: a backbone and a hidden layer a modality
        train          minimize the loss; the best epoch on validation is kept
        calibrate      the common space, with scores calibrated to probabilities

    A method of your own needs no more than a loss. Its fields are its settings, without a
    decorator:

        class CenterLoss(cs.GradientMethod):
            margin: float = 0.2

            def loss(self, embeddings, labels):
                centers = {name: labels.T @ z for name, z in embeddings.items()}
                ...

    Override ``batch_loss`` in place of ``loss`` to use samples that lack a modality, training-only
    heads of the network, or several loss terms.
    """

    name: ClassVar[str] = ""
    """Name in the provenance of a space and in messages; by default that of the class."""
    supervised: ClassVar[bool] = True
    """Whether the loss uses the labels of the training split."""
    needs_pairs: ClassVar[bool] = False
    """Whether each modality needs samples that have another modality too."""
    search_space: ClassVar[SearchSpace] = {}
    """Setting -> values that hyperparameter search may try."""

    seed: int = declared(TrainingSettings, "seed")
    epochs: int = declared(TrainingSettings, "epochs", 100)
    patience: int | None = declared(TrainingSettings, "patience", 20)
    batch_size: int = declared(TrainingSettings, "batch_size", 100)
    learning_rate: float = declared(TrainingSettings, "learning_rate", 1e-4)
    hidden_dim: int = declared(NetworkSettings, "hidden_dim")
    embedding_dim: int = declared(NetworkSettings, "embedding_dim")
    device: str = declared(TrainingSettings, "device")
    precision: Precision = declared(TrainingSettings, "precision")
    accumulate: int = declared(TrainingSettings, "accumulate")
    minutes: float | None = declared(TrainingSettings, "minutes")
    encoders: EncoderConfig = setting(
        factory=EncoderConfig,
        help="Encoders of raw items, and whether they are trained.",
    )

    def fit(
        self, train: Dataset, validation: Dataset | None = None, run: RunConfig | None = None
    ) -> CommonSpace:
        """Fit a common space; the epoch is chosen on the validation split.

        Args:
            train: The training split, or a data set with a training and a validation split.
            validation: Samples of the same columns; None: those of ``train``.
            run: Callbacks and checkpoint; default: a progress bar and no checkpoint.

        Raises:
            DataError: If the splits lack modalities, labels or pairs, or do not match.
            TrainingError: If the loss is not finite, or does not depend on the weights.
            SpaceError: If there is no usable checkpoint to resume from.
            MissingExtraError: If an encoder needs an optional package.
        """
        run = run or RunConfig(callbacks=(ProgressBar(),))
        train, validation = select_splits(train, validation)
        if self.encoders.fine_tune == "auto":
            return fit_frozen_or_tuned(self, train, validation, run)
        data = self.prepare(train, validation, run)
        with encoder_modules(data.encoders) if data.encoders else nullcontext():
            network, history = (
                tune_encoders(self, data, run) if data.tuned else self.fit_network(data, run)
            )
            return self.calibrate(network, data, history)

    def fit_network(
        self, data: TrainingData, run: RunConfig
    ) -> tuple[nn.Module, tuple[EpochRecord, ...]]:
        """Build a network from initial weights of the seed, and train it.

        Args:
            data: What ``prepare`` returned.
            run: Callbacks and checkpoint.

        Returns:
            The network, and the record of each epoch.
        """
        with _initial_weights(self.seed):
            network = self.build_network(data)
        return network, self.train(network, data, run)

    def prepare(self, train: Dataset, validation: Dataset, run: RunConfig) -> TrainingData:
        """Encode raw columns, check the splits, and choose input and backbone of each branch.

        Args:
            train: The training split.
            validation: The validation split.
            run: Its callbacks receive the progress of the encoders.
        """
        fingerprint = train.fingerprint
        encoders: dict[str, Encoder] = {}
        if self.encoders.specs or self.encoders.multi_caption == "expand":
            # The first process encodes, and the others read what it cached.
            with run.processes.first_alone() if run.processes else nullcontext():
                train, validation, encoders = encode_splits(
                    self.encoders, train, validation, run, seed=self.seed, device=self.device
                )
        check_columns(train)
        if self.needs_pairs:
            check_pairs(train)
        tuned = tuple(
            name for name, one in encoders.items() if has_weights_to_train(one, self.encoders)
        )
        branches = {
            name: (encoders[name].input, dict(encoders[name].backbone_config))
            if name in tuned
            else branch_start(column)
            for name, column in train.columns.items()
        }
        check_splits(train, validation, supervised=self.supervised)
        inputs = {name: input_ for name, (input_, _) in branches.items()}
        device, callbacks = choose_device(self.device), Callbacks(run.callbacks)
        changes = photo_changes(train, {name: encoders[name] for name in tuned})
        return TrainingData(
            train,
            validation,
            inputs,
            {name: backbone for name, (_, backbone) in branches.items()},
            encoders,
            tuned,
            device,
            Samples(
                train,
                inputs,
                device,
                callback=callbacks,
                changes=changes,
                processes=run.processes,
            ),
            Samples(validation, inputs, device, callback=callbacks, processes=run.processes),
            fingerprint,
        )

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return the network with initial weights, drawn from torch's global generator.

        Args:
            data: Names the modalities and their backbones.
        """
        return BranchesNetwork(
            BranchesConfig(
                data.backbones, hidden_dim=self.hidden_dim, embedding_dim=self.embedding_dim
            )
        )

    def loss(self, embeddings: dict[str, Tensor], labels: Tensor) -> Tensor:
        """Return the loss of the complete samples of a batch, those with every modality.

        Args:
            embeddings: Modality -> (n, d) float32, L2-normalized by the default network; row i of
                each belongs to the same sample.
            labels: (n, c) float32, 1 where a sample has a class; a row of zeros is unlabeled.

        Returns:
            A scalar.
        """
        raise NotImplementedError(f"{type(self).__name__} defines neither loss nor batch_loss")

    def batch_loss(self, network: nn.Module, batch: Batch, data: TrainingData) -> dict[str, Tensor]:
        """Return the loss of a batch and its terms; by default ``loss`` of complete samples.

        Args:
            network: What ``build_network`` returned.
            batch: Some samples of the training split.
            data: The data of this fit.

        Returns:
            Scalars by name: "loss", which is minimized, and terms to be shown.
        """
        complete = torch.stack(list(batch.present.values())).all(dim=0)
        outputs = batch.outputs(
            lambda inputs: {name: network.embed(name, x) for name, x in inputs.items()}  # type: ignore[operator]
        )
        embeddings = {name: u[complete[batch.present[name]]] for name, u in outputs.items()}
        with torch.autocast(batch.labels.device.type, enabled=False):
            if not complete.any():
                return {"loss": zero_loss(embeddings)}
            return {"loss": self.loss(embeddings, batch.labels[complete])}

    def train(
        self, network: nn.Module, data: TrainingData, run: RunConfig, passed: float = 0.0
    ) -> tuple[EpochRecord, ...]:
        """Minimize the loss and leave the network with the weights of the epoch that is kept.

        Args:
            network: With initial weights.
            data: The data of this fit.
            run: Callbacks and checkpoint.
            passed: Minutes of the time budget that have passed.

        Returns:
            The record of each epoch.
        """
        network.to(data.device)
        settings = self.training_settings(data)
        if settings.minutes is not None:
            settings = replace(settings, minutes=max(0.01, settings.minutes - passed))
        history = train(
            network,
            lambda network, batch: self.batch_loss(network, batch, data),
            data.samples,
            self.scorer(data),
            settings,
            run,
            json.dumps(self._provenance(data)),
            ValidationScore(data.validation_samples).metric,
        )
        merge_lora(network)
        return history

    def scorer(self, data: TrainingData) -> Callable[[nn.Module], float]:
        """Return the function that scores a network on validation, after ``after_epoch``.

        Args:
            data: The data of this fit.
        """
        score = ValidationScore(data.validation_samples)

        def validate(network: nn.Module) -> float:
            self.after_epoch(network, data)
            return score(network)

        return validate

    def after_epoch(self, network: nn.Module, data: TrainingData) -> None:
        """Set weights that are not trained by gradient, before each validation; default: none.

        Args:
            network: Its weights are set in place.
            data: The data of this fit.
        """

    def training_settings(self, data: TrainingData) -> TrainingSettings:
        """Return the settings of the training loop.

        Args:
            data: The data of this fit, on which they may depend.
        """
        own = {one.name for one in fields(self)}
        settings = TrainingSettings(
            **{
                one.name: getattr(self, one.name)
                for one in fields(TrainingSettings)
                if one.name in own
            }
        )
        if not data.tuned:
            return settings
        backbones = [data.encoders[name].backbone for name in data.tuned]
        return tuning_settings(settings, self.encoders, backbones)

    def calibrate(
        self, network: nn.Module, data: TrainingData, history: tuple[EpochRecord, ...]
    ) -> CommonSpace:
        """Return the common space, with scores calibrated on the validation split.

        Args:
            network: Trained.
            data: The data of this fit.
            history: The record of each epoch.
        """
        settings = self.training_settings(data)
        best = chosen_epoch(history, settings)
        provenance = self._provenance(data)
        provenance["chosen"] = {
            "by": f"validation {best.metric}, the mean over all directions"
            if settings.schedule == "constant"
            else "the end of the cycle",
            "epoch": best.epoch,
            "epochs": len(history),
            "metric": best.metric,
            "validation_score": best.validation_score,
            "seconds": history[-1].seconds,
            "device": data.device.type,
            "precision": str(choose_precision(settings.precision, data.device)).split(".")[-1],
        }
        space = CommonSpace(network, data.inputs, data.train.class_names, provenance)
        self.choose_defaults(space, data.validation_samples.embed(network), data)
        if data.fingerprint != data.train.fingerprint:
            space.provenance["data"]["given_fingerprint"] = data.fingerprint
        kept = {name: one for name, one in data.encoders.items() if name not in data.tuned}
        return join_encoders(space, kept) if kept else space

    def choose_defaults(
        self, space: CommonSpace, embeddings: Mapping[str, NDArray[np.float32]], data: TrainingData
    ) -> None:
        """Set the calibration and the defaults of search of a new space, in place.

        Args:
            space: The space of the trained network.
            embeddings: Modality -> (n_m, d), of the validation samples that have it.
            data: The data of this fit.
        """
        calibrate_scores(space, embeddings, data.validation)
        set_text_weight(space, embeddings, data.validation)

    def _provenance(self, data: TrainingData) -> dict[str, Any]:
        return {
            "method": {"name": self.name or type(self).__name__, "options": asdict(self)},
            "training": asdict(self.training_settings(data)),
            "data": describe_split(data.train),
            "validation": describe_split(data.validation),
            "encoders": {
                **data.train.provenance.get("encoders", {}),
                **{name: data.encoders[name].provenance for name in data.tuned},
            },
            "versions": versions(),
        }


def zero_loss(values: Mapping[str, Tensor]) -> Tensor:
    """Return 0 with a gradient of zeros: the loss of a batch that a method cannot use.

    Args:
        values: Modality -> (n_m, d), the outputs of the network.
    """
    return torch.stack([u.sum() * 0 for u in values.values()]).sum()


@contextmanager
def _initial_weights(seed: int) -> Iterator[None]:
    """Seed torch's global generator for the block."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(epoch_seed(seed, 0))
        yield
