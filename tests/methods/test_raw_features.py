"""Raw features against their cosine."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import commonspace as cs
from commonspace.data import Dataset, Features
from commonspace.errors import DataError, SettingError
from commonspace.methods import EncoderConfig, RawFeatures
from commonspace.methods.raw_features import class_name_vectors

QUIET = cs.RunConfig()


def test_raw_features_are_compared_by_their_cosine(feature_dataset: Dataset) -> None:
    values = feature_dataset.columns["text"].values  # type: ignore[attr-defined]
    images = feature_dataset.columns["image"].values  # type: ignore[attr-defined]
    columns = {"image": Features(images[:, :5]), "text": Features(values)}
    data = replace(feature_dataset, columns=columns)
    space = RawFeatures().fit(data.split("train"), data.split("validation"), QUIET)
    embedded = space.embed_dataset(data)
    for name, column in columns.items():
        expected = column.values / np.linalg.norm(column.values, axis=1, keepdims=True)
        np.testing.assert_allclose(embedded[name].vectors, expected, atol=1e-5)


def test_raw_features_of_different_sizes_are_refused(feature_dataset: Dataset) -> None:
    with pytest.raises(DataError, match="cannot be compared") as caught:
        RawFeatures().fit(
            feature_dataset.split("train"), feature_dataset.split("validation"), QUIET
        )
    assert caught.value.found == "'image': 6, 'text': 5"


def shared(clip: Path, **options: Any) -> EncoderConfig:  # noqa: ANN401
    specs = {"image": f"hf:{clip}", "text": f"hf:{clip}"}
    return EncoderConfig(specs, input_form="crop", **options)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return found


def test_encoders_of_one_space_embed_raw_items_as_they_are(
    raw_dataset: Dataset, clip: Path, tmp_path: Path
) -> None:
    from commonspace.encoders.huggingface import image_encoder, text_encoder

    space = RawFeatures(encoders=shared(clip)).fit(raw_dataset, run=QUIET)
    test = raw_dataset.split("test")
    found = space.embed_dataset(test)
    readers = {"image": image_encoder(str(clip)), "text": text_encoder(str(clip))}
    for name, column in test.columns.items():
        expected = unit(readers[name](column).numpy())
        np.testing.assert_allclose(found[name].vectors, expected, atol=1e-5)
    space.save(tmp_path / "space")
    twin = cs.load(tmp_path / "space")
    np.testing.assert_allclose(
        twin.embed("text", ["a red wall"]), space.embed("text", ["a red wall"]), atol=1e-6
    )


def test_zero_shot_classes_are_the_nearest_prompts(
    raw_dataset: Dataset, clip: Path, tmp_path: Path
) -> None:
    space = RawFeatures(
        zero_shot=True, template="a {} wall", temperature=0.2, encoders=shared(clip)
    ).fit(raw_dataset, run=QUIET)
    plain = RawFeatures(encoders=shared(clip)).fit(raw_dataset, run=QUIET)
    prompts = plain.embed("text", [f"a {name} wall" for name in raw_dataset.class_names])
    test = raw_dataset.split("test")
    for name, part in plain.embed_dataset(test).items():
        logits = part.vectors @ prompts.T / 0.2
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        found = space.embed_dataset(test)[name].vectors
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert space.provenance["method"]["name"] == "zero-shot"
    assert space.dimension == len(raw_dataset.class_names)
    own = space.embed("text", ["a green wall"])[0]
    assert own.argmax() == raw_dataset.class_names.index("green")
    space.save(tmp_path / "space")
    twin = cs.load(tmp_path / "space")
    np.testing.assert_allclose(
        twin.embed("text", ["a wall"]), space.embed("text", ["a wall"]), rtol=1e-4
    )


def test_the_temperature_of_zero_shot_is_chosen_on_validation(
    raw_dataset: Dataset, clip: Path
) -> None:
    space = RawFeatures(zero_shot=True, encoders=shared(clip)).fit(raw_dataset, run=QUIET)
    tried = [one["settings"]["temperature"] for one in space.provenance["tried"]]
    assert tried == [0.01, 0.02, 0.05, 0.1]


def test_zero_shot_needs_an_encoder_of_texts_and_a_template(
    raw_dataset: Dataset, feature_dataset: Dataset, clip: Path
) -> None:
    with pytest.raises(SettingError, match="needs an encoder of texts"):
        RawFeatures(zero_shot=True).fit(feature_dataset, run=QUIET)
    with pytest.raises(SettingError, match="template"):
        RawFeatures(template="a photo")
    with pytest.raises(SettingError, match="fine_tune"):
        RawFeatures(encoders=shared(clip, fine_tune="all"))


def test_zero_shot_of_features_is_that_of_raw_items(raw_dataset: Dataset, clip: Path) -> None:
    from commonspace.encoders.huggingface import image_encoder, text_encoder

    readers = {"image": image_encoder(str(clip)), "text": text_encoder(str(clip))}
    columns = {
        name: Features(readers[name](column).numpy())
        for name, column in raw_dataset.columns.items()
    }
    data = replace(raw_dataset, columns=columns)
    vectors = class_name_vectors(readers["text"], data.class_names, "a {} wall").numpy()
    found = RawFeatures(temperature=0.2).fit_features(
        data.split("train"), data.split("validation"), vectors
    )
    expected = RawFeatures(
        zero_shot=True, template="a {} wall", temperature=0.2, encoders=shared(clip)
    ).fit(raw_dataset, run=QUIET)
    raw = expected.embed_dataset(raw_dataset.split("test"))
    for name, part in found.embed_dataset(data.split("test")).items():
        np.testing.assert_allclose(part.vectors, raw[name].vectors, atol=1e-5)
    with pytest.raises(DataError, match="vectors of the classes"):
        RawFeatures().fit_features(data.split("train"), data.split("validation"), vectors[:-1])
