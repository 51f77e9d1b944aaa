"""The report over all pairs of modalities says what the single figures say."""

import json

import numpy as np
import pytest

from commonspace.errors import DataError, SettingError
from commonspace.evaluation import evaluate_retrieval, mean_average_precision
from commonspace.evaluation.report import _sampling_interval


def space(*sizes: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    names = ("image", "text", "audio")[: len(sizes)]
    embeddings = {name: rng.standard_normal((n, 5)) for name, n in zip(names, sizes, strict=True)}
    return embeddings, {name: rng.integers(0, 3, len(embeddings[name])) for name in names}


def test_each_direction_is_the_single_figure_and_the_average_is_their_mean() -> None:
    embeddings, labels = space(30, 47, 12)
    report = evaluate_retrieval(embeddings, labels, k=[1, 10, 1000], denominator="relevant")
    pairs = [(a, b) for a in embeddings for b in embeddings if a != b]
    assert list(report) == [*(f"{a}->{b}" for a, b in pairs), "average"]
    for figure, k in {"map": None, "map@1": 1, "map@10": 10, "map@1000": 1000}.items():
        values = [
            mean_average_precision(
                embeddings[a], embeddings[b], labels[a], labels[b], k, denominator="relevant"
            )
            for a, b in pairs
        ]
        got = [report[f"{a}->{b}"][figure] for a, b in pairs]
        np.testing.assert_allclose(np.array(got, dtype=float), values, rtol=1e-14)
        assert report["average"][figure] == pytest.approx(np.mean(values), rel=1e-14)
    assert report["image->audio"]["queries"] == 30
    assert report["image->audio"]["gallery"] == 12
    assert report["image->audio"]["denominator"] == "relevant"


def test_it_is_json() -> None:
    report = evaluate_retrieval(*space(20, 30), k=50)
    assert json.loads(json.dumps(report)) == report
    assert set(report["average"]) == {"map", "map@50", "chance"}


def test_no_further_depth_is_asked_for_by_none_or_zero() -> None:
    assert evaluate_retrieval(*space(20, 30), k=0) == evaluate_retrieval(*space(20, 30))


def test_queries_that_do_not_count_are_counted() -> None:
    embeddings = {"image": np.eye(3), "text": np.eye(3)}
    labels = {
        "image": np.array([[1, 0], [0, 1], [0, 0]], dtype=bool),
        "text": np.array([[1, 0], [1, 0], [0, 0]], dtype=bool),
    }
    report = evaluate_retrieval(embeddings, labels)
    found = {name: report["image->text"][name] for name in ("map", "queries", "unlabeled")}
    precision = (1 + (2 / 2 + 2 / 3) / 2) / 2  # the second relevant item ties for ranks 2 and 3
    assert found == {"map": pytest.approx(precision / 2), "queries": 2, "unlabeled": 1}
    assert report["image->text"]["unanswerable"] == 1
    assert report["text->image"]["unanswerable"] == 0


def test_bad_input_names_the_pair() -> None:
    embeddings, labels = space(20, 30)
    with pytest.raises(DataError, match=r"^image->text: gallery embeddings and labels"):
        evaluate_retrieval(embeddings, labels | {"text": labels["text"][:-1]})
    with pytest.raises(DataError, match="embeddings of image, text; labels of image"):
        evaluate_retrieval(embeddings, {"image": labels["image"]})
    with pytest.raises(DataError, match="at least two modalities"):
        evaluate_retrieval({"image": embeddings["image"]}, labels)
    with pytest.raises(SettingError, match="`k` must be"):
        evaluate_retrieval(embeddings, labels, k=[10, -1])


def test_chance_and_a_single_class() -> None:
    embeddings, labels = space(30, 47)
    report = evaluate_retrieval(embeddings, labels)
    shares = [np.mean(labels["text"] == label) for label in labels["image"]]
    assert report["image->text"]["chance"] == pytest.approx(np.mean(shares))
    assert report.warnings == ()
    single = evaluate_retrieval(embeddings, {name: np.zeros_like(y) for name, y in labels.items()})
    assert single.map == 1
    assert "image->text and text->image: every item of the gallery is relevant" in str(single)


def test_it_prints_as_a_table_in_a_terminal_and_a_notebook() -> None:
    report = evaluate_retrieval(*space(20, 30), k=5)
    report.title = "<test>"
    lines = str(report).splitlines()
    assert lines[0] == "<test>"
    assert lines[1].split() == ["direction", "mAP", "mAP@5", "chance", "queries", "gallery"]
    assert lines[-1].split()[:2] == ["average", f"{report.map:.3f}"]
    html = report._repr_html_()
    assert html.count("<tr>") == 4
    assert "&lt;test&gt;" in html
    frame = report.to_frame()
    assert frame.loc["average", "map"] == report.map
    assert frame.loc["text->image", "queries"] == 30


def test_sampled_queries_give_an_interval_that_holds_the_exact_figure() -> None:
    rng = np.random.default_rng(4)
    labels = {"image": rng.integers(0, 5, 3000), "text": rng.integers(0, 5, 200)}
    labels["image"][:100] = -1
    centers = rng.standard_normal((5, 8))
    vectors = {
        name: centers[y] + 2 * rng.standard_normal((len(y), 8)) for name, y in labels.items()
    }
    exact = evaluate_retrieval(vectors, labels)
    some = evaluate_retrieval(vectors, labels, queries=400)
    figures = some["image->text"]
    assert (figures["queries"], figures["of"], figures["gallery"]) == (400, 2900, 200)
    assert 0 < figures["high"] - figures["low"] < 0.05
    assert figures["low"] <= exact["image->text"]["map"] <= figures["high"]
    assert some["text->image"] == exact["text->image"]  # fewer queries than the sample
    assert "95 % of mAP" in str(some)
    assert "95 %" not in str(exact)


def test_the_interval_of_a_sample_is_that_of_sampling_without_replacement() -> None:
    low, high = _sampling_interval(np.array([0.2, 0.4, 0.6]), 4)
    half = 1.96 * 0.2 * np.sqrt((1 - 3 / 4) / 3)
    assert (low, high) == pytest.approx((0.4 - half, 0.4 + half))
    assert _sampling_interval(np.array([0.2, 0.4, 0.6]), 3) == pytest.approx((0.4, 0.4))


def test_a_sample_of_one_query_is_refused() -> None:
    with pytest.raises(SettingError, match="queries"):
        evaluate_retrieval(*space(20, 30), queries=1)
