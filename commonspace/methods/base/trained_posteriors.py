"""Posterior matching with trained encoders.

1  fit posterior matching on the features of the frozen encoders
2  put the encoders before the fitted network, and train both, see ``encoder_training``
3  fit posterior matching again on the features of the trained encoders
4  choose for each modality, by the log loss on validation: frozen, trained, or both
"""

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, replace

from torch import Tensor

from commonspace.cache_folder import default_cache
from commonspace.callbacks import Callbacks
from commonspace.data.dataset import Dataset
from commonspace.data.texts import one_sample_per_text
from commonspace.encoders import Encoder, Extraction, Source, extract
from commonspace.encoders.joined import join_encoders as join_features
from commonspace.encoders.specs import resolve_spec
from commonspace.encoders.tuning_form import encoder_for_training
from commonspace.machine import choose_device
from commonspace.methods.base.encoder_config import (
    encode_splits,
    encoder_modules,
    has_weights_to_train,
    join_encoders,
    nothing_to_train,
)
from commonspace.methods.base.encoder_training import (
    FeatureFit,
    Splits,
    TrainedEncoders,
    train_encoders,
)
from commonspace.methods.base.gradient import GradientMethod
from commonspace.methods.base.posterior_loss import (
    calibrate_kernel,
    class_losses,
    weigh_posteriors,
)
from commonspace.space import CommonSpace
from commonspace.training.loop import RunConfig

__all__ = ["FitFeatures", "fit_with_trained_encoders"]

WORTH = 0.005
"""Log loss that training, and a second encoder beside it, must save at least: in nats."""

FitFeatures = Callable[[Dataset, Dataset, tuple[str, ...], Mapping[str, int]], FeatureFit]
"""(train, validation, modalities of trained encoders, leading features that are frozen) -> fit."""


def fit_with_trained_encoders(
    method: GradientMethod, train: Dataset, validation: Dataset, run: RunConfig, fit: FitFeatures
) -> CommonSpace:
    """Train encoders with posterior matching, and return the space that validation prefers.

    With ``fine_tune`` "auto" one encoder is trained, that of the modality with the highest log loss
    on validation, which limits the ranking; frozen encoders are kept if training does not pay.

    Args:
        method: Its encoders name what is trained and how.
        train: The training split.
        validation: The validation split.
        run: Callbacks and checkpoint.
        fit: Fits posterior matching on features.

    Raises:
        SettingError: If no encoder has weights that can be trained.
        DataError: If an item cannot be read.
        TrainingError: If the loss is not finite.
    """
    work = _Work(method, train, validation, run, fit)
    return work.run()


class _Work:
    """One fit with trained encoders."""

    def __init__(
        self,
        method: GradientMethod,
        train: Dataset,
        validation: Dataset,
        run: RunConfig,
        fit: FitFeatures,
    ) -> None:
        self.start = time.monotonic()
        self.method, self.config, self.fit_features = method, method.encoders, fit
        self.given = train.fingerprint
        self.run_config, self.callbacks = run, Callbacks(run.callbacks)
        if self.config.multi_caption == "expand":
            train, validation = one_sample_per_text(train), one_sample_per_text(validation)
        self.raw: Splits = train, validation
        self.config = replace(
            self.config,
            specs={
                name: resolve_spec(spec, self._source(name, self.config.input_form))
                for name, spec in self.config.specs.items()
            },
        )
        self.device = choose_device(method.device)

    def run(self) -> CommonSpace:
        frozen_config = replace(self.config, fine_tune="none")
        first, second, encoders = encode_splits(
            frozen_config,
            *self.raw,
            self.run_config,
            seed=self.method.seed,
            device=self.method.device,
        )
        frozen = first, second
        with encoder_modules(encoders):
            return self._choose(frozen, encoders)

    def _source(self, name: str, input_form: str) -> Source:
        return Source(
            *self.raw,
            name,
            multi_caption=self.config.multi_caption,
            seed=self.method.seed,
            input_form=input_form,
            callback=self.callbacks,
        )

    def _choose(self, frozen: Splits, encoders: Mapping[str, Encoder]) -> CommonSpace:
        base = self.fit_features(*frozen, (), {})
        losses = {"frozen": class_losses(base.network, base.data.validation_samples)}
        names = self._modalities(encoders, losses["frozen"])
        starts = {
            name: encoder_for_training(
                encoders[name],
                self.config.specs[name],
                self._source(name, self.config.tuning_form),
            )
            for name in names
        }
        result = self._train(base, frozen, encoders, starts)
        trained = result.encoders
        losses["frozen"] = _recalibrated_losses(base, names)
        both = {
            name: join_features([encoders[name], trained[name]], self.raw[0], name, self.callbacks)
            for name in names
        }
        counts = {name: encoders[name].size for name in names}
        fits = {
            "frozen": base,
            "trained": self.fit_features(*self._replaced(frozen, trained), names, {}),
            "both": self.fit_features(*self._replaced(frozen, both), names, counts),
        }
        for way in ("trained", "both"):
            losses[way] = class_losses(fits[way].network, fits[way].data.validation_samples)
        chosen = {name: self._best({way: losses[way][name] for way in losses}) for name in names}
        used = {
            name: {"frozen": encoders, "trained": trained, "both": both}[chosen[name]][name]
            if name in chosen
            else encoders[name]
            for name in encoders
        }
        ways = set(chosen.values())
        if len(ways) == 1:
            best = fits[ways.pop()]
        else:
            mixed = self._replaced(frozen, {name: used[name] for name in names})
            best = self.fit_features(
                *mixed,
                tuple(name for name in names if chosen[name] != "frozen"),
                {name: counts[name] for name in names if chosen[name] == "both"},
            )
        return self._finish(best, used, chosen, losses, result)

    def _modalities(
        self, encoders: Mapping[str, Encoder], losses: Mapping[str, Tensor]
    ) -> tuple[str, ...]:
        """Return the modalities whose encoders are trained."""
        able = [name for name, one in encoders.items() if has_weights_to_train(one, self.config)]
        if not able:
            raise nothing_to_train(self.config)
        if self.config.fine_tune == "auto":
            return (max(able, key=lambda name: float(losses[name].mean())),)
        return tuple(able)

    def _replaced(self, features: Splits, encoders: Mapping[str, Encoder]) -> Splits:
        """Return the features with those of other encoders in place of some columns."""
        settings = Extraction(cache=default_cache(), device=str(self.device))
        found = []
        for raw, part in zip(self.raw, features, strict=True):
            columns = {name: raw.columns[name] for name in encoders}
            mixed = replace(part, columns={**part.columns, **columns})
            found.append(extract(mixed, encoders, settings, self.callbacks))
        return found[0], found[1]

    def _train(
        self,
        base: FeatureFit,
        frozen: Splits,
        encoders: Mapping[str, Encoder],
        starts: Mapping[str, Encoder],
    ) -> TrainedEncoders:
        """Return the trained encoders; where they see photos in another form, fit that first."""
        changed = {
            name: start
            for name, start in starts.items()
            if start.provenance["sha256"] != encoders[name].provenance["sha256"]
        }
        first = base
        if changed:
            first = self.fit_features(*self._replaced(frozen, changed), (), {})
        minutes = None
        if self.method.minutes is not None:
            # What was done so far is done once more afterwards, on trained features.
            passed = (time.monotonic() - self.start) / 60
            minutes = max(0.01, self.method.minutes - 2 * passed)
        return train_encoders(
            self.method, self.config, first, starts, frozen, self.raw, self.run_config, minutes
        )

    def _best(self, losses: Mapping[str, Tensor]) -> str:
        """Return "frozen", "trained" or "both".

        Args:
            losses: Way -> (n,) losses of the same samples.
        """
        best = "frozen" if self.config.fine_tune == "auto" else "trained"
        for way in ("trained", "both"):
            saved = losses[best] - losses[way]
            error = float(saved.std()) / len(saved) ** 0.5
            if float(saved.mean()) > max(WORTH, error):
                best = way
        return best

    def _finish(
        self,
        best: FeatureFit,
        encoders: Mapping[str, Encoder],
        chosen: Mapping[str, str],
        losses: Mapping[str, Mapping[str, Tensor]],
        result: TrainedEncoders,
    ) -> CommonSpace:
        """Return the space for raw items, with the choice in its provenance."""
        space = join_encoders(best.space, encoders)
        provenance = space.provenance
        provenance["method"] = {"name": self.method.name, "options": asdict(self.method)}
        provenance["fine_tune"] = {}
        for name, way in chosen.items():
            shown = ", ".join(f"{key} {part[name].mean():.3f}" for key, part in losses.items())
            reason = f"log loss on {len(losses[way][name]):,} validation samples: {shown}"
            wording = {
                "frozen": "stays frozen, training does not pay",
                "trained": "trained",
                "both": "trained and frozen side by side",
            }[way]
            self.callbacks.on_message(f"encoder of {name}: {wording} ({reason})")
            provenance["fine_tune"][name] = {
                "chosen": way,
                "reason": reason,
                "epochs": result.epochs,
                "position": result.positions[name],
                "training": asdict(result.settings),
            }
        provenance["chosen"]["seconds"] = time.monotonic() - self.start
        if self.given != provenance["data"]["fingerprint"]:
            provenance["data"]["given_fingerprint"] = self.given
        return space


def _recalibrated_losses(fit: FeatureFit, names: tuple[str, ...]) -> dict[str, Tensor]:
    """Return the losses with kernel machines calibrated on validation, as those after training."""
    network, validation = deepcopy(fit.network), fit.data.validation_samples
    for name in names:
        calibrate_kernel(network, name, validation)
    weigh_posteriors(network, validation)
    return class_losses(network, validation)
