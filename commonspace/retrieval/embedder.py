"""Embedder: a space with the encoders of its features, which turns raw items into vectors.

A space that was trained on features reads words and photos only through the same encoder, which is
recognized by its hash.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.cache_folder import default_cache
from commonspace.data import Column, Dataset, Features, Images, Texts
from commonspace.data.encoder_check import check_encoder
from commonspace.encoders import (
    Encoder,
    Extraction,
    Source,
    Vectors,
    encoder_from_spec,
    extract,
    input_reads,
    read_kinds,
)
from commonspace.encoders.remembered import recall_encoder, remember_encoder
from commonspace.encoders.texts import Words
from commonspace.errors import DataError, SettingError
from commonspace.space import CommonSpace

__all__ = ["Embedder", "check_vectors"]


class Embedder:
    """Embeds what a space, or the encoders of its features, can read.

    Args:
        space: the common space.
        encoders: modality -> name of the encoder of its features, as for ``commonspace extract``:
            "st:FOLDER". Each is built when it is first needed.

    Raises:
        SettingError: If an encoder is named for a modality that needs none.
    """

    def __init__(self, space: CommonSpace, encoders: Mapping[str, str]) -> None:
        self.space = space
        for modality in encoders:
            if modality not in space.modalities or not self.reads_features(modality):
                raise SettingError(
                    f"an encoder is named for {modality!r}, which needs none",
                    expected="a modality that the space reads as features",
                    found=", ".join(map(repr, space.modalities)),
                    advice="leave it out",
                )
        self.encoders = dict(encoders)
        self._built: dict[str, tuple[str, Encoder]] = {}

    def reads_features(self, modality: str) -> bool:
        """Return whether the space reads a modality as features."""
        return isinstance(self.space.inputs[modality], Vectors)

    def prepare(
        self, data: Dataset, modality: str, rows: NDArray[np.intp]
    ) -> tuple[Column, Column]:
        """Return entries of a column, and the same in the form that the space reads.

        Args:
            data: the data set.
            modality: one of its columns.
            rows: entries that are present.

        Raises:
            DataError: If the column has another kind or size, or comes from another encoder.
        """
        raw = data.columns[modality].take(rows)
        if isinstance(raw, Features):
            features = self.reads_features(modality)
            check_encoder(self.space.provenance, data, modality, reads_features=features)
        return raw, self.extract(modality, raw)

    def extract(self, modality: str, column: Column) -> Column:
        """Return a column in the form that the space reads: itself, or its features.

        Raises:
            DataError: If an item cannot be read.
            SettingError: If the encoder of the features is not known.
        """
        if isinstance(column, Features) or not self.reads_features(modality):
            return column
        _, encoder = self.encoder(modality)
        settings = Extraction(cache=default_cache())
        made = extract(_data_of(modality, column), {modality: encoder}, settings)
        return made.columns[modality]

    def embed(self, modality: str, column: Column) -> NDArray[np.float32]:
        """Return (n, d) float32 vectors of a column in the form that the space reads.

        Raises:
            DataError: If a vector is not finite.
        """
        vectors = self.space.embed_column(modality, column)
        _check_finite(vectors, modality)
        return vectors

    def texts(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
        """Return (n, d) vectors of n texts, and the probability that each is in distribution.

        They are computed in one pass; see ``CommonSpace.embed_queries``.

        Raises:
            SettingError: If no modality of the space reads text, its encoder is not named, or no
                word of a text is in the vocabulary of the space.
        """
        modality = self.modality_reading("texts")
        input_ = self.space.inputs[modality]
        if isinstance(input_, Words):
            _check_words(input_, texts)
        return self._queries("texts", Texts([(text,) for text in texts]))

    def images(
        self, images: Sequence[Any]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
        """Return (n, d) vectors of n image files, or (h, w, 3) uint8 arrays, as for ``texts``.

        Raises:
            SettingError: If no modality of the space reads images, or its encoder is not named.
            DataError: a file is missing or damaged.
        """
        files = [Path(one) if isinstance(one, str) else one for one in images]
        return self._queries("images", Images(files))

    def reads(self, kind: str) -> bool:
        """Return whether queries can be "texts", or "images"."""
        try:
            self.modality_reading(kind)
        except SettingError:
            return False
        return True

    def encoder(self, modality: str) -> tuple[str, Encoder]:
        """Return what the encoder of a modality reads ("texts" or "images"), and the encoder.

        Raises:
            SettingError: If none is named.
            DataError: If it is not the one that extracted the training features.
        """
        if modality not in self._built:
            self._built[modality] = self._new_encoder(modality)
        return self._built[modality]

    def _queries(
        self, kind: str, column: Column
    ) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
        modality = self.modality_reading(kind)
        if self.reads_features(modality):
            column = Features(self.encoder(modality)[1](column).numpy())
        vectors, inside = self.space.embed_queries(modality, column)
        _check_finite(vectors, modality)
        return vectors, inside

    def modality_reading(self, kind: str) -> str:
        """Return the modality that reads texts or images; "text" or "image" if several do."""
        usual = {"texts": "text", "images": "image"}[kind]
        raw = [name for name, input_ in self.space.inputs.items() if input_reads(input_) == kind]
        names = [*raw, *self.encoders]
        for name in sorted(names, key=lambda one: one != usual):  # builds no encoder in vain
            if name in raw or self.encoder(name)[0] == kind:
                return name
        features = [name for name in self.space.modalities if self.reads_features(name)]
        option = f"--encoder {usual if usual in features else 'MODALITY'}=ENCODER"
        raise SettingError(
            f"the space reads no {kind}",
            expected=f"a space trained on raw {kind}, or the encoder of its features",
            found=", ".join(
                f"{name}: {'features' if name in features else 'raw items'}"
                for name in self.space.modalities
            ),
            advice=f"name the encoder: {option}, as it was given to extract"
            if features
            else "search in another way",
        )

    def _new_encoder(self, modality: str) -> tuple[str, Encoder]:
        spec = self.encoders.get(modality)
        facts = self.space.provenance.get("encoders", {}).get(modality, {})
        if spec is None or not facts.get("sha256"):
            known = f"{facts['name']} ({facts['spec']})" if facts.get("name") else ""
            raise SettingError(
                f"the encoder of {modality!r} is not known",
                expected=known or "a space whose features were made by commonspace extract",
                found="none is named" if spec is None else f"{spec}, which cannot be compared",
                advice=f"name it as it was given to extract: --encoder {modality}=ENCODER"
                if known
                else "search by vector, or extract the features and train again",
            )
        recalled = recall_encoder(default_cache(), spec, facts["sha256"])
        if recalled is not None:
            return "texts", recalled
        found, unread = [], []
        for kind, column in _SAMPLES.items():
            if not _may_read(spec, kind):
                continue
            try:
                encoder = encoder_from_spec(spec, _source(modality, column(), facts))
            except DataError as exc:  # a model of transformers reads only one of them
                unread.append(exc)
                continue
            if encoder.provenance["sha256"] == facts["sha256"]:
                remember_encoder(default_cache(), encoder)
                return kind, encoder
            found.append(f"{encoder.provenance['name']}, {encoder.provenance['sha256'][:12]}…")
        if unread and not found:
            raise unread[0]
        raise DataError(
            f"the encoder of {modality!r} is not the one that made the features of the space",
            expected=f"{facts['name']} ({facts['spec']}), {facts['sha256'][:12]}…",
            found=" or ".join(found) or spec,
            advice="name the same model, from the same files, as it was given to extract",
        )


def _check_finite(vectors: NDArray[np.float32], modality: str) -> None:
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise DataError(
            f"the space returns a vector that is not finite for {modality!r}",
            expected="finite numbers",
            found=f"entry {row} of {len(vectors)}",
            advice="check the values of this item: they may be very different from the"
            " training data",
        )


def _check_words(words: Words, texts: Sequence[str]) -> None:
    known = frozenset(words.vocabulary)
    for text in texts:
        if known.isdisjoint(words.words(text)):
            raise SettingError(
                "none of the words is known to the space",
                expected="words that occur in its training texts",
                found=repr(text)[:60],
                advice="search in other words, or train the space with a pretrained text encoder",
            )


_SAMPLES: dict[str, Callable[[], Column]] = {
    "texts": lambda: Texts([("a word",)]),
    "images": lambda: Images([np.zeros((1, 1, 3), dtype=np.uint8)]),
}


def _may_read(spec: str, kind: str) -> bool:
    """Return whether an encoder may read texts or images; unknown ones are refused later."""
    reads, fitted = read_kinds(spec)
    if fitted:
        raise SettingError(
            f"the encoder {spec!r} cannot be built again from its name",
            expected="one that is not fitted on the training samples",
            found=spec,
            advice="train the space from raw items, so that it contains its encoder:"
            " commonspace train DATA --text textcnn --out RUN",
        )
    return (Texts if kind == "texts" else Images) in reads


def _source(modality: str, column: Column, provenance: Mapping[str, Any]) -> Source:
    """Return the source of an encoder that is built as its provenance says."""
    one = _data_of(modality, column)
    return Source(
        one,
        one,
        modality,
        multi_caption=provenance.get("multi_caption", "concat"),
        input_form=provenance.get("input_form", "crop"),
    )


def _data_of(modality: str, column: Column) -> Dataset:
    """Return a data set of one column."""
    count = len(column)
    return Dataset(
        name=f"some {modality}",
        ids=tuple(map(str, range(count))),
        columns={modality: column},
        labels=np.zeros((count, 0), dtype=bool),
        class_names=(),
        splits=np.full(count, "train"),
    )


def check_vectors(vectors: ArrayLike | Sequence[object], space: CommonSpace) -> NDArray[np.float32]:
    """Return (q, d) float32 query vectors.

    Raises:
        DataError: If they are not finite numbers, are zero, or have another size than the space.
    """
    dimension = space.dimension
    try:
        given = np.asarray(vectors)
        found = f"{given.dtype} of shape {given.shape[1:]}"
        fits = given.ndim == 2 and given.shape[1] == dimension and given.dtype.kind in "fiu"
    except ValueError:
        fits, found = False, "lists of several lengths"
    if not fits:
        raise DataError(
            "a query vector has the wrong shape or type",
            expected=f"{dimension} real numbers, as {space!r} returns them",
            found=found,
            advice="embed the query with the space of the index: index.space.embed(...)",
        )
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(given, dtype=np.float32)
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise DataError(
            "a query vector is not finite",
            expected="finite float32 numbers",
            found=f"{rows[row][~np.isfinite(rows[row])][0]} in row {row}",
            advice="repair or drop it",
        )
    return rows
