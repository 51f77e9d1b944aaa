"""Raw items of samples whose features are assessed, and encoders that are trained on them."""

from commonspace.data.columns import Texts
from commonspace.data.dataset import Dataset
from commonspace.data.texts import one_sample_per_text
from commonspace.errors import DataError
from commonspace.space import CommonSpace

__all__ = ["matched_texts", "raw_split", "tuning_note"]

WAYS = {
    "none": "frozen",
    "frozen": "frozen",
    "all": "trained",
    "trained": "trained",
    "both": "trained and frozen side by side",
}


def matched_texts(part: Dataset, items: Dataset, name: str) -> Texts:
    """Return the texts of the samples of a split, by their ids.

    Args:
        part: The split; one sample for each text if it was extracted that way.
        items: Samples with texts, in any order.
        name: Their column.
    """
    if "sample" in part.fields and "sample" not in items.fields:
        items = one_sample_per_text(items)
    rows = {key: row for row, key in enumerate(items.ids)}
    column = items.columns[name]
    assert isinstance(column, Texts)
    found = [rows.get(key) for key in part.ids]
    return Texts(tuple(() if row is None else column.items[row] for row in found))


def raw_split(part: Dataset, items: Dataset, split: str) -> Dataset:
    """Return the raw items of a split, row by row those of its features.

    Args:
        part: The split, with features; one sample for each text if it was extracted that way.
        items: The raw samples.
        split: Name of the split.

    Raises:
        DataError: If the samples differ.
    """
    raw = items.split(split)
    if "sample" in part.fields and "sample" not in raw.fields:
        raw = one_sample_per_text(raw)
    if raw.ids != part.ids:
        raise DataError(
            f"the raw items of the {split} split are not those of its features",
            expected=f"the same {len(part)} samples in the same order",
            found=f"{len(raw)} samples, the first with the id {raw.ids[0]!r}",
            advice="pass the data set that the features were extracted from as `items`",
        )
    return raw


def tuning_note(space: CommonSpace) -> str:
    """Return which encoders validation chose; "" where it had no choice.

    Args:
        space: Fitted with trained encoders.
    """
    found = space.provenance.get("fine_tune", {})
    ways = {"encoders": found} if "chosen" in found else found
    chosen = [f"{name} {WAYS[one['chosen']]}" for name, one in ways.items()]
    return f"chosen on validation: {', '.join(chosen)}" if chosen else ""
