"""Raw items to features on the way to another command: through the cache that extract fills."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from commonspace.cli.extraction_bar import ExtractionBar

if TYPE_CHECKING:
    from commonspace.data import Dataset

__all__ = ["extracted"]


def extracted(
    data: "Dataset",
    specs: Mapping[str, str],
    multi_caption: Literal["mean", "concat", "expand"],
) -> "Dataset":
    """Return the data with features in place of raw items.

    Args:
        data: with raw columns.
        specs: modality -> its encoder in text form.
        multi_caption: what is done where a sample has several.

    Raises:
        DataError: an item cannot be read.
        SettingError: there is no such encoder.
    """
    from commonspace.data.texts import one_row_per_text
    from commonspace.encoders import Extraction, Source, encoder_from_spec, extract
    from commonspace.encoders.cache import default_cache
    from commonspace.machine import choose_device

    data = one_row_per_text(data) if multi_caption == "expand" else data
    train, validation = data.split("train"), data.split("validation")
    encoders = {
        name: encoder_from_spec(spec, Source(train, validation, name, multi_caption))
        for name, spec in specs.items()
    }
    settings = Extraction(device=str(choose_device("auto")), cache=default_cache())
    return extract(data, encoders, settings, ExtractionBar())
