"""One result for each value of a field, results in the order of a field, and what to be unlike."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from commonspace import CommonSpace, Dataset
from commonspace.errors import SettingError
from commonspace.retrieval import Index, Query

Make = Callable[..., Dataset]
COUNT = 60


@pytest.fixture(scope="module")
def data(make: Make) -> Dataset:
    """Articles, of which three in a row are photos of one product, and every tenth is single."""
    plain = make(range(COUNT))
    products = [None if number % 10 == 9 else f"product {number // 3}" for number in range(COUNT)]
    return replace(plain, fields={**plain.fields, "product": products})


@pytest.fixture(scope="module")
def index(
    tmp_path_factory: pytest.TempPathFactory, space: CommonSpace, data: Dataset
) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("groups") / "shop"
    with Index.create(folder, space, data) as opened:
        yield opened


def product(result: Any) -> str:  # noqa: ANN401
    return str(result.fields.get("product", result.id))


@pytest.mark.parametrize("modality", [None, "text"])
@pytest.mark.parametrize("where", [None, "price < 300 and price > 20"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_product_is_listed_once_with_its_best_photo(
    index: Index, modality: str | None, where: str | None, seed: int
) -> None:
    """The naive way: rank all items, and keep the first of each product."""
    vector = np.random.default_rng(seed).normal(size=6)
    options: dict[str, Any] = {"vector": vector, "where": where, "modality": modality}
    ranked = index.search(**options, k=COUNT)
    best: dict[str, Any] = {}
    members: dict[str, set[str]] = {}
    for one in ranked:
        best.setdefault(product(one), one)
        members.setdefault(product(one), set()).add(one.id)
    for offset, k in ((0, 5), (3, 4), (0, COUNT)):
        found = index.search(**options, k=k, offset=offset, group_by="product")
        assert [one.id for one in found] == [one.id for one in best.values()][offset : offset + k]
        assert [one.score for one in found] == pytest.approx(
            [one.score for one in best.values()][offset : offset + k]
        )
        assert found.total == len(best)
        for one in found:
            assert {one.id, *one.similar} == members[product(one)]


def test_a_query_by_an_item_leaves_its_product_out(index: Index) -> None:
    found = index.search(id="article 4", k=COUNT, group_by="product")
    assert "product 1" not in map(product, found)
    assert (
        found.total == len(found) == index.search(vector=np.ones(6), group_by="product").total - 1
    )
    single = index.search(id="article 9", k=COUNT, group_by="product")
    assert single.total == len(single) == found.total


def test_queries_of_one_batch_have_their_own_groups(index: Index) -> None:
    queries = [
        Query(vector=np.random.default_rng(seed).normal(size=6), k=7, group_by="product")
        for seed in range(5)
    ]
    queries.append(Query(id="article 30", k=7, group_by="product"))
    alone = [index.search_many([query])[0] for query in queries]
    together = index.search_many(queries)
    assert [[one.id for one in row] for row in together] == [
        [one.id for one in row] for row in alone
    ]
    assert [row.total for row in together] == [row.total for row in alone]


def test_keywords_stay_first_in_their_group(index: Index) -> None:
    ranked = index.search_many([Query(vector=np.ones(6), k=3, group_by="product")])[0]
    assert len({product(one) for one in ranked}) == 3


def test_results_are_sorted_by_a_field(index: Index) -> None:
    vector = np.ones(6)
    prices = [float(one.fields["price"]) for one in index.search(vector=vector, k=200)]
    for order, expected in (("price", sorted(prices)), ("-price", sorted(prices)[::-1])):
        found = index.search(vector=vector, sort=order, k=10, offset=5, min_relevance=0)
        assert [one.fields["price"] for one in found] == expected[5:15]
        assert found.total == COUNT
    relevant = index.search(vector=vector, k=COUNT, min_relevance=0.5)
    found = index.search(vector=vector, sort="price", k=COUNT)
    assert {one.id for one in found} == {one.id for one in relevant}
    assert found.total == len(relevant)


def test_items_without_a_value_are_last(index: Index) -> None:
    found = index.search(vector=np.ones(6), sort="-brand", k=COUNT, min_relevance=0)
    brands = [one.fields.get("brand") for one in found]
    assert brands == ["Acme"] * 30 + [None] * 30


@pytest.mark.parametrize("option", ["sort", "group_by"])
def test_an_unknown_field_is_an_error(index: Index, option: str) -> None:
    with pytest.raises(SettingError, match=f"`{option}` names a field that no item has"):
        index.search_many([replace(Query(vector=np.ones(6)), **{option: "prize"})])  # type: ignore[arg-type]


def test_half_of_the_score_of_what_to_be_unlike_is_subtracted(
    index: Index, space: CommonSpace, data: Dataset
) -> None:
    query = np.random.default_rng(5).normal(size=6).astype(np.float32)
    unlike = ["article 7", "article 9"]
    means = []
    for id in unlike:
        units = [v / np.linalg.norm(v) for v in index.vectors(id).values()]
        means.append(np.mean(units, axis=0) if len(units) > 1 else units[0])
    negative = np.mean([mean / np.linalg.norm(mean) for mean in means], axis=0)
    weighted = query / np.linalg.norm(query) - 0.5 * negative / np.linalg.norm(negative)
    best: dict[str, float] = {}
    for part in space.embed_dataset(data).values():
        for row, vector in zip(part.rows.tolist(), part.vectors, strict=True):
            id = data.ids[row]
            best[id] = max(best.get(id, -np.inf), float(vector @ weighted))
    for id in unlike:
        del best[id]
    expected = sorted(best.items(), key=lambda pair: -pair[1])
    found = index.search(vector=query, less_like=unlike, k=COUNT)
    assert found.total == COUNT - 2
    assert [one.score for one in found] == pytest.approx([score for _, score in expected], abs=1e-5)
    assert [one.id for one in found[:20]] == [id for id, _ in expected[:20]]
    one_by_one = index.search(vector=query, less_like="article 7", k=3)
    assert [one.id for one in one_by_one] == [
        one.id for one in index.search(vector=query, less_like=["article 7"], k=3)
    ]
    by_vector = index.search(vector=query, less_like_vector=negative, k=COUNT)
    assert by_vector.total == COUNT
    known = {one.id: one.score for one in by_vector}
    assert all(known[one.id] == pytest.approx(one.score, abs=1e-5) for one in found)


def test_relevance_is_that_of_the_query_alone(index: Index) -> None:
    plain = {one.id: one.relevance for one in index.search(vector=np.ones(6), k=COUNT)}
    found = index.search(vector=np.ones(6), less_like="article 0", k=COUNT)
    agreed = sum(
        one.relevance == pytest.approx(plain[one.id], abs=1e-6) for one in found
    )  # the best modality of the others differs
    assert agreed > COUNT / 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"less_like": "article 999"}, "no item 'article 999'"),
        ({"less_like": 7}, "`less_like` must be the id"),
        ({"less_like_vector": np.zeros(6)}, "zero"),
        ({"less_like_vector": [1.0]}, "wrong shape"),
    ],
)
def test_what_cannot_be_unlike_is_an_error(
    index: Index, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(Exception, match=message):
        index.search(vector=np.ones(6), **options)


def test_facets_count_products(index: Index, data: Dataset) -> None:
    """By a naive count of the products of each value."""
    for where, accepted in ((None, lambda _: True), ("price < 300", lambda price: price < 300)):
        products: dict[tuple[str, Any], set[str]] = {}
        for row in range(COUNT):
            if not accepted(data.fields["price"][row]):
                continue
            named = data.fields["product"][row] or f"alone {row}"
            for name in ("brand", "price"):
                value = data.fields[name][row]
                if value is not None:
                    products.setdefault((name, value), set()).add(named)
        facets = index.facets(where, group_by="product")
        found = {
            (name, value): count
            for name in ("brand", "price")
            for value, count in facets[name].items()
        }
        assert found == {key: len(names) for key, names in products.items()}
    with pytest.raises(SettingError, match="group_by"):
        index.facets(group_by="shelf")


def test_facets_leave_out_words_to_avoid(index: Index, data: Dataset) -> None:
    kept = [row for row in range(COUNT) if data.fields["brand"][row] != "Acme"]
    assert 0 < len(kept) < COUNT
    facets = index.facets(without="acme")
    assert "Acme" not in facets.get("brand", {})
    assert facets["price"] == Counter(data.fields["price"][row] for row in kept)


def test_variants_are_the_others_of_the_group(index: Index, data: Dataset) -> None:
    assert index.variants(data.ids[4]) == []  # no field is the group yet
    assert index.count_groups() == COUNT
    index.set_roles({"group": "product"})
    assert index.variants(data.ids[4]) == [data.ids[3], data.ids[5]]
    assert index.variants(data.ids[9]) == []  # without a product
    assert index.variants("nothing") == []
    named = {one for one in data.fields["product"] if one is not None}
    alone = sum(one is None for one in data.fields["product"])
    assert index.count_groups() == len(named) + alone


def test_results_far_below_the_best_are_not_sorted(index: Index, data: Dataset) -> None:
    """Of those with a relevance of one half, these have less than three quarters of the best."""
    vector = index.vectors(data.ids[3])["image"]
    plain = index.search(vector=vector, k=COUNT)
    best = max(one.relevance or 0 for one in plain)
    least = max(0.5, 0.75 * best)
    expected = {one.id for one in plain if (one.relevance or 0) >= least}
    found = index.search(vector=vector, k=COUNT, sort="price")
    assert {one.id for one in found} == expected
    assert found.total == len(expected)
