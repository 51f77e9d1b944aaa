"""Lines of a metadata file that name several images: a sample for each of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from commonspace.data.formats.image_files import Sample
from commonspace.data.formats.metadata import Record
from commonspace.data.vocabulary import is_missing

__all__ = ["column_of_photos", "groups_of", "join_photos", "one_record_for_each"]

_SEVERAL = ("file_names", "photos", "images")
"""Columns that name several images of a line, if there is no file_name."""

ITEM_GROUP = "item_group"
"""Field whose value is equal for the images of one line."""


def column_of_photos(records: Sequence[Record]) -> str | None:
    """Return the column that names several images of a line, in a file without file_name.

    Example:
        >>> column_of_photos([{"photos": "a.jpg"}, {"photos": ["b.jpg", "c.jpg"]}])
        'photos'
    """
    if any(record.get("file_name") is not None for record in records):
        return None
    found = (name for name in _SEVERAL if any(_is_list(one.get(name)) for one in records))
    return next(found, None)


def one_record_for_each(record: Record) -> list[Record]:
    """Return a record for each image that a record names: one, unless it names a list of them.

    Example:
        >>> one_record_for_each({"file_name": ["a.jpg", "b.jpg"], "text": "a hat"})
        [{'file_name': 'a.jpg', 'text': 'a hat'}, {'file_name': 'b.jpg', 'text': 'a hat'}]
    """
    names = record.get("file_name")
    if names == []:
        return [record | {"file_name": None}]
    if not isinstance(names, list) or not _is_list(names):
        return [record]
    return [record | {"file_name": name} for name in dict.fromkeys(names)]


def join_photos(photos: Iterable[Sample]) -> list[Sample]:
    """Return the samples of one line: if they are several, with a common group and own ids.

    Args:
        photos: made of the records of a line.
    """
    samples = list(photos)
    if len(samples) > 1:
        item = samples[0].id or samples[0].file_name
        for number, sample in enumerate(samples, 1):
            sample.rest = {ITEM_GROUP: item, **sample.rest}
            if sample.id is not None and number > 1:
                sample.id = f"{sample.id}#{number}"
    return samples


def groups_of(fields: Mapping[str, list[Any]]) -> list[Any] | None:
    """Return what must not be divided between splits: the given groups, else those of images.

    Args:
        fields: name -> n values.
    """
    given, items = fields.get("group"), fields.get(ITEM_GROUP)
    if given is None or items is None:
        return given if given is not None else items
    own = [None if is_missing(item) else (ITEM_GROUP, item) for item in items]
    return [one if is_missing(group) else group for group, one in zip(given, own, strict=True)]


def _is_list(value: object) -> bool:
    """Return whether a value is a list of one or more file names."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, str) and bool(one.strip()) for one in value)
    )
