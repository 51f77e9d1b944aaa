"""The common space: what it embeds, what is saved and loaded, and what damage does to it."""

import errno
import json
import os
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import commonspace as cs
from commonspace import space_files as module
from commonspace.data import Dataset, Features
from commonspace.errors import DataError, OutputError, SettingError, SpaceError

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def fitted(data: Dataset, **options: Any) -> cs.CommonSpace:  # noqa: ANN401
    method = cs.DSCMR(**{"hidden_dim": 16, "embedding_dim": 8, "epochs": 1, **options})
    return method.fit(data.split("train"), data.split("validation"), cs.Run(observers=()))


@pytest.fixture(scope="module")
def of_feature_dataset(feature_dataset: Dataset) -> cs.CommonSpace:
    return fitted(feature_dataset)


@pytest.fixture(scope="module")
def of_three_modalities(three_modalities: Dataset) -> cs.CommonSpace:
    return fitted(three_modalities, variant="released")


@pytest.fixture(scope="module")
def of_raw_dataset(raw_dataset: Dataset) -> cs.CommonSpace:
    return fitted(raw_dataset)


@pytest.fixture(params=["feature_dataset", "three_modalities", "raw_dataset"])
def pair(request: pytest.FixtureRequest) -> tuple[cs.CommonSpace, Dataset]:
    """A space and the data set that it was fitted on."""
    name = request.param
    return request.getfixturevalue(f"of_{name}"), request.getfixturevalue(name)


def test_a_space_comes_back_as_it_was_saved(
    pair: tuple[cs.CommonSpace, Dataset], tmp_path: Path
) -> None:
    space, data = pair
    space.save(tmp_path / "run")
    loaded = cs.load(tmp_path / "run")
    for name, column in data.columns.items():
        np.testing.assert_array_equal(loaded.embed(name, column), space.embed(name, column))
    assert loaded.modalities == space.modalities == data.modalities
    assert loaded.class_names == data.class_names
    assert loaded.dimension == 8
    assert repr(loaded) == repr(space)
    assert loaded.provenance == json.loads(json.dumps(space.provenance))


def test_the_folder_holds_two_files_and_no_pickle(
    of_feature_dataset: cs.CommonSpace, tmp_path: Path
) -> None:
    of_feature_dataset.save(tmp_path / "run")
    assert {file.name for file in (tmp_path / "run").iterdir()} == {CONFIG, WEIGHTS}
    config = json.loads((tmp_path / "run" / CONFIG).read_text("utf-8"))
    assert config["format"] == 1
    assert config["provenance"]["data"]["fingerprint"]
    stored = load_file(tmp_path / "run" / WEIGHTS)
    assert stored.keys() == of_feature_dataset.network.state_dict().keys()


def test_a_loaded_space_can_be_saved_again(of_raw_dataset: cs.CommonSpace, tmp_path: Path) -> None:
    of_raw_dataset.save(tmp_path / "a")
    cs.load(tmp_path / "a").save(tmp_path / "b")
    for name in (CONFIG, WEIGHTS):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_vectors_have_length_one_and_do_not_depend_on_the_batch(
    pair: tuple[cs.CommonSpace, Dataset],
) -> None:
    space, data = pair
    for name, column in data.columns.items():
        whole = space.embed(name, column)
        assert whole.dtype == np.float32
        assert whole.shape == (len(data), 8)
        lengths = np.linalg.norm(whole, axis=1)
        assert np.all(np.isclose(lengths, 1, atol=1e-6) | (lengths == 0))
        assert (lengths > 0).mean() > 0.9
        for size in (1, 7):
            vectors = space.embed(name, column, batch_size=size)
            np.testing.assert_allclose(vectors, whole, atol=2e-6)
        rows = np.array([5, 0, 11])
        np.testing.assert_allclose(space.embed(name, column.take(rows)), whole[rows], atol=2e-6)


def test_embedding_leaves_the_space_as_it_was(
    of_raw_dataset: cs.CommonSpace, raw_dataset: Dataset
) -> None:
    """Normalisation in its backbone must not go on learning, nor its dropout drop."""
    before = {name: value.clone() for name, value in of_raw_dataset.network.state_dict().items()}
    first = of_raw_dataset.embed("image", raw_dataset.columns["image"])
    second = of_raw_dataset.embed("image", raw_dataset.columns["image"])
    np.testing.assert_array_equal(first, second)
    after = of_raw_dataset.network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_items_may_come_plainly(
    of_feature_dataset: cs.CommonSpace,
    of_raw_dataset: cs.CommonSpace,
    feature_dataset: Dataset,
    raw_dataset: Dataset,
) -> None:
    image = feature_dataset.columns["image"]
    assert isinstance(image, Features)
    expected = of_feature_dataset.embed("image", image)
    for items in (image.values, image.values.tolist(), torch.from_numpy(image.values)):
        np.testing.assert_array_equal(of_feature_dataset.embed("image", items), expected)
    texts = raw_dataset.columns["text"]
    plain = [item[0] for item in texts.items]  # type: ignore[attr-defined]
    np.testing.assert_array_equal(
        of_raw_dataset.embed("text", plain), of_raw_dataset.embed("text", texts)
    )


def test_no_items_give_no_vectors(of_feature_dataset: cs.CommonSpace) -> None:
    assert of_feature_dataset.embed("image", np.zeros((0, 6))).shape == (0, 8)


def test_a_batch_size_below_one_is_refused(of_feature_dataset: cs.CommonSpace) -> None:
    with pytest.raises(SettingError, match="batch size"):
        of_feature_dataset.embed("image", [], batch_size=0)


def test_a_data_set_is_embedded_where_it_is_present(
    of_feature_dataset: cs.CommonSpace, feature_dataset: Dataset
) -> None:
    image = feature_dataset.columns["image"]
    assert isinstance(image, Features)
    there = np.arange(len(feature_dataset)) % 3 != 0
    gappy = Dataset(
        **{
            **{
                name: getattr(feature_dataset, name)
                for name in ("name", "ids", "labels", "class_names")
            },
            "splits": feature_dataset.splits,
            "columns": {
                "text": feature_dataset.columns["text"],
                "image": Features(image.values, there),
                "sound": Features(np.zeros((len(feature_dataset), 2))),
            },
        }
    )
    embedded = of_feature_dataset.embed_dataset(gappy)
    assert list(embedded) == ["image", "text"], "in the order of the space, without what it lacks"
    np.testing.assert_array_equal(embedded["image"].rows, np.flatnonzero(there))
    expected = of_feature_dataset.embed("image", image)[there]
    np.testing.assert_allclose(embedded["image"].vectors, expected, atol=2e-6)
    np.testing.assert_array_equal(embedded["text"].rows, np.arange(len(feature_dataset)))


def test_modalities_that_it_does_not_know_are_refused(
    of_feature_dataset: cs.CommonSpace, raw_dataset: Dataset, feature_dataset: Dataset
) -> None:
    with pytest.raises(SettingError, match="does not know this modality") as caught:
        of_feature_dataset.embed("sound", np.zeros((1, 6)))
    assert caught.value.expected == "'image' or 'text'"
    other = feature_dataset.take(np.arange(3))
    renamed = Dataset(
        name="other",
        ids=other.ids,
        columns={"photo": other.columns["image"]},
        labels=other.labels,
        class_names=other.class_names,
        splits=other.splits,
    )
    with pytest.raises(SettingError, match="no modality in common") as caught:
        of_feature_dataset.embed_dataset(renamed)
    assert "'photo'" in caught.value.found
    with pytest.raises(DataError):
        of_feature_dataset.embed_dataset(raw_dataset)


WRONG_FEATURES: dict[str, Any] = {
    "another size": np.zeros((2, 7)),
    "one vector": np.zeros(6),
    "not finite": np.full((2, 6), np.nan),
    "words": ["six words that are no feature"],
    "objects": np.array([[object()] * 6]),
    "complex numbers": np.zeros((2, 6), dtype=complex),
    "ragged": [[1.0] * 6, [1.0] * 5],
}


@pytest.mark.parametrize("name", WRONG_FEATURES)
def test_items_of_another_form_are_refused(name: str, of_feature_dataset: cs.CommonSpace) -> None:
    with pytest.raises(DataError) as caught:
        of_feature_dataset.embed("image", WRONG_FEATURES[name])
    assert caught.value.expected
    assert caught.value.found
    assert caught.value.advice


@pytest.mark.parametrize(("modality", "column"), [("text", "image"), ("image", "text")])
def test_raw_items_of_another_kind_are_refused(
    modality: str,
    column: str,
    of_raw_dataset: cs.CommonSpace,
    raw_dataset: Dataset,
    feature_dataset: Dataset,
) -> None:
    for items in (raw_dataset.columns[column], feature_dataset.columns[column], 3, [3]):
        with pytest.raises(DataError) as caught:
            of_raw_dataset.embed(modality, items)
        assert caught.value.advice


def test_one_raw_item_must_come_in_a_list(
    of_raw_dataset: cs.CommonSpace, raw_dataset: Dataset
) -> None:
    picture = raw_dataset.columns["image"].items[0]  # type: ignore[attr-defined]
    for modality, item in (("text", "a red wall"), ("image", picture)):
        with pytest.raises(DataError, match="sequence"):
            of_raw_dataset.embed(modality, item)


def test_a_device_is_taken_and_one_that_is_not_there_refused(
    of_feature_dataset: cs.CommonSpace, tmp_path: Path
) -> None:
    of_feature_dataset.save(tmp_path / "run")
    space = cs.load(tmp_path / "run", device=torch.device("cpu"))
    assert next(space.network.parameters()).device.type == "cpu"
    for device in ("abacus", "cuda:99"):
        with pytest.raises(SettingError, match=device):
            cs.load(tmp_path / "run", device=device)


def test_loading_draws_nothing_from_the_generator_of_the_caller(
    of_feature_dataset: cs.CommonSpace, tmp_path: Path
) -> None:
    of_feature_dataset.save(tmp_path / "run")
    before = torch.get_rng_state()
    cs.load(tmp_path / "run")
    assert torch.equal(before, torch.get_rng_state())


def test_nothing_is_written_over(of_feature_dataset: cs.CommonSpace, tmp_path: Path) -> None:
    run = tmp_path / "run"
    of_feature_dataset.save(run)
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    for write in (of_feature_dataset.save, of_feature_dataset.write):
        with pytest.raises(OutputError, match=r"already") as caught:
            write(run)
        assert "nothing was changed" in caught.value.advice
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note").write_text("keep")
    with pytest.raises(OutputError, match="already exists"):
        of_feature_dataset.save(tmp_path / "mine")
    of_feature_dataset.write(tmp_path / "mine")  # beside other files, as a training run does
    assert (tmp_path / "mine" / "note").read_text() == "keep"
    assert cs.load(tmp_path / "mine").modalities == of_feature_dataset.modalities


def full(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("moment", [1, 2, 3, 4])
def test_a_full_disk_leaves_no_folder_that_looks_whole(
    moment: int, of_feature_dataset: cs.CommonSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each flush in turn: of the weights, their folder, the config, its folder."""
    flush, calls = os.fsync, 0

    def fsync(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == moment:
            full()
        flush(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OutputError, match="could not be written"):
        of_feature_dataset.save(tmp_path / "run")
    if moment < 4:
        with pytest.raises(SpaceError, match="holds no space"):
            cs.load(tmp_path / "run")
    else:
        assert cs.load(tmp_path / "run").modalities == of_feature_dataset.modalities
    assert not [file for file in (tmp_path / "run").iterdir() if file.name.startswith(".")]


@pytest.fixture
def saved(of_raw_dataset: cs.CommonSpace, tmp_path: Path) -> Path:
    of_raw_dataset.save(tmp_path / "run")
    return tmp_path / "run"


@settings(
    deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from([CONFIG, WEIGHTS]),
    where=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_any_flipped_bit_is_noticed(name: str, where: float, bit: int, saved: Path) -> None:
    path = saved / name
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[int(where * len(content))] ^= 1 << bit
    try:
        path.write_bytes(damaged)
        with pytest.raises(SpaceError) as caught:
            cs.load(saved)
        assert str(path) in caught.value.problem
        assert caught.value.expected
        assert caught.value.advice
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
@pytest.mark.parametrize("share", [0, 0.3, 0.999])
def test_a_truncated_file_is_refused(name: str, share: float, saved: Path) -> None:
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(SpaceError, match=name):
        cs.load(saved)


def test_a_missing_file_is_named(saved: Path, tmp_path: Path) -> None:
    (saved / WEIGHTS).unlink()
    with pytest.raises(SpaceError, match=WEIGHTS):
        cs.load(saved)
    (saved / CONFIG).unlink()
    with pytest.raises(SpaceError, match=f"no {CONFIG}"):
        cs.load(saved)
    (saved / "checkpoint.safetensors").touch()
    with pytest.raises(SpaceError, match="has not ended") as caught:
        cs.load(saved)
    assert "--resume" in caught.value.advice
    with pytest.raises(SpaceError, match="no such folder"):
        cs.load(tmp_path / "elsewhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(SpaceError):
        cs.load(tmp_path / "file")


def test_weights_of_another_space_are_refused(
    saved: Path, raw_dataset: Dataset, tmp_path: Path
) -> None:
    """Even where they would fit."""
    fitted(raw_dataset, seed=1).save(tmp_path / "other")
    (saved / WEIGHTS).write_bytes((tmp_path / "other" / WEIGHTS).read_bytes())
    with pytest.raises(SpaceError, match="belongs to another space"):
        cs.load(saved)


def rewrite(folder: Path, **changes: Any) -> None:  # noqa: ANN401
    """Write a config with other entries and a hash that is right for them."""
    config = json.loads((folder / CONFIG).read_text("utf-8")) | changes
    config["config_sha256"] = module._config_sha256(config)
    (folder / CONFIG).write_text(json.dumps(config), "utf-8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format 2"),
        ({"network": {"kind": "dscmr9", "config": {}}}, "dscmr9"),
        ({"network": {"kind": "dscmr", "config": {"depth": 9}}}, "depth"),
        ({"inputs": {"image": {"kind": "voxels"}}}, "voxels"),
    ],
)
def test_a_space_of_a_newer_version_is_refused_with_advice(
    changes: dict[str, Any], message: str, saved: Path
) -> None:
    rewrite(saved, **changes)
    with pytest.raises(SpaceError, match=message) as caught:
        cs.load(saved)
    assert "version" in caught.value.advice or "update" in caught.value.advice


def test_a_network_of_another_size_than_its_weights_is_refused(saved: Path) -> None:
    network = json.loads((saved / CONFIG).read_text("utf-8"))["network"]
    network["config"]["embedding_dim"] = 9
    rewrite(saved, network=network)
    with pytest.raises(SpaceError, match="cannot build again"):
        cs.load(saved)


@pytest.mark.parametrize("text", ["[]", '"format"', "3", "null", "{}", '{"format": 1}', "\xff"])
def test_json_of_another_form_is_refused(text: str, saved: Path) -> None:
    (saved / CONFIG).write_bytes(text.encode("latin-1"))
    with pytest.raises(SpaceError, match=CONFIG):
        cs.load(saved)


def test_a_config_laid_out_anew_is_the_same_config(saved: Path) -> None:
    """Its hash is of what it says: a formatter does no harm."""
    config = json.loads((saved / CONFIG).read_text("utf-8"))
    text = json.dumps(config, sort_keys=True, ensure_ascii=True)
    (saved / CONFIG).write_text(text, "utf-8")
    assert cs.load(saved).dimension == 8


def test_a_pickle_in_the_place_of_the_weights_is_not_opened(saved: Path) -> None:
    torch.save({"a": torch.zeros(1)}, saved / WEIGHTS)
    rewrite(saved, weights_sha256=module._sha256(saved / WEIGHTS))
    with pytest.raises(SpaceError, match="cannot be read"):
        cs.load(saved)


def test_weights_that_fit_only_in_part_are_refused(saved: Path) -> None:
    weights = load_file(saved / WEIGHTS)
    weights.pop("shared.bias")
    save_file(weights, saved / WEIGHTS)
    rewrite(saved, weights_sha256=module._sha256(saved / WEIGHTS))
    with pytest.raises(SpaceError, match=r"shared\.bias"):
        cs.load(saved)
