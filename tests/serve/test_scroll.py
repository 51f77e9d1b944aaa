"""The list of items: complete, in pages, by filter, also through the client."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

import commonspace as cs
from commonspace import Dataset
from commonspace.async_client import AsyncClient
from commonspace.client import Client
from commonspace.errors import ServiceError, SettingError
from commonspace.serve import ServiceSettings, build_app

Listen = Callable[[FastAPI], AbstractContextManager[str]]


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_pages_list_every_item_once(client: TestClient, shop: Dataset, limit: int) -> None:
    ids, query = list[str](), {"limit": limit}
    for _ in range(len(shop) + 1):
        page = client.get("/v1/items", params=query).json()
        assert len(page["items"]) <= limit
        ids += [item["id"] for item in page["items"]]
        if page["cursor"] is None:
            break
        query["cursor"] = page["cursor"]
    assert ids == list(shop.ids)


def test_a_filter_limits_the_list(index: Path, shop: Dataset) -> None:
    with cs.Index.open(index) as opened:
        page = opened.scroll("price < 3 and brand is null", limit=10)
    assert [item.id for item in page.items] == [shop.ids[0], shop.ids[2]]
    assert page.cursor is None


def test_items_that_are_removed_meanwhile_change_nothing_else(
    shop: Dataset, shop_space: cs.CommonSpace, tmp_path: Path
) -> None:
    with cs.Index.create(tmp_path / "shop", shop_space, shop) as opened:
        first = opened.scroll(limit=5)
        opened.remove([shop.ids[4], shop.ids[6]])
        second = opened.scroll(limit=3, cursor=first.cursor)
    assert [item.id for item in second.items] == [shop.ids[5], shop.ids[7], shop.ids[8]]


@pytest.mark.parametrize("query", [{"cursor": "x"}, {"limit": 0}, {"where": "prise < 3"}])
def test_wrong_queries_are_refused(client: TestClient, query: dict[str, str]) -> None:
    assert client.get("/v1/items", params=query).status_code in (400, 422)


def test_wrong_arguments_are_refused(index: Path) -> None:
    with cs.Index.open(index) as opened:
        for arguments in ({"limit": 0}, {"limit": 10_001}, {"cursor": "²"}):
            with pytest.raises(SettingError):
                opened.scroll(**arguments)


def test_the_client_lists_all_items(index: Path, shop: Dataset, listening: Listen) -> None:
    with listening(build_app(index, ServiceSettings(rate=0.0))) as address:
        items = [*Client(address).items(page=7)]
        cheap = [*Client(address).items("price < 2")]
    assert [item.id for item in items] == list(shop.ids)
    assert [item.id for item in cheap] == list(shop.ids[:2])
    assert items[0].texts == shop.columns["text"].items[0]  # type: ignore[attr-defined]


def test_the_asynchronous_client_answers_as_the_other_one(
    index: Path, shop: Dataset, listening: Listen
) -> None:
    async def ask(address: str) -> None:
        async with AsyncClient(address) as client:
            red, blue = await asyncio.gather(client.search("red", k=3), client.search("blue"))
            assert [one.id for one in red] == [one.id for one in Client(address).search("red", k=3)]
            assert len(blue) == 10
            assert [item.id async for item in client.items(page=7)] == list(shop.ids)
            assert (await client.item("a/b")).id == "a/b"
            with pytest.raises(ServiceError) as refused:
                await client.put_many([{"id": "1", "text": ["red"]}])
            assert refused.value.status == 403

    with listening(build_app(index, ServiceSettings(rate=0.0))) as address:
        asyncio.run(ask(address))
