"""In-memory search equals a comparison with every sample, and an index of the same data."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import commonspace as cs
from commonspace.data import Dataset
from commonspace.errors import SettingError
from commonspace.methods import PosteriorMatching
from commonspace.retrieval.memory import DatasetResults


def fit(method: cs.Method, data: Dataset) -> cs.CommonSpace:
    return method.fit(data.split("train"), data.split("validation"), cs.RunConfig())


@pytest.fixture(scope="module")
def space(feature_dataset: Dataset) -> cs.CommonSpace:
    return fit(PosteriorMatching(epochs=2, hidden_dim=8, device="cpu"), feature_dataset)


@pytest.fixture(scope="module")
def raw_space(raw_dataset: Dataset) -> cs.CommonSpace:
    method = cs.DSCMR(epochs=1, hidden_dim=16, embedding_dim=8, device="cpu")
    return fit(method, raw_dataset)


def test_scores_equal_a_comparison_with_every_sample(
    space: cs.CommonSpace, feature_dataset: Dataset
) -> None:
    parts = space.embed_dataset(feature_dataset)
    query = parts["text"].vectors[3]
    results = space.search(feature_dataset, vector=query, k=7, modality="image")
    queries = space.as_queries(query[None], space.default_instance_weight)
    scores = parts["image"].vectors @ queries[0]
    order = np.argsort(-scores, kind="stable")[:7]
    assert [result.id for result in results] == [feature_dataset.ids[row] for row in order]
    np.testing.assert_allclose([result.score for result in results], scores[order], rtol=1e-6)
    assert results.total == len(feature_dataset)
    rest = space.search(feature_dataset, vector=query, k=4, offset=3, modality="image")
    assert list(rest) == list(results)[3:]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"modality": "text"},
        {"instance_weight": 0.0},
        {"instance_weight": 1.0},
        {"offset": 5, "k": 3},
        {"min_relevance": 0.3},
    ],
)
def test_results_equal_those_of_an_index(
    space: cs.CommonSpace, feature_dataset: Dataset, tmp_path: Path, options: dict[str, float]
) -> None:
    vector = space.embed_dataset(feature_dataset)["text"].vectors[11]
    id = feature_dataset.ids[5]
    with cs.Index.create(tmp_path / "index", space, feature_dataset) as index:
        for query in ({"vector": vector}, {"id": id}, {"vector": vector, "id": id}):
            expected = index.search(**query, **options)  # type: ignore[arg-type]
            results = space.search(feature_dataset, **query, **options)  # type: ignore[arg-type]
            assert [one.id for one in results] == [one.id for one in expected]
            assert results.total == expected.total
            for one, other in zip(results, expected, strict=True):
                assert one.modality == other.modality
                assert one.score == pytest.approx(other.score, rel=1e-5)
                assert one.relevance == pytest.approx(other.relevance, rel=1e-5)
                assert (one.labels, one.split) == (other.labels, other.split)


def test_raw_items_are_searched_by_text_and_image(
    raw_space: cs.CommonSpace, raw_dataset: Dataset, tmp_path: Path
) -> None:
    by_text = raw_space.search(raw_dataset, text="a red wall", k=3)
    assert len(by_text) == 3
    assert by_text[0].texts
    picture = raw_dataset.columns["image"].items[4]  # type: ignore[attr-defined]
    by_image = raw_space.search(raw_dataset, image=picture, modality="image")
    assert by_image[0].id == raw_dataset.ids[4]
    Image.fromarray(picture).save(tmp_path / "query.png")
    by_file = raw_space.search(raw_dataset, image=str(tmp_path / "query.png"), modality="image")
    assert [one.id for one in by_file] == [one.id for one in by_image]


def test_results_print_as_a_table_and_show_thumbnails(
    raw_space: cs.CommonSpace, raw_dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    results = raw_space.search(raw_dataset, text="a red wall", k=2)
    assert isinstance(results, DatasetResults)
    results.show()
    printed = capsys.readouterr().out
    assert "2 of 36 items" in printed
    assert results[0].id in printed
    html = results._repr_html_()
    assert html.count('<img src="data:image/jpeg;base64,') == 2
    assert results[1].id in html


def test_texts_of_a_sample_are_escaped(space: cs.CommonSpace, feature_dataset: Dataset) -> None:
    results = space.search(feature_dataset, id=feature_dataset.ids[0], k=1)
    hostile = DatasetResults(
        [type(results[0])(**{**vars(results[0]), "texts": ("<script>",)})], 1, feature_dataset
    )
    html = hostile._repr_html_()
    assert "&lt;script&gt;" in html
    assert "<img" not in html


def test_embeddings_are_computed_once(
    space: cs.CommonSpace, feature_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = space.search(feature_dataset, id=feature_dataset.ids[0])
    monkeypatch.setattr(cs.CommonSpace, "embed", None)
    assert list(space.search(feature_dataset, id=feature_dataset.ids[0])) == list(first)


def test_invalid_queries_are_rejected(space: cs.CommonSpace, feature_dataset: Dataset) -> None:
    for arguments, message in (
        ({}, "the query is empty"),
        ({"id": "nobody"}, "has no sample 'nobody'"),
        ({"id": feature_dataset.ids[0], "modality": "sound"}, "no embeddings of 'sound'"),
        ({"id": feature_dataset.ids[0], "query_modality": "sound"}, "has no modality 'sound'"),
        ({"text": "words"}, "reads no text"),
    ):
        with pytest.raises(SettingError, match=message) as caught:
            space.search(feature_dataset, **arguments)  # type: ignore[arg-type]
    assert 'encoders={"text":' in caught.value.advice
