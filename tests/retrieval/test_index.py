"""An index returns what a naive search returns, whatever was added, changed and removed before."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commonspace import CommonSpace, Dataset, Features
from commonspace.errors import DataError, OutputError, SettingError, StoreError
from commonspace.retrieval import Change, Index, Query, vector_index
from commonspace.retrieval.samples import drop_unstorable

Make = Callable[..., Dataset]
Naive = Callable[..., list[tuple[str, str, float]]]

QUERIES = np.random.default_rng(5).normal(size=(7, 6)).astype(np.float32)


def test_results_are_those_of_a_naive_search(
    index: Index, space: CommonSpace, make: Make, naive: Naive, ranked: Naive
) -> None:
    data = make(range(40))
    for query in QUERIES:
        assert ranked(index, query) == naive(space, data, query)
        assert ranked(index, query, k=3, modality="text") == naive(
            space, data, query, k=3, modality="text"
        )
        assert ranked(index, query, where="price < 100 or brand is null") == naive(
            space, data, query, holds=lambda row: row < 10 or row % 2 == 0
        )


def test_many_queries_in_one_pass_are_as_many_searches(index: Index) -> None:
    together = index.search_many([Query(vector=query, k=4) for query in QUERIES])
    alone = [index.search(vector=query, k=4) for query in QUERIES]
    assert [[one.id for one in found] for found in together] == [
        [one.id for one in found] for found in alone
    ]
    assert index.search_many([]) == []
    assert index.search_many([Query(vector=QUERIES[0])])[0] == index.search(vector=QUERIES[0])


def test_what_is_found_carries_what_was_put_in(index: Index, make: Make) -> None:
    data = make(range(40))
    found = {one.id: one for one in index.search(vector=QUERIES[0], k=1000)}
    assert set(found) == set(data.ids)  # k beyond the number of items: all of them
    for row, name in enumerate(data.ids):
        one = found[name]
        assert one.labels == (data.class_names[row % 3],)
        assert one.split == data.splits[row]
        assert one.fields == {"price": row * 10} | ({"brand": "Acme"} if row % 2 else {})
        assert one.texts == ()
        assert one.photo is None


def test_more_like_an_item_searches_by_its_vectors_and_leaves_it_out(
    index: Index, space: CommonSpace, make: Make
) -> None:
    data = make(range(40))
    embedded = {name: part.vectors[3] for name, part in space.embed_dataset(data).items()}
    mean = np.mean([v / np.linalg.norm(v) for v in embedded.values()], axis=0)
    for modality, vector in (("image", embedded["image"]), (None, mean)):
        everything = index.search(vector=vector, k=40)
        expected = [one.id for one in everything if one.id != "article 3"]
        results = index.search(id="article 3", k=50, query_modality=modality)
        assert [one.id for one in results] == expected
        assert (everything.total, results.total) == (40, 39)
    filtered = index.search(id="article 3", where="price > 50")  # which the item itself fails
    assert filtered.total == 34
    with pytest.raises(SettingError, match="no item 'article 77'"):
        index.search(id="article 77")
    with pytest.raises(SettingError, match="no modality 'text'"):
        index.search(id="article 4", query_modality="text")
    with pytest.raises(SettingError, match="needs `id`"):
        index.search(vector=mean, query_modality="text")


def test_pages_are_parts_of_one_ranking(index: Index) -> None:
    for query in ({"vector": QUERIES[0]}, {"id": "article 3"}):
        everything = index.search(k=40, **query)
        for offset in (0, 1, 7, 35, 100):
            page = index.search(k=6, offset=offset, **query)
            assert list(page) == list(everything[offset : offset + 6])
            assert page.total == everything.total


def test_the_total_counts_what_the_filter_leaves(index: Index, make: Make) -> None:
    texts = int(make(range(40)).columns["text"].present.sum())
    vector = QUERIES[0]
    assert index.search(vector=vector).total == 40
    assert index.search(vector=vector, modality="text").total == texts
    assert index.search(vector=vector, where="price < 100").total == 10
    assert index.search(vector=vector, where="price < 100", modality="text").total == 8
    index.remove(["article 0", "article 1"])
    index.add(make(range(50, 53)))
    assert index.search(vector=vector).total == 41
    assert index.search(vector=vector, where="price < 100", modality="text").total == 6


def test_relevance_is_that_of_the_score(index: Index, space: CommonSpace) -> None:
    found = index.search(vector=QUERIES[1], k=40)
    if not space.calibrated:
        assert all(one.relevance is None for one in found)
        with pytest.raises(SettingError, match="not calibrated"):
            index.search(vector=QUERIES[1], min_relevance=0.5)
        return
    expected = space.relevance([one.score for one in found])
    assert [one.relevance for one in found] == pytest.approx(expected.tolist(), rel=1e-6)
    middle = float(np.median(expected))
    likely = index.search(vector=QUERIES[1], k=40, min_relevance=middle)
    assert [one.id for one in likely] == [
        one.id for one in found if one.relevance is not None and one.relevance >= middle
    ]


def test_it_is_the_same_after_closing_and_opening(
    index: Index, space: CommonSpace, make: Make, naive: Naive, ranked: Naive
) -> None:
    index.close()
    index.close()
    with Index.open(index.path) as again:
        assert len(again) == 40
        assert again.fingerprint == space.fingerprint
        assert again.space.fingerprint == space.fingerprint
        assert ranked(again, QUERIES[2]) == naive(space, make(range(40)), QUERIES[2])
    with Index.open(index.path, space=space) as again:
        assert again.space is space


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "update", "remove", "reopen", "remake"]),
        st.sets(st.integers(0, 24), min_size=1, max_size=12),
        st.integers(0, 2),
    ),
    max_size=6,
)


@settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS, st.sampled_from(["exact", "hnsw", "ivf"]))
def test_results_are_right_after_any_changes(
    tmp_path_factory: pytest.TempPathFactory,
    space: CommonSpace,
    make: Make,
    naive: Naive,
    ranked: Naive,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[tuple[str, set[int], int]],
    kind: str,
) -> None:
    """Compare with a dict, from the writer's own side and from that of an open reader."""
    monkeypatch.setattr(
        vector_index, "MIN_CHANGES", 4
    )  # so that main segments are built, followed and rebuilt
    path = tmp_path_factory.mktemp("index") / "shop"
    writer = Index.create(path, space, kind=kind)
    reader = Index.open(path, space=space)
    model: dict[int, int] = {}
    for action, numbers, version in steps:
        some = sorted(numbers)
        if action == "add":
            new = [number for number in some if number not in model]
            if new:
                assert writer.add(make(new, version=version)) == Change(added=len(new))
                model |= dict.fromkeys(new, version)
        elif action == "update":
            old = {number: model[number] for number in some if number in model}
            same = sum(before == version for before in old.values())
            assert writer.update(make(some, version=version)) == Change(
                added=len(some) - len(old), replaced=len(old) - same, unchanged=same
            )
            model |= dict.fromkeys(some, version)
        elif action == "remove":
            there = [number for number in some if number in model]
            assert writer.remove([f"article {number}" for number in there]).removed == len(there)
            for number in there:
                del model[number]
        elif action == "reopen":
            writer.close()
            writer = Index.open(path, space=space)
        else:
            with writer._lock.hold():
                for number in writer._store.modalities.values():
                    writer._vectors.rebuild(number)
        for handle in (writer, reader):
            _check(handle, model, space, make, naive, ranked)
    assert writer.notes == reader.notes == ()
    writer.close()
    reader.close()


def _check(
    index: Index,
    model: dict[int, int],
    space: CommonSpace,
    make: Make,
    naive: Naive,
    ranked: Naive,
) -> None:
    assert len(index) == len(model)
    query = QUERIES[0]
    if not model:
        assert index.search(vector=query) == []
        return
    parts = [make([number], version=version) for number, version in sorted(model.items())]
    data = parts[0] if len(parts) == 1 else _joined(parts)
    prices = [int(price) for price in data.fields["price"]]
    assert ranked(index, query, k=5) == naive(space, data, query, k=5)
    assert ranked(index, query, k=50, where="price >= 100") == naive(
        space, data, query, k=50, holds=lambda row: prices[row] >= 100
    )


def _joined(parts: list[Dataset]) -> Dataset:
    def stacked(name: str) -> Features:
        columns: list[Any] = [part.columns[name] for part in parts]
        return Features(
            np.concatenate([column.values for column in columns]),
            np.concatenate([column.present for column in columns]),
        )

    return Dataset(
        name="joined",
        ids=tuple(name for part in parts for name in part.ids),
        columns={name: stacked(name) for name in ("image", "text")},
        labels=np.concatenate([part.labels for part in parts]),
        class_names=parts[0].class_names,
        splits=np.concatenate([part.splits for part in parts]),
        fields={name: [part.fields[name][0] for part in parts] for name in ("price", "brand")},
    )


def test_fields_alone_can_change(index: Index, make: Make) -> None:
    data = make(range(40))
    cheaper = replace(data, fields={"price": [1] * 40, "colour": ["red"] + [None] * 39})
    assert index.update(cheaper) == Change(described=40)
    assert index.update(cheaper) == Change(unchanged=40)
    (first,) = index.search(vector=QUERIES[0], where="colour = 'red'")
    assert (first.id, first.fields) == ("article 0", {"price": 1, "colour": "red"})
    assert index.search(vector=QUERIES[0], where="brand = 'Acme'") == []


def test_ids_that_are_taken_are_refused_before_anything_is_written(
    index: Index, make: Make
) -> None:
    with pytest.raises(DataError) as caught:
        index.add(make(range(38, 50)))
    assert "2 of the 12 samples" in str(caught.value)
    assert "'article 38', 'article 39'" in str(caught.value)
    assert len(index) == 40


def test_samples_without_a_modality_of_the_space_are_left_out(index: Index, make: Make) -> None:
    data = make([50, 51])
    lacking = replace(
        data,
        columns={
            "image": Features(np.ones((2, 6)), present=[True, False]),
            "sound": Features(np.ones((2, 3))),
        },
    )
    change = index.add(lacking)
    assert change.added == 1
    assert change.notes == ("left out 1 samples without a modality of the space",)
    strange = replace(data, columns={"sound": Features(np.ones((2, 3)))})
    with pytest.raises(SettingError, match="no modality in common"):
        index.add(strange)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (float("nan"), None),
        (np.float32(0.5), 0.5),
        (np.datetime64("2020-02-03").item(), "2020-02-03"),
        ((1, "a", None), [1, "a", None]),
        (True, True),
    ],
)
def test_values_of_fields(index: Index, make: Make, value: object, kept: object) -> None:
    index.add(replace(make([50]), fields={"extra": [value]}))
    (found,) = index.search(vector=QUERIES[0], where="id = 'article 50'")
    assert found.fields == ({} if kept is None else {"extra": kept})


@pytest.mark.parametrize("value", [float("inf"), {"a": 1}, b"bytes", 1j])
def test_values_that_no_index_keeps(index: Index, make: Make, value: object) -> None:
    with pytest.raises(DataError, match="cannot store"):
        index.add(replace(make([50]), fields={"extra": [value]}))
    assert len(index) == 40
    data = replace(make([50]), fields={"extra": [value], "price": [3], "label": ["x"]})
    kept = drop_unstorable(data)
    assert dict(kept.fields) == {"extra": [None], "price": [3]}
    assert "cannot store" in kept.warnings[0]
    assert "'label' is left out" in kept.warnings[1]
    assert index.add(kept).added == 1


def test_a_field_with_a_name_that_is_taken(index: Index, make: Make) -> None:
    with pytest.raises(DataError, match="built-in field"):
        index.add(replace(make([50]), fields={"label": ["x"]}))


def test_ids_that_are_no_text_are_refused(index: Index, make: Make) -> None:
    with pytest.raises(DataError, match="UTF-8"):
        index.add(replace(make([50]), ids=("\ud800",)))
    with pytest.raises(DataError, match="NUL"):
        index.add(replace(make([50]), ids=("a\0b",)))
    with pytest.raises(DataError, match="UTF-8"):
        index.add(replace(make([50]), fields={"\ud800": [1]}))
    with pytest.raises(SettingError, match="not text"):
        index.search(vector=QUERIES[0], where="brand = '\ud800'")
    assert len(index) == 40


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "the query is empty"),
        ({"vector": np.zeros(6)}, "zero"),
        ({"vector": np.full(6, np.nan)}, "not finite"),
        ({"vector": np.full(6, 1e39)}, "not finite"),
        ({"vector": np.ones(5)}, "6 real numbers"),
        ({"vector": ["a"] * 6}, "6 real numbers"),
        ({"vector": np.ones((2, 6))}, "shape (2, 6)"),
        ({"vector": [[1, 2], [3]]}, "lists of several lengths"),
        ({"text": "words"}, "reads no texts"),
        ({"image": "a.jpg"}, "reads no images"),
        ({"vector": np.ones(6), "k": 0}, "a whole number from 1"),
        ({"vector": np.ones(6), "k": 2.5}, "a whole number from 1"),
        ({"vector": np.ones(6), "offset": -1}, "a whole number from 0"),
        ({"id": 5}, "the id of an item"),
        ({"vector": np.ones(6), "k": True}, "a whole number from 1"),
        ({"vector": np.ones(6), "modality": 3}, "a name"),
        ({"vector": np.ones(6), "where": 5}, "a condition, such as"),
        ({"vector": np.ones(6), "where": " "}, "nothing"),
        ({"vector": np.ones(6), "modality": "sound"}, "'image' or 'text'"),
        ({"vector": np.ones(6), "where": "prise = 1"}, "did you mean price?"),
        ({"vector": np.ones(6), "where": "price = 1; DROP TABLE items"}, "is invalid"),
        ({"vector": np.ones(6), "instance_weight": 0.5}, "an instance block"),
        ({"vector": np.ones(6), "instance_weight": "a"}, "from 0 to 1"),
        ({"vector": np.ones(6), "min_relevance": 1.5}, "from 0 to 1"),
        ({"vector": np.ones(6), "min_relevance": np.nan}, "from 0 to 1"),
        ({"vector": np.ones(6), "min_relevance": "a"}, "from 0 to 1"),
    ],
)
def test_bad_queries_are_refused_with_a_reason(
    index: Index, options: dict[str, Any], said: str
) -> None:
    with pytest.raises((SettingError, DataError)) as caught:
        index.search(**options)
    assert said in str(caught.value)
    assert len(index) == 40


def test_bad_queries_among_many_are_refused(index: Index) -> None:
    with pytest.raises(DataError, match="zero"):
        index.search_many([Query(vector=np.ones(6)), Query(vector=np.zeros(6))])
    with pytest.raises(SettingError, match="Query objects"):
        index.search_many(["red"])  # type: ignore[list-item]


def test_a_closed_index_raises_an_error(index: Index) -> None:
    index.close()
    with pytest.raises(StoreError, match="has been closed"):
        index.search(vector=QUERIES[0])


@pytest.mark.parametrize("text", ["", "  \n", "x" * 1_000_000])
def test_texts_that_no_search_takes(index: Index, text: str) -> None:
    with pytest.raises(SettingError, match="at most 100,000 characters"):
        index.search(text=text)


def test_a_place_that_is_taken_is_refused(index: Index, space: CommonSpace, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="an index"):
        Index.create(index.path, space)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="already exists"):
        Index.create(tmp_path / "file", space)
    (tmp_path / "empty").mkdir()
    Index.create(tmp_path / "empty", space).close()
    with pytest.raises(SettingError, match="'exact' or 'auto'"):
        Index.create(tmp_path / "other", space, kind="fast")
    assert not (tmp_path / "other").exists()


def test_data_that_cannot_be_kept_leaves_no_folder(
    space: CommonSpace, make: Make, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="wrong size"):
        Index.create(
            tmp_path / "shop",
            space,
            replace(make([1]), columns={"image": Features(np.ones((1, 5)))}),
        )
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not an index"):
        Index.open(tmp_path / "absent")
    (tmp_path / "store.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match="damaged, or not an index"):
        Index.open(tmp_path)


def test_another_space_is_refused(
    index: Index, space: CommonSpace, make: Make, tmp_path: Path
) -> None:
    from commonspace.methods import CCA

    data = make(range(100, 160))
    data = replace(data, splits=np.array(["train", "validation"] * 30))
    other = CCA(dimension=3).fit(data.split("train"), data.split("validation"))
    with pytest.raises(StoreError, match="another space"):
        Index.open(index.path, space=other)
    for file in (index.path / "spaces" / "1").iterdir():
        file.unlink()
    other.write(index.path / "spaces" / "1")
    with Index.open(index.path) as swapped, pytest.raises(StoreError, match="another space"):
        swapped.search(vector=np.ones(6))


def test_a_field_keeps_its_type(index: Index, make: Make) -> None:
    wrong = replace(make([50]), fields={"price": ["cheap"]})
    with pytest.raises(DataError, match="'price' is a number, and 'article 50' has a string"):
        index.add(wrong)
    with pytest.raises(DataError, match="has a boolean"):
        index.add(replace(make([50]), fields={"price": [True]}))
    with pytest.raises(DataError, match="has a string"):
        index.update(replace(make([50, 51]), fields={"price": [5, [1, "two"]]}))
    assert len(index) == 40
    assert index.add(replace(make([50]), fields={"price": [None]})).added == 1
    assert index.add(replace(make([51]), fields={"price": [[1, 2.5]]})).added == 1
    assert index.summary().fields["price"].kind == "number"


def test_a_field_of_several_types_is_mixed_and_noted(index: Index, make: Make) -> None:
    change = index.add(replace(make([50, 51]), fields={"size": [38, "XL"]}))
    assert change.notes == (
        "the field 'size' has values of several types: a number in 'article 50' and a string in"
        " 'article 51'",
    )
    assert index.add(replace(make([52]), fields={"size": [True]})).notes == ()
    assert index.summary().fields["size"].kind == "mixed"


def test_types_of_fields_can_be_declared(tmp_path: Path, space: CommonSpace, make: Make) -> None:
    types = {"price": "number", "size": "string", "extra": "mixed"}
    with Index.create(tmp_path / "a", space, field_types=types) as index:
        with pytest.raises(DataError, match="'size' is a string, and 'article 50' has a number"):
            index.add(replace(make([50]), fields={"size": [5]}))
        index.add(replace(make([50, 51]), fields={"extra": [5, "five"], "size": ["5", None]}))
        assert index.info()["field_types"] == types
    with pytest.raises(SettingError, match="type of the field 'price' is unknown"):
        Index.create(tmp_path / "b", space, field_types={"price": "float"})


def test_arguments_of_a_wrong_type(index: Index, space: CommonSpace, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="path has the wrong type"):
        Index.open(5)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="load_dataset"):
        index.add("photos")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="load_dataset"):
        index.update(None)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="space has the wrong type"):
        Index.create(tmp_path / "a", "runs/photos")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="space has the wrong type"):
        index.migrate("runs/photos")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="kind of index is unknown"):
        Index.create(tmp_path / "a", space, kind=3)  # type: ignore[arg-type]


READ_ONLY = """
import sys
from commonspace.errors import CommonspaceError
from commonspace.retrieval import Index
import numpy as np
with Index.open(sys.argv[1]) as index:
    print(index.search(vector=np.arange(1, 7), k=3)[0].id, index.info()["read_only"])
    print(index.verify().problems)
    try:
        index.remove(["article 1"])
    except CommonspaceError as exc:
        print(type(exc).__name__, "is read-only" in str(exc), "free" in str(exc))
"""


def test_a_read_only_folder_can_be_searched(index: Index, tmp_path: Path) -> None:
    """In a mount namespace, so that even the superuser cannot write."""
    index.close()
    mount = f"mount --bind {index.path} {index.path} && mount -o remount,ro,bind {index.path}"
    script = f'{mount} && exec "$0" -c "$1" "$2"'
    words = ["unshare", "-rm", "sh", "-c", script, sys.executable, READ_ONLY, str(index.path)]
    possible = subprocess.run([*words[:4], mount], check=False, capture_output=True)
    if possible.returncode:
        pytest.skip("mount namespaces are not available")
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    with Index.open(index.path) as writable:
        best = writable.search(vector=np.arange(1, 7), k=1)[0].id
        assert not writable.info()["read_only"]
    assert done.stdout.splitlines() == [f"{best} True", "()", "OutputError True False"]
