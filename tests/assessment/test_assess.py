"""An assessment: its figures are those of evaluate, and the test split decides nothing."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import commonspace as cs
from commonspace.assessment import Assessment, write_assessment
from commonspace.cli.main import build
from commonspace.data import Dataset, Features, Texts
from commonspace.errors import DataError, SettingError
from commonspace.methods import LinearProbe, Method, PosteriorMatching, RawFeatures

SMALL = PosteriorMatching(hidden_dim=16, embedding_dim=8, epochs=4)
METHODS: dict[str, Method] = {
    "encoders as they are": RawFeatures(),
    "linear probe": LinearProbe(),
    "posterior matching": SMALL,
}


@pytest.fixture(scope="module")
def assessed(feature_dataset: Dataset) -> Assessment:
    return cs.assess(feature_dataset, methods=METHODS, callbacks=())


def test_the_figures_are_those_of_evaluate(assessed: Assessment, feature_dataset: Dataset) -> None:
    space = LinearProbe().fit(feature_dataset, run=cs.RunConfig())
    report = space.evaluate(feature_dataset, split="test", pairs=True)
    line = next(one for one in assessed.methods if one.name == "linear probe")
    assert line.map.mean == pytest.approx(report.map)
    assert line.map.low <= line.map.mean <= line.map.high
    assert report.pairs is not None
    assert line.recall == pytest.approx(report.pairs["average"]["R@10"])
    assert line.validation == pytest.approx(space.evaluate(feature_dataset, split="validation").map)
    assert line.bytes == 4 * 4


def test_methods_that_do_not_suit_the_data_are_named(assessed: Assessment) -> None:
    assert "raw features" in assessed.skipped["encoders as they are"]
    assert "no texts" in assessed.skipped["keyword search (BM25)"]
    assert [one.name for one in assessed.methods] == [
        "chance", "linear probe", "posterior matching",
    ]  # fmt: skip


def test_nothing_is_chosen_on_test(assessed: Assessment, feature_dataset: Dataset) -> None:
    test = feature_dataset.splits == "test"
    labels = feature_dataset.labels.copy()
    labels[test] = np.random.default_rng(1).permutation(labels[test])
    other = cs.assess(replace(feature_dataset, labels=labels), methods=METHODS, callbacks=())
    assert [one.chosen for one in other.methods] == [one.chosen for one in assessed.methods]
    assert other.curve == assessed.curve
    assert (other.confused, other.classes) == (assessed.confused, assessed.classes)
    assert other.suspicious == assessed.suspicious
    before, after = ([one.map.mean for one in each.methods] for each in (assessed, other))
    assert after[1] < before[1]


def test_the_learning_curve_ends_at_all_labels(assessed: Assessment) -> None:
    assert assessed.curve is not None
    assert assessed.curve.samples == (8, 20, 40)
    chosen = next(one for one in assessed.methods if one.name == "posterior matching")
    assert assessed.curve.figures[-1] == pytest.approx(chosen.validation)


def test_one_method_is_chosen_and_the_others_are_tested_against_it(assessed: Assessment) -> None:
    assert [one.p is None for one in assessed.methods] == [one.chosen for one in assessed.methods]
    assert sum(one.chosen for one in assessed.methods) == 1
    assert next(one.p for one in assessed.methods if one.name == "chance") < 0.01  # type: ignore[operator]
    assert assessed.verdict.kind in ("train", "label more")


def test_a_method_of_raw_items_is_one_more_line(feature_dataset: Dataset) -> None:
    name = "posterior matching with trained encoders"
    found = cs.assess(
        feature_dataset,
        items=feature_dataset,
        methods={"posterior matching": SMALL},
        raw_methods={name: SMALL},
        callbacks=(),
    )
    lines = {one.name: one for one in found.methods}
    assert lines[name].map.mean == lines["posterior matching"].map.mean
    assert (lines["posterior matching"].chosen, lines[name].p) == (True, 1)
    assert lines[name].uses_labels


def test_encoders_that_share_a_space_are_used_as_they_are() -> None:
    """Where equal features already rank perfectly, training is not worth it."""
    draw = np.random.default_rng(0)
    kinds = np.arange(150) % 3
    x = 4 * np.eye(3)[kinds] + 0.1 * draw.normal(size=(150, 3))
    data = Dataset.from_arrays(image=x, text=x + 0.1 * draw.normal(size=x.shape), labels=kinds)
    methods = {name: METHODS[name] for name in ("encoders as they are", "linear probe")}
    found = cs.assess(data, methods=methods, callbacks=())
    assert found.verdict.kind == "use the encoder as it is"
    assert "use encoders as they are" in found.verdict.text


def test_names_of_classes_that_share_a_space_give_a_line_without_labels() -> None:
    draw = np.random.default_rng(0)
    kinds = np.arange(150) % 3
    x = np.eye(3)[kinds] + 0.3 * draw.normal(size=(150, 3))
    y = np.eye(3)[kinds] + 0.3 * draw.normal(size=(150, 3))
    data = Dataset.from_arrays(image=x, text=y, labels=kinds)
    methods = {name: METHODS[name] for name in ("linear probe", "encoders as they are")}
    vectors = np.eye(3, dtype=np.float32)
    found = cs.assess(data, methods=methods, class_vectors=vectors, callbacks=())
    lines = {one.name: one for one in found.methods}
    assert list(lines) == ["chance", "encoders as they are", "zero-shot", "linear probe"]
    assert not lines["zero-shot"].uses_labels
    assert lines["zero-shot"].bytes == 12
    assert lines["zero-shot"].map.mean > lines["encoders as they are"].map.mean > 0.6
    assert found.verdict.text.count("zero-shot")


def test_zero_shot_is_left_out_where_sizes_differ(feature_dataset: Dataset) -> None:
    vectors = np.zeros((4, 5), dtype=np.float32)
    methods = {"linear probe": LinearProbe()}
    found = cs.assess(feature_dataset, methods=methods, class_vectors=vectors, callbacks=())
    assert "cannot be compared" in found.skipped["zero-shot"]


def test_texts_beside_the_features_are_searched_by_keywords(feature_dataset: Dataset) -> None:
    names = [feature_dataset.class_names[row.argmax()] for row in feature_dataset.labels]
    items = replace(
        feature_dataset,
        columns={"text": Texts(tuple((f"one {name}",) for name in names))},
    )
    order = np.random.default_rng(0).permutation(len(items))
    found = cs.assess(
        feature_dataset,
        items=items.take(order),
        methods={"linear probe": LinearProbe()},
        callbacks=(),
    )
    line = next(one for one in found.methods if one.name.startswith("keyword"))
    assert line.map.mean == pytest.approx(1)
    assert line.recall is None
    assert "queries of text only" in line.note


def test_the_result_prints_and_converts(assessed: Assessment) -> None:
    assert "linear probe" in repr(assessed)
    assert assessed.verdict.text in repr(assessed)
    assert "<table>" in assessed._repr_html_()
    values = json.loads(json.dumps(assessed.to_json(), allow_nan=False))
    assert values["verdict"]["kind"] == assessed.verdict.kind


def test_the_page_shows_table_curve_and_samples(
    assessed: Assessment, feature_dataset: Dataset, tmp_path: Path
) -> None:
    write_assessment(assessed, feature_dataset, tmp_path / "page")
    page = (tmp_path / "page" / "assessment.html").read_text("utf-8")
    assert page.count("<svg") == 2 + bool(assessed.suspicious)
    for one in assessed.suspicious:
        assert one.id in page
    written = json.loads((tmp_path / "page" / "assessment.json").read_text("utf-8"))
    assert written["name"] == assessed.name


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda data: replace(
                data, columns={**data.columns, "text": Texts((("a",),) * len(data))}
            ),
            "'text' is raw",
        ),
        (
            lambda data: replace(data, labels=data.labels & (data.splits != "validation")[:, None]),
            "validation split of 'points' has no labels",
        ),
    ],
)
def test_data_that_cannot_be_assessed_is_an_error(
    feature_dataset: Dataset, change: Callable[[Dataset], Dataset], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        cs.assess(change(feature_dataset), methods=METHODS, callbacks=())


def test_without_a_method_of_labels_there_is_no_answer(feature_dataset: Dataset) -> None:
    same = replace(
        feature_dataset,
        columns=dict.fromkeys(("image", "text"), Features(np.eye(80, 3))),
    )
    with pytest.raises(SettingError, match="fitted with labels"):
        cs.assess(same, methods={"raw": RawFeatures()}, callbacks=())


def test_the_command_writes_a_page_and_refuses_a_full_folder(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    label = np.arange(90) % 3
    file = tmp_path / "points.npz"
    np.savez(
        file,
        image=draw.normal(size=(3, 6))[label] + 0.5 * draw.normal(size=(90, 6)),
        text=draw.normal(size=(3, 5))[label] + 0.5 * draw.normal(size=(90, 5)),
        label=label,
        split=np.repeat(["train", "validation", "test"], [54, 18, 18]),
    )
    out = tmp_path / "page"
    run = CliRunner().invoke(build(), ["assess", str(file), "--out", str(out)])
    assert run.exit_code == 0, run.stderr
    assert "posterior matching" in run.stdout
    assert (out / "assessment.html").exists()
    again = CliRunner().invoke(build(), ["assess", str(file), "--out", str(out)])
    assert again.exit_code == 2
    assert "exists already" in again.stderr


NETWORK = """
import torch

class Means(torch.nn.Module):
    side, mean, std = 16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)

    def forward(self, pixels):
        return pixels.mean(dim=(2, 3))
"""


def colored_photos(folder: Path) -> None:
    """Write 60 photos of three colors, each with a text and a label."""
    draw = np.random.default_rng(0)
    colors = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
    lines = []
    for number in range(60):
        name = list(colors)[number % 3]
        pixels = np.full((16, 16, 3), colors[name], np.uint8) + draw.integers(0, 50, (16, 16, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
        line = {"file_name": f"{number}.png", "text": f"a {name} wall, no. {number}"}
        lines.append(json.dumps({**line, "label": name}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))


def test_raw_items_without_an_encoder_option_take_an_installed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    colored_photos(tmp_path / "photos")
    (tmp_path / "net.py").write_text(NETWORK)
    for name in ("HF_HOME", "HF_HUB_CACHE", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))
    monkeypatch.setenv("COMMONSPACE_CACHE", str(tmp_path / "cache"))
    missing = CliRunner().invoke(build(), ["assess", str(tmp_path / "photos")])
    assert missing.exit_code == 2
    assert "no encoder for 'image' is installed" in missing.stderr
    words = ["assess", str(tmp_path / "photos"), "--image", f"{tmp_path}/net.py:Means", "--json"]
    run = CliRunner().invoke(build(), words)
    assert run.exit_code == 0, run.stderr
    assert "encoder of text: tfidf" in run.stderr
    found = {one["name"]: one for one in json.loads(run.stdout)["methods"]}
    assert found["keyword search (BM25)"]["map"]["mean"] > 0.9
    assert found["posterior matching"]["map"]["mean"] > 0.9
