"""Labels given on the page of a writable service: stored, shown, and proposed."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import commonspace as cs
from commonspace.data import label_file_of
from tests.serve.browser import PHONE, Service, Visit, serving, small_targets, until, violations
from tests.serve.conftest import visits


@pytest.fixture
def writable(scenes_index: tuple[Path, cs.Dataset], tmp_path: Path) -> Iterator[Service]:
    """A service of a copy of the index, that stores labels and feedback."""
    place = Path(shutil.copytree(scenes_index[0], tmp_path / "shop"))
    with serving(
        place, scenes_index[1], writable=True, feedback=tmp_path / "votes.jsonl"
    ) as running:
        yield running


@pytest.fixture
def edit(browser: Any, writable: Service) -> Iterator[Visit]:  # noqa: ANN401 - playwright's
    """Return what opens the page of the writable service."""
    with visits(browser, writable) as opened:
        yield opened


def lines(service: Service) -> list[tuple[str, list[str]]]:
    """Return the ids and labels of the stored lines."""
    file = label_file_of(service.index.path)
    text = file.read_text("utf-8") if file.exists() else ""
    return [(line["id"], line["labels"]) for line in map(json.loads, text.splitlines())]


def test_a_class_is_confirmed_and_corrected(edit: Visit, writable: Service) -> None:
    page = edit("?q=a+green+boat&item=boat-001")
    page.wait_for_selector(".labeler")
    assert page.locator(".labeler .chip").all_inner_texts() == ["boat"]
    assert page.inner_text(".labeler [role=status]") == "From the data, not confirmed"
    assert violations(page) == []
    page.click(".labeler button:text-is('Confirm')")
    page.wait_for_selector(".labeler [role=status]:text-is('Stored')")
    page.click(".labeler .chip")
    assert page.inner_text(".labeler [role=status]") == "Not saved yet"
    page.fill(".labeler input", "comet")
    page.press(".labeler input", "Enter")
    assert page.locator(".labeler .chip").all_inner_texts() == ["comet"]
    page.click(".labeler button:text-is('Save')")
    until(lambda: lines(writable) == [("boat-001", ["boat"]), ("boat-001", ["comet"])])
    item = writable.index.item("boat-001")
    assert item is not None
    assert item.labels == ("comet",)
    page.reload()
    page.wait_for_selector(".labeler [role=status]:text-is('Confirmed by a person')")


def test_what_to_label_next_is_listed_and_stored(edit: Visit, writable: Service) -> None:
    data = writable.data
    train = [data.ids[row] for row in (data.splits == "train").nonzero()[0][:3]]
    writable.index.set_labels(dict.fromkeys(train, ()))
    page = edit("")
    page.click("#to-label")
    page.wait_for_selector(".to-label-item")
    assert "view=label" in page.url
    ids = page.eval_on_selector_all(".to-label-item", "all => all.map(one => one.dataset.id)")
    assert sorted(ids) == sorted(train)
    assert "3 without a class" in page.inner_text(".label-next [role=status]:visible >> nth=0")
    assert violations(page) == []
    first = page.locator(".to-label-item").first
    name = first.locator("[data-class]").first.get_attribute("data-class")
    first.locator("[data-class]").first.click()
    until(lambda: lines(writable) == [(ids[0], [name])])
    until(lambda: first.locator("[data-class]").first.get_attribute("aria-pressed") == "true")
    second = page.locator(".to-label-item").nth(1)
    second.locator("input").fill("comet")
    second.locator("input").press("Enter")
    until(lambda: lines(writable)[1:] == [(ids[1], ["comet"])])
    page.click(".after .go")
    until(lambda: page.locator(".to-label-item").count() == 1)


def test_the_list_fits_a_phone(edit: Visit) -> None:
    page = edit("?view=label", **PHONE)
    page.wait_for_selector(".label-next .status:has-text('without a class')")
    assert small_targets(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_judgment_is_stored(edit: Visit, writable: Service, tmp_path: Path) -> None:
    page = edit("?q=a+green+boat&item=boat-001")
    page.click(".thumbs button:text-is('yes')")
    page.wait_for_selector(".thumbs [role=status]:text-is('Thank you')")
    assert page.get_attribute(".thumbs button:text-is('yes')", "aria-pressed") == "true"
    (record,) = map(json.loads, (tmp_path / "votes.jsonl").read_text("utf-8").splitlines())
    assert (record["id"], record["text"], record["useful"]) == ("boat-001", "a green boat", True)
