"""Encoders that share a space, as they are: cosine of the features, or zero-shot classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from commonspace.data.columns import Features, Texts
from commonspace.data.dataset import Dataset
from commonspace.encoders import Encoder
from commonspace.errors import DataError, SettingError, invalid_setting
from commonspace.methods.base.closed_form import ClosedFormMethod, values_to_try
from commonspace.methods.base.encoder_config import (
    EncoderConfig,
    encode_splits,
    encoder_modules,
    join_encoders,
)
from commonspace.methods.base.method import select_splits
from commonspace.methods.base.zero_shot import TEMPLATE, class_name_vectors
from commonspace.networks.shared_space import SharedSpaceConfig, SharedSpaceNetwork
from commonspace.progress import ProgressBar
from commonspace.settings import setting
from commonspace.space import CommonSpace
from commonspace.training.loop import RunConfig

__all__ = ["RawFeatures", "class_name_vectors"]

TEMPERATURES = (0.01, 0.02, 0.05, 0.1)


class RawFeatures(ClosedFormMethod):
    """The features themselves, L2-normalized: u = x / ||x||.

    It is meaningful if one model embeds all modalities, such as CLIP, and shows what a method adds
    to its features. Report it beside every result: features may have been trained with labels.

    With ``zero_shot=True`` embeddings are class posteriors from the names of the classes,

        p(class | x) = softmax(cos(x, f("a photo of a <class>")) / t)

    with f the encoder of the texts; the score of two items is p'q, the probability of a shared
    class. Source: Radford et al.: Learning Transferable Visual Models From Natural Language
    Supervision, ICML 2021, section 3.1.

    Needs features of one size in all modalities, any number of them, or raw items through frozen
    encoders, which zero-shot needs. Neither pairs nor labels are used, except that validation
    chooses the temperature if it is None. There are no published results.
    """

    name: ClassVar[str] = "raw"

    zero_shot: bool = setting(
        False, help="Embed as class posteriors, from texts that name the classes."
    )
    template: str = setting(TEMPLATE, help="Text that names a class; {} is replaced by the class.")
    temperature: float | None = setting(
        None, help="Temperature t of zero-shot; None: chosen on validation.", above=0
    )
    encoders: EncoderConfig = setting(
        factory=EncoderConfig,
        help="Encoders of raw items, and whether they are trained.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        tuning = self.encoders.fine_tune
        if tuning != "none":
            raise invalid_setting(
                "fine_tune", tuning, "'none' for raw: encoders are used as they are"
            )
        if "{}" not in self.template:
            raise invalid_setting("template", self.template, "a text with {} for the class")

    @property
    def full_name(self) -> str:
        """Name "raw", or "zero-shot"."""
        return "zero-shot" if self.zero_shot else "raw"

    @property
    def supervised(self) -> bool:
        """Labels are not used."""
        return False

    def fit(
        self, train: Dataset, validation: Dataset | None = None, run: RunConfig | None = None
    ) -> CommonSpace:
        """Return the space of the encoders; nothing is trained.

        Args:
            train: The training split, or a data set with a training and a validation split.
            validation: Samples of the same columns; None: those of ``train``.
            run: Its callbacks receive the progress; default: a progress bar.

        Raises:
            DataError: If the sizes of the features differ, or an item cannot be read.
            SettingError: If an encoder spec is wrong, or zero-shot lacks an encoder of texts.
            MissingExtraError: If an encoder needs an optional package.
        """
        if not self.encoders.specs:
            return super().fit(train, validation, run)
        run = run or RunConfig(callbacks=(ProgressBar(),))
        train, validation = select_splits(train, validation)
        texts = [name for name, column in train.columns.items() if isinstance(column, Texts)]
        train, validation, encoders = encode_splits(
            self.encoders, train, validation, run, seed=0, device="auto"
        )
        with encoder_modules(encoders):
            reader = next((encoders[name] for name in texts if name in encoders), None)
            vectors = self._class_vectors(reader, train) if self.zero_shot else None
            space = self.search(
                train, validation, run, lambda part: _Problem(_sizes(part), vectors)
            )
            return join_encoders(space, encoders)

    def fit_features(
        self,
        train: Dataset,
        validation: Dataset,
        class_vectors: NDArray[np.float32],
        run: RunConfig | None = None,
    ) -> CommonSpace:
        """Return the zero-shot space of features whose class vectors are known.

        Args:
            train: The training split; columns are features.
            validation: Chooses the temperature.
            class_vectors: (c, size) float32, see ``class_name_vectors``.
            run: Its callbacks receive each temperature.

        Raises:
            DataError: If a column is raw, or sizes or the number of classes differ.
        """
        expected = (len(train.class_names), *set(_sizes(train).values()))
        if class_vectors.shape != expected:
            raise DataError(
                "the vectors of the classes do not match the features",
                expected=f"shape {expected}: the classes, and the size of the features",
                found=f"shape {class_vectors.shape}",
                advice="embed the names of the classes by the encoder of the texts",
            )
        vectors = torch.from_numpy(np.ascontiguousarray(class_vectors, dtype=np.float32))
        asked = replace(self, zero_shot=True)
        return asked.search(
            train, validation, run or RunConfig(), lambda part: _Problem(_sizes(part), vectors)
        )

    def prepare(self, train: Dataset) -> "_Problem":
        """Return the size of the features of each modality.

        Raises:
            DataError: If the sizes differ.
            SettingError: If zero-shot has no encoders, which read the names of the classes.
        """
        if self.zero_shot:
            raise _without_text_encoder("features")
        return _Problem(_sizes(train), None)

    def candidates(self, problem: "_Problem") -> Sequence["RawFeatures"]:
        """Return every temperature of zero-shot."""
        if problem.class_vectors is None:
            return [self]
        values = values_to_try(self.temperature, TEMPERATURES)
        return [replace(self, temperature=value) for value in values]

    def solve(self, problem: "_Problem") -> SharedSpaceNetwork:
        """Return the network of the features as they are, or of the classes."""
        vectors = problem.class_vectors
        backbones = {
            name: {"kind": "vectors", "size": size} for name, size in problem.sizes.items()
        }
        if vectors is None:
            return SharedSpaceNetwork(SharedSpaceConfig(backbones))
        assert self.temperature is not None
        network = SharedSpaceNetwork(SharedSpaceConfig(backbones, len(vectors), self.temperature))
        network.set_classes(vectors)
        return network

    def _class_vectors(self, encoder: Encoder | None, train: Dataset) -> Tensor:
        """Return (c, size), the features of the texts that name the classes."""
        if not train.class_names:
            raise DataError(
                f"{train.name!r} has no classes to name",
                expected="the names of the classes, from a label column",
                found="none",
                advice="leave zero_shot out to compare the features themselves",
            )
        if encoder is None:
            raise _without_text_encoder(", ".join(self.encoders.specs.values()))
        return class_name_vectors(encoder, train.class_names, self.template)


@dataclass(frozen=True)
class _Problem:
    """Sizes of the features, and for zero-shot the vectors of the classes."""

    sizes: Mapping[str, int]
    class_vectors: Tensor | None


def _sizes(train: Dataset) -> dict[str, int]:
    """Return the size of the features of each modality, all of which are equal."""
    sizes = {
        name: column.size for name, column in train.columns.items() if isinstance(column, Features)
    }
    if len(set(sizes.values())) > 1:
        raise DataError(
            f"the raw features of {train.name!r} cannot be compared",
            expected="one size in all modalities, as from a model that embeds all of them",
            found=", ".join(f"{name!r}: {size}" for name, size in sizes.items()),
            advice="use a method that trains a common space; the baseline is linear-probe",
        )
    return sizes


def _without_text_encoder(found: str) -> SettingError:
    return SettingError(
        "`zero_shot` needs an encoder of texts, which reads the names of the classes",
        expected="raw items with an encoder for each modality, such as --image hf:FOLDER --text"
        " hf:FOLDER",
        found=found,
        advice="name the encoders, or leave zero_shot out",
    )
