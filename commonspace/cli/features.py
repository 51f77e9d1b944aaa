"""Features of raw items for other commands, through the cache that all commands share."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from commonspace.progress import ProgressBar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from commonspace.data import Dataset
    from commonspace.encoders import Encoder

__all__ = ["extracted", "extracted_with_names"]


def extracted(
    data: "Dataset",
    specs: Mapping[str, str],
    multi_caption: Literal["mean", "concat", "expand"],
    input_form: str = "auto",
) -> "Dataset":
    """Return the data set with features in place of raw items.

    Args:
        data: with raw columns.
        specs: modality -> name of its encoder.
        multi_caption: what becomes of samples with several texts.
        input_form: how image encoders see a photo.

    Raises:
        DataError: If an item cannot be read.
        SettingError: If there is no such encoder.
    """
    return _extract(data, specs, multi_caption, input_form)[0]


def extracted_with_names(
    data: "Dataset",
    specs: Mapping[str, str],
    multi_caption: Literal["mean", "concat", "expand"],
    input_form: str = "auto",
) -> "tuple[Dataset, NDArray[np.float32] | None]":
    """Return what ``extracted`` does, and the features of texts that name the classes.

    The second is None where modalities have features of several sizes, or no encoder reads texts:
    then the names of the classes cannot be compared with the items.

    Raises:
        DataError, SettingError: As for ``extracted``.
    """
    from commonspace.data import Features, Texts
    from commonspace.methods.raw_features import class_name_vectors

    found, encoders = _extract(data, specs, multi_caption, input_form)
    sizes = {one.size for one in found.columns.values() if isinstance(one, Features)}
    readers = [encoders[name] for name in encoders if isinstance(data.columns[name], Texts)]
    if len(sizes) > 1 or not readers or len(found.columns) < 2 or not data.class_names:
        return found, None
    return found, class_name_vectors(readers[0], data.class_names).numpy()


def _extract(
    data: "Dataset",
    specs: Mapping[str, str],
    multi_caption: Literal["mean", "concat", "expand"],
    input_form: str,
) -> "tuple[Dataset, dict[str, Encoder]]":
    from commonspace.cache_folder import default_cache
    from commonspace.data.texts import one_sample_per_text
    from commonspace.encoders import Extraction, Source, encoder_from_spec, extract
    from commonspace.machine import choose_device

    data = one_sample_per_text(data) if multi_caption == "expand" else data
    train, validation = data.split("train"), data.split("validation")
    bar = ProgressBar()
    encoders = {
        name: encoder_from_spec(
            spec,
            Source(
                train,
                validation,
                name,
                multi_caption=multi_caption,
                input_form=input_form,
                callback=bar,
            ),
        )
        for name, spec in specs.items()
    }
    settings = Extraction(device=str(choose_device("auto")), cache=default_cache())
    return extract(data, encoders, settings, bar), encoders
