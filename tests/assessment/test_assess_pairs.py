"""An assessment without labels: its figures are those of evaluate, and test decides nothing."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import commonspace as cs
from commonspace.assessment import PairAssessment, write_assessment
from commonspace.cli.main import build
from commonspace.data import Dataset, Features, Texts
from commonspace.errors import DataError, SettingError
from commonspace.methods import InfoNCE, LinearProbe, Method, RawFeatures

SMALL = InfoNCE(hidden_dim=16, embedding_dim=8, epochs=6, learning_rate=5e-3, batch_size=20)
METHODS: dict[str, Method] = {"encoders as they are": RawFeatures(), "InfoNCE": SMALL}


def rotated(n: int = 150, seed: int = 0) -> Dataset:
    """Return pairs of equal sizes that only a trained space can compare."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, 6))
    y = x @ draw.normal(size=(6, 6)) + 0.5 * draw.normal(size=(n, 6))
    splits = np.repeat(["train", "validation", "test"], [n - 60, 30, 30])
    return replace(Dataset.from_arrays(image=x, text=y), name="pairs", splits=splits)


@pytest.fixture(scope="module")
def assessed() -> PairAssessment:
    return cs.assess_pairs(rotated(), methods=METHODS, callbacks=())


def test_the_figures_are_those_of_evaluate(assessed: PairAssessment) -> None:
    space = SMALL.fit(rotated(), run=cs.RunConfig())
    for split in ("test", "validation"):
        report = space.evaluate(rotated(), split=split).pairs
        assert report is not None
        line = next(one for one in assessed.methods if one.name == "InfoNCE")
        if split == "test":
            assert line.recall.mean == pytest.approx(report["average"]["R@10"])
            assert line.recall.low <= line.recall.mean <= line.recall.high
            assert line.average["R@1"] == pytest.approx(report["average"]["R@1"])
            for direction in ("image->text", "text->image"):
                rank = line.directions[direction]["median_rank"]
                assert rank == pytest.approx(report[direction]["median_rank"])
        else:
            assert line.validation == pytest.approx(report["average"]["R@10"])
    assert line.bytes == 4 * 8


def test_what_is_trained_is_tested_against_what_is_not(assessed: PairAssessment) -> None:
    assert [one.name for one in assessed.methods] == ["chance", "encoders as they are", "InfoNCE"]
    assert [one.trained for one in assessed.methods] == [False, False, True]
    assert [one.chosen for one in assessed.methods] == [False, False, True]
    assert [one.p is None for one in assessed.methods] == [False, False, True]
    assert assessed.verdict.kind in ("train", "more pairs")
    assert "no texts" in assessed.skipped["keyword search (BM25)"]
    assert assessed.samples == {"train": 90, "validation": 30, "test": 30}


def test_nothing_is_chosen_on_test(assessed: PairAssessment) -> None:
    data = rotated()
    columns = dict(data.columns)
    text = columns["text"]
    assert isinstance(text, Features)
    values = text.values.copy()
    rows = np.flatnonzero(data.splits == "test")
    values[rows] = values[np.roll(rows, 1)]
    other = cs.assess_pairs(
        replace(data, columns={**columns, "text": Features(values)}), methods=METHODS, callbacks=()
    )
    assert other.curve == assessed.curve
    assert [one.validation for one in other.methods] == [one.validation for one in assessed.methods]
    assert other.methods[-1].recall.mean < assessed.methods[-1].recall.mean


def test_labels_change_nothing(assessed: PairAssessment) -> None:
    labels = np.eye(2, dtype=bool)[np.arange(150) % 2]
    data = replace(rotated(), labels=labels, class_names=("a", "b"))
    found = cs.assess_pairs(data, methods=METHODS, callbacks=())
    assert [one.recall for one in found.methods] == [one.recall for one in assessed.methods]


def test_the_learning_curve_ends_at_all_pairs(assessed: PairAssessment) -> None:
    assert assessed.curve is not None
    assert assessed.curve.samples == (11, 22, 45, 90)
    assert assessed.curve.figures[-1] == pytest.approx(assessed.methods[-1].validation)


def test_few_validation_pairs_give_no_curve() -> None:
    data = rotated().take(np.arange(105))
    splits = np.repeat(["train", "validation", "test"], [75, 15, 15])
    found = cs.assess_pairs(replace(data, splits=splits), methods=METHODS, callbacks=())
    assert found.curve is None


def test_encoders_that_share_a_space_are_used_as_they_are() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(150, 16))
    data = Dataset.from_arrays(image=x, text=x + 0.1 * draw.normal(size=x.shape))
    found = cs.assess_pairs(data, methods=METHODS, callbacks=())
    assert found.verdict.kind == "use the encoder as it is"
    assert "use encoders as they are" in found.verdict.text


def test_texts_on_both_sides_are_searched_by_words() -> None:
    data = rotated()
    draw = np.random.default_rng(0)
    words = [f"w{n} v{n % 40} {draw.choice(['one', 'some'])}" for n in range(150)]
    items = replace(
        data,
        columns={
            "image": Texts(tuple((one,) for one in words)),
            "text": Texts(tuple((f"of {one}",) for one in words)),
        },
    )
    order = draw.permutation(150)
    found = cs.assess_pairs(data, items=items.take(order), methods=METHODS, callbacks=())
    lines = {one.name: one for one in found.methods}
    assert lines["keyword search (BM25)"].average["R@1"] == pytest.approx(1)
    assert lines["keyword search (BM25)"].complete
    assert lines["TF-IDF of both texts"].recall.mean == pytest.approx(1)
    assert found.verdict.kind == "use the encoder as it is"
    assert "keyword search" in found.verdict.text


def test_methods_of_raw_items_are_measured_on_the_same_queries() -> None:
    data = rotated()
    raw = {"again": SMALL}
    found = cs.assess_pairs(data, items=data, methods=METHODS, raw_methods=raw, callbacks=())
    first, second = (next(o for o in found.methods if o.name == n) for n in ("InfoNCE", "again"))
    assert second.directions == first.directions
    assert (first.chosen, second.p) == (True, 1)
    moved = data.take(np.arange(150)[::-1])
    with pytest.raises(DataError, match="are not those of its features"):
        cs.assess_pairs(data, items=moved, methods=METHODS, raw_methods=raw, callbacks=())


def test_the_result_prints_and_converts(assessed: PairAssessment) -> None:
    assert "InfoNCE *" in repr(assessed)
    assert "  text->image" in repr(assessed)
    assert assessed.verdict.text in repr(assessed)
    assert "<table>" in assessed._repr_html_()
    values = json.loads(json.dumps(assessed.to_json(), allow_nan=False))
    assert values["verdict"]["kind"] == assessed.verdict.kind
    assert values["methods"][-1]["average"]["R@10"] == pytest.approx(
        assessed.methods[-1].recall.mean
    )


def test_the_page_shows_tables_and_figures(assessed: PairAssessment, tmp_path: Path) -> None:
    write_assessment(assessed, rotated(), tmp_path / "page")
    page = (tmp_path / "page" / "assessment.html").read_text("utf-8")
    assert page.count("<svg") == 2 + bool(assessed.suspicious_pairs)
    assert page.count("<table") == 2
    assert "training pairs" in page
    assert (tmp_path / "page" / "assessment.json").exists()


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
            lambda data: replace(data, columns={"image": data.columns["image"]}),
            "has one modality",
        ),
        (
            lambda data: replace(
                data,
                columns={
                    **data.columns,
                    "text": Features(data.columns["text"].values, data.splits != "test"),
                },
            ),
            "test split of 'pairs' has too few pairs with 'image'",
        ),
    ],
)
def test_data_that_cannot_be_assessed_is_an_error(
    change: Callable[[Dataset], Dataset], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        cs.assess_pairs(change(rotated()), methods=METHODS, callbacks=())


def test_without_a_trained_method_there_is_no_answer() -> None:
    methods = {"probe": LinearProbe(), "raw": RawFeatures()}
    with pytest.raises(SettingError, match="could be trained on the pairs"):
        cs.assess_pairs(rotated(), methods=methods, callbacks=())


def test_the_command_assesses_pairs_where_there_are_no_labels(tmp_path: Path) -> None:
    data = rotated(90)
    file, out = tmp_path / "pairs.npz", tmp_path / "page"
    image, text = (data.columns[name] for name in ("image", "text"))
    assert isinstance(image, Features)
    assert isinstance(text, Features)
    np.savez(file, image=image.values, text=text.values, split=data.splits)
    run = CliRunner().invoke(build(), ["assess", str(file), "--out", str(out)])
    assert run.exit_code == 0, run.stderr
    assert "no labels" in run.stderr
    assert "text->image" in run.stdout
    assert (out / "assessment.html").exists()
    tuned = CliRunner().invoke(build(), ["assess", str(file), "--fine-tune", "all"])
    assert tuned.exit_code == 2
    assert "needs raw items" in tuned.stderr


def test_several_texts_of_a_sample_are_noted(tmp_path: Path) -> None:
    table = tmp_path / "texts.parquet"
    draw = np.random.default_rng(0)
    names = [f"{draw.choice(['red', 'blue'])} {draw.choice(['kite', 'boat'])}" for _ in range(60)]
    rows = {
        "id": list(map(str, range(60))),
        "title": names,
        "text": [[f"a {name}", f"the {name}"] for name in names],
    }
    pq.write_table(pa.table(rows), table)
    words = ["assess", str(table), "--modality", "text=text", "--modality", "title=title"]
    words += ["--text", "tfidf", "--encoder", "title=tfidf"]
    run = CliRunner().invoke(build(), words)
    assert run.exit_code == 0, run.stderr
    assert "--multi-caption expand ranks each" in run.stderr
    assert "TF-IDF of both" in run.stdout
    assert "too few distinct items" in run.stdout


def test_exchanged_pairs_are_listed_with_their_rows(tmp_path: Path) -> None:
    data = rotated()
    order = np.random.default_rng(0).permutation(150)  # test samples among the others
    text = data.columns["text"]
    assert isinstance(text, Features)
    values = text.values.copy()
    values[[4, 50]] = values[[50, 4]]
    values[[130, 140]] = values[[140, 130]]  # of test: not judged
    wrong = replace(data, columns={**data.columns, "text": Features(values)}).take(order)
    found = cs.assess_pairs(wrong, methods=METHODS, callbacks=())
    assert order[found.suspicious_pairs[0].row] == 50
    assert all(wrong.ids[one.row] == one.id for one in found.suspicious_pairs)
    assert all(wrong.splits[one.row] != "test" for one in found.suspicious_pairs)
    assert found.pair_noise is not None
    assert found.pair_noise < 0.03
    assert "an estimated" in repr(found)
    listed = found.to_json()["suspicious_pairs"]
    assert listed[0]["id"] == found.suspicious_pairs[0].id
    write_assessment(found, wrong, tmp_path / "page")
    page = (tmp_path / "page" / "assessment.html").read_text("utf-8")
    assert "Pairs that probably do not belong together" in page
    assert found.suspicious_pairs[0].id in page


def test_too_few_pairs_are_not_judged() -> None:
    data = rotated().take(np.r_[0:6, 90:93, 120:150])
    found = cs.assess_pairs(data, methods=METHODS, callbacks=())
    assert "too few pairs" in found.skipped["suspicious pairs"]
    assert (found.pair_noise, found.suspicious_pairs) == (None, ())
