"""CommonSpace: embedding, saving and loading, and detection of damaged files."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import commonspace as cs
from commonspace import space_files
from commonspace.calibration import Calibration
from commonspace.data import Dataset, Features
from commonspace.encoders import Vectors
from commonspace.errors import DataError, OutputError, SettingError, SpaceError
from commonspace.methods import LinearProbe
from commonspace.space_files import CONFIG, WEIGHTS


def train(data: Dataset, **options: Any) -> cs.CommonSpace:  # noqa: ANN401
    method = cs.DSCMR(**{"hidden_dim": 16, "embedding_dim": 8, "epochs": 1, **options})
    return method.fit(data.split("train"), data.split("validation"), cs.RunConfig())


@pytest.fixture(scope="module")
def of_feature_dataset(feature_dataset: Dataset) -> cs.CommonSpace:
    return train(feature_dataset)


@pytest.fixture(scope="module")
def of_three_modalities(three_modalities: Dataset) -> cs.CommonSpace:
    return train(three_modalities, preset="official")


@pytest.fixture(scope="module")
def of_raw_dataset(raw_dataset: Dataset) -> cs.CommonSpace:
    return train(raw_dataset)


@pytest.fixture(params=["feature_dataset", "three_modalities", "raw_dataset"])
def pair(request: pytest.FixtureRequest) -> tuple[cs.CommonSpace, Dataset]:
    """A space and the data set that it was fitted on."""
    name = request.param
    return request.getfixturevalue(f"of_{name}"), request.getfixturevalue(name)


def test_a_loaded_space_equals_the_saved_one(
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
    assert config["format"] == 2
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
            np.testing.assert_allclose(vectors, whole, atol=1e-5)
        rows = np.array([5, 0, 11])
        np.testing.assert_allclose(space.embed(name, column.take(rows)), whole[rows], atol=1e-5)


def test_embedding_leaves_the_space_as_it_was(
    of_raw_dataset: cs.CommonSpace, raw_dataset: Dataset
) -> None:
    """Batch norm in its backbone must not be updated, nor dropout active."""
    before = {name: value.clone() for name, value in of_raw_dataset.network.state_dict().items()}
    first = of_raw_dataset.embed("image", raw_dataset.columns["image"])
    second = of_raw_dataset.embed("image", raw_dataset.columns["image"])
    np.testing.assert_array_equal(first, second)
    after = of_raw_dataset.network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_items_may_be_plain_arrays_and_lists(
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


def test_a_batch_size_below_one_is_rejected(of_feature_dataset: cs.CommonSpace) -> None:
    with pytest.raises(SettingError, match="`batch_size` must be >= 1, got 0"):
        of_feature_dataset.embed("image", [], batch_size=0)


def test_a_data_set_is_embedded_where_it_is_present(
    of_feature_dataset: cs.CommonSpace, feature_dataset: Dataset
) -> None:
    image = feature_dataset.columns["image"]
    assert isinstance(image, Features)
    present = np.arange(len(feature_dataset)) % 3 != 0
    gappy = Dataset(
        **{
            **{
                name: getattr(feature_dataset, name)
                for name in ("name", "ids", "labels", "class_names")
            },
            "splits": feature_dataset.splits,
            "columns": {
                "text": feature_dataset.columns["text"],
                "image": Features(image.values, present),
                "sound": Features(np.zeros((len(feature_dataset), 2))),
            },
        }
    )
    embedded = of_feature_dataset.embed_dataset(gappy)
    assert list(embedded) == ["image", "text"], (
        "in the order of the space, without unknown modalities"
    )
    np.testing.assert_array_equal(embedded["image"].rows, np.flatnonzero(present))
    expected = of_feature_dataset.embed("image", image)[present]
    np.testing.assert_allclose(embedded["image"].vectors, expected, atol=1e-5)
    np.testing.assert_array_equal(embedded["text"].rows, np.arange(len(feature_dataset)))


def test_unknown_modalities_are_rejected(
    of_feature_dataset: cs.CommonSpace, raw_dataset: Dataset, feature_dataset: Dataset
) -> None:
    with pytest.raises(SettingError, match="unknown modality 'sound'") as caught:
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
def test_items_of_another_form_are_rejected(name: str, of_feature_dataset: cs.CommonSpace) -> None:
    with pytest.raises(DataError) as caught:
        of_feature_dataset.embed("image", WRONG_FEATURES[name])
    assert caught.value.expected
    assert caught.value.found
    assert caught.value.advice


@pytest.mark.parametrize(("modality", "column"), [("text", "image"), ("image", "text")])
def test_raw_items_of_another_kind_are_rejected(
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


def test_a_missing_device_is_rejected(of_feature_dataset: cs.CommonSpace, tmp_path: Path) -> None:
    of_feature_dataset.save(tmp_path / "run")
    space = cs.load(tmp_path / "run", device=torch.device("cpu"))
    assert next(space.network.parameters()).device.type == "cpu"
    for device in ("abacus", "cuda:99"):
        with pytest.raises(SettingError, match=device):
            cs.load(tmp_path / "run", device=device)


def test_loading_does_not_change_the_random_generator_of_the_caller(
    of_feature_dataset: cs.CommonSpace, tmp_path: Path
) -> None:
    of_feature_dataset.save(tmp_path / "run")
    before = torch.get_rng_state()
    cs.load(tmp_path / "run")
    assert torch.equal(before, torch.get_rng_state())


def test_nothing_is_overwritten(of_feature_dataset: cs.CommonSpace, tmp_path: Path) -> None:
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


def train_probe(data: Dataset) -> cs.CommonSpace:
    return LinearProbe().fit(data.split("train"), data.split("validation"), cs.RunConfig())


@pytest.fixture
def space(feature_dataset: Dataset) -> cs.CommonSpace:
    return train_probe(feature_dataset)


def test_the_fingerprint_survives_saving_and_ignores_the_provenance(
    space: cs.CommonSpace, feature_dataset: Dataset, tmp_path: Path
) -> None:
    space.save(tmp_path / "a")
    loaded = cs.load(tmp_path / "a")
    assert len(space.fingerprint) == 64
    assert loaded.fingerprint == space.fingerprint == train_probe(feature_dataset).fingerprint
    loaded.provenance["note"] = "another"
    assert loaded.fingerprint == space.fingerprint


def test_any_changed_bit_of_a_weight_changes_the_fingerprint(space: cs.CommonSpace) -> None:
    before = space.fingerprint
    for tensor in space.network.state_dict().values():
        flat = tensor.reshape(-1).view(torch.int32)
        for place in (0, len(flat) - 1):
            flat[place] ^= 1
            assert space.fingerprint != before
            flat[place] ^= 1
    assert space.fingerprint == before


def test_everything_that_changes_results_changes_the_fingerprint(space: cs.CommonSpace) -> None:
    parts: dict[str, Any] = {
        "network": space.network,
        "inputs": space.inputs,
        "class_names": space.class_names,
        "provenance": space.provenance,
        "calibration": space.calibration,
    }
    assert cs.CommonSpace(**parts).fingerprint == space.fingerprint
    for change in (
        {"class_names": ("eel", *space.class_names[1:])},
        {"calibration": None},
        {"calibration": Calibration((0.0, 1.0), (0.0, 1.0))},
        {"inputs": dict(reversed(space.inputs.items()))},
    ):
        assert cs.CommonSpace(**(parts | change)).fingerprint != space.fingerprint


def test_without_an_instance_block_queries_stay_unchanged(space: cs.CommonSpace) -> None:
    assert not space.has_instance_block
    vectors = np.arange(8.0).reshape(2, 4)
    np.testing.assert_array_equal(space.as_queries(vectors), vectors.astype(np.float32))
    with pytest.raises(
        SettingError, match="`instance_weight` is not supported by this model"
    ) as caught:
        space.as_queries(vectors, 0.5)
    assert "leave it out" in caught.value.advice
    for wrong in (np.zeros(4), np.zeros((1, 3))):
        with pytest.raises(DataError, match="query embeddings have a wrong shape"):
            space.as_queries(wrong)


def test_every_fitted_space_is_calibrated_on_validation(feature_dataset: Dataset) -> None:
    """The mean probability over all pairs of different samples is about the rate of relevance."""
    space, validation = train_probe(feature_dataset), feature_dataset.split("validation")
    assert space.calibrated
    images, texts = (part.vectors for part in space.embed_dataset(validation).values())
    probabilities = space.relevance(images @ texts.T)
    others = ~np.eye(len(validation), dtype=bool)
    relevant = validation.labels.astype(int) @ validation.labels.T.astype(int) > 0
    assert probabilities.dtype == np.float64
    assert probabilities[others].mean() == pytest.approx(relevant[others].mean(), abs=0.05)
    order = np.argsort((images @ texts.T)[0])
    assert (np.diff(probabilities[0][order]) >= 0).all()


def test_probabilities_survive_saving(space: cs.CommonSpace, tmp_path: Path) -> None:
    space.save(tmp_path / "run")
    scores = np.linspace(-1.5, 1.5, 40)
    np.testing.assert_array_equal(
        cs.load(tmp_path / "run").relevance(scores), space.relevance(scores)
    )


def rewrite(folder: Path, **changes: Any) -> None:  # noqa: ANN401
    config = json.loads((folder / "config.json").read_text("utf-8")) | changes
    config["config_sha256"] = space_files._config_sha256(config)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")


def test_a_space_without_calibration_has_no_relevance(
    space: cs.CommonSpace, tmp_path: Path
) -> None:
    space.calibration = None
    space.save(tmp_path / "old")
    assert "calibration" not in json.loads((tmp_path / "old" / "config.json").read_text("utf-8"))
    loaded = cs.load(tmp_path / "old")
    assert not loaded.calibrated
    with pytest.raises(SettingError, match="this model is not calibrated") as caught:
        loaded.relevance([0.5])
    assert "train it again" in caught.value.advice


@pytest.mark.parametrize(
    "stored",
    [
        {"scores": [0, 1], "probabilities": [1, 0]},
        {"scores": [0, 1]},
        {"scores": [0], "probabilities": [0], "slope": 1},
    ],
)
def test_an_invalid_calibration_is_rejected(
    stored: dict[str, list[float]], space: cs.CommonSpace, tmp_path: Path
) -> None:
    space.save(tmp_path / "run")
    rewrite(tmp_path / "run", calibration=stored)
    with pytest.raises(SpaceError, match="cannot be built"):
        cs.load(tmp_path / "run")


def test_one_class_cannot_be_calibrated(feature_dataset: Dataset) -> None:
    one = feature_dataset.take(np.flatnonzero(feature_dataset.labels[:, 0]))
    assert not train_probe(one).calibrated


def test_keywords_name_the_modality(of_feature_dataset: cs.CommonSpace) -> None:
    items = np.ones((2, 6))
    expected = of_feature_dataset.embed("image", items)
    np.testing.assert_array_equal(of_feature_dataset.embed(image=items), expected)
    wrong: list[tuple[Any, Any]] = [((), {}), (("image",), {}), (("image",), {"text": items})]
    for arguments, named in wrong:
        with pytest.raises(SettingError, match="`embed` takes one modality and its items"):
            of_feature_dataset.embed(*arguments, **named)
    with pytest.raises(SettingError, match="takes one modality"):
        of_feature_dataset.embed(image=items, text=np.ones((2, 5)))


def test_evaluate_takes_the_test_split(
    of_feature_dataset: cs.CommonSpace, feature_dataset: Dataset
) -> None:
    report = of_feature_dataset.evaluate(feature_dataset, k=[5, 10])
    expected = cs.evaluate(of_feature_dataset, feature_dataset.split("test"), k=[5, 10])
    assert dict(report) == dict(expected)
    assert set(report["image->text"]) >= {"map", "map@5", "map@10"}
    train = of_feature_dataset.evaluate(feature_dataset, split="train")
    assert train["image->text"]["queries"] == 40


def test_the_summary_names_method_modalities_and_precision(
    of_feature_dataset: cs.CommonSpace, space: cs.CommonSpace
) -> None:
    precision = of_feature_dataset.precision
    assert precision == of_feature_dataset.provenance["chosen"]["precision"]
    assert precision in ("float32", "bfloat16")
    assert repr(of_feature_dataset) == (
        f"CommonSpace(dscmr, image + text, 8-d, trained in {precision})"
    )
    assert repr(space) == f"CommonSpace({space.method}, image + text, {space.dimension}-d)"
    assert space.precision == ""
    html = of_feature_dataset._repr_html_()
    for text in (
        "dscmr",
        "DSCMRNetwork",
        "image (features), text (features)",
        "points, 40 samples",
        precision,
    ):
        assert text in html


class Scaled(nn.Module):
    """A user-defined network of two modalities with one weight, and tied weights."""

    modalities = ("image", "text")

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension
        self.image = nn.Linear(dimension, dimension)
        self.text = self.image  # tied

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        layer = self.image if modality == "image" else self.text
        return nn.functional.normalize(layer(inputs))

    def to_config(self) -> dict[str, Any]:
        return {"dimension": self.dimension}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Scaled":
        return cls(config["dimension"])


@pytest.fixture
def scaled() -> cs.CommonSpace:
    torch.manual_seed(0)
    return cs.CommonSpace(Scaled(4), {"image": Vectors(4), "text": Vectors(4)}, ["a", "b"])


def test_a_user_defined_network_is_saved_and_loaded_with_its_class(
    scaled: cs.CommonSpace, tmp_path: Path
) -> None:
    scaled.save(tmp_path / "run")
    items = np.random.default_rng(0).normal(size=(5, 4))
    for networks in ({"Scaled": Scaled}, {f"{Scaled.__module__}:Scaled": Scaled}):
        loaded = cs.load(tmp_path / "run", networks=networks)
        assert type(loaded.network) is Scaled
        assert loaded.fingerprint == scaled.fingerprint
        np.testing.assert_array_equal(loaded.embed("text", items), scaled.embed("text", items))
    with pytest.raises(SpaceError, match=f"user-defined, of class {Scaled.__module__}:") as caught:
        cs.load(tmp_path / "run")
    assert 'load(path, networks={"Scaled": Scaled})' in caught.value.expected
    with pytest.raises(SpaceError, match="user-defined") as caught:
        cs.load(tmp_path / "run", networks={"Other": Scaled})
    assert caught.value.found == "Other"


def test_no_code_is_imported_because_a_file_names_it(
    scaled: cs.CommonSpace, tmp_path: Path
) -> None:
    scaled.save(tmp_path / "run")
    config = json.loads((tmp_path / "run" / CONFIG).read_text("utf-8"))
    network = {**config["network"], "module": "evil", "class": "Evil"}
    rewrite(tmp_path / "run", network=network)
    (tmp_path / "evil.py").write_text("open('ran', 'w').close()\nclass Evil: ...\n")
    script = (
        "import commonspace as cs\ntry: cs.load('run')\nexcept cs.CommonspaceError as e: print(e)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "the network is user-defined, of class evil:Evil" in done.stdout
    assert not (tmp_path / "ran").exists()


def test_a_user_defined_network_is_evaluated(
    scaled: cs.CommonSpace, feature_dataset: Dataset
) -> None:
    columns = {name: Features(np.eye(4)[np.arange(80) % 4]) for name in ("image", "text")}
    data = Dataset(
        name="four",
        ids=feature_dataset.ids,
        columns=columns,
        labels=np.eye(4, dtype=bool)[np.arange(80) % 4],
        class_names=("a", "b", "c", "d"),
        splits=feature_dataset.splits,
    )
    assert scaled.evaluate(data).map == pytest.approx(1)


def test_inputs_of_unknown_modalities_are_rejected() -> None:
    with pytest.raises(SettingError, match="a modality that the network does not embed") as caught:
        cs.CommonSpace(Scaled(4), {"sound": Vectors(4)})
    assert caught.value.expected == "'image' or 'text'"


def test_a_network_that_cannot_be_saved_leaves_no_folder(tmp_path: Path) -> None:
    class Bare(nn.Module):
        modalities = ("image",)
        dimension = 2

        def embed(self, modality: str, inputs: Tensor) -> Tensor:
            return inputs

    space = cs.CommonSpace(Bare(), {"image": Vectors(2)})
    with pytest.raises(SettingError, match="a network of class Bare cannot be saved") as caught:
        space.save(tmp_path / "run")
    assert caught.value.found == "no to_config and no from_config"
    assert not (tmp_path / "run").exists()
    with pytest.raises(SettingError, match="cannot be saved"):
        _ = space.fingerprint


def test_arrays_in_place_of_a_dataset_are_rejected(space: cs.CommonSpace) -> None:
    values: Any = {"image": np.ones((2, 6))}
    for use in (
        space.evaluate,
        space.embed_dataset,
        space.plot,
        lambda data: space.search(data, id="a"),
    ):
        for value in (values, values["image"]):
            with pytest.raises(DataError, match="needs a Dataset, got") as caught:
                use(value)
            assert "Dataset.from_arrays" in caught.value.advice
