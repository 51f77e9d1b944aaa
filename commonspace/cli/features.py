"""Features of raw items for other commands, through the cache that all commands share."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from commonspace.progress import ProgressBar

if TYPE_CHECKING:
    from commonspace.data import Dataset

__all__ = ["extracted"]


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
    return extract(data, encoders, settings, bar)
