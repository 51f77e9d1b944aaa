"""Options of a search on the page: against what the index itself finds."""

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import commonspace as cs
from tests.serve.browser import (
    PHONE,
    WIDE,
    Service,
    Visit,
    photo_of,
    serving,
    small_targets,
    until,
    violations,
    wait_for,
)
from tests.serve.conftest import visits


def test_words_can_be_avoided(visit: Visit, service: Service) -> None:
    page = visit("?q=a+boat")
    wait_for(page, service.ids(text="a boat"))
    page.click("#show-options")
    page.fill("#without", "green")
    page.press("#without", "Enter")
    wait_for(page, service.ids(text="a boat", without="green"))
    assert "without=green" in page.url
    page.reload()
    wait_for(page, service.ids(text="a boat", without="green"))
    page.click("#active .chip:has-text('Without: green')")
    wait_for(page, service.ids(text="a boat"))
    assert page.input_value("#without") == ""


def test_words_with_a_hyphen_are_avoided(visit: Visit, service: Service) -> None:
    page = visit("")
    page.fill("#words", 'a -green boat -"red sky"')
    page.press("#words", "Enter")
    wait_for(page, service.ids(text="a boat", without="green, red sky"))
    assert page.input_value("#words") == "a boat"
    assert page.locator("#active .chip").all_inner_texts() == ["Without: green, red sky"]
    counts = service.index.facets(without="green, red sky")["color"]
    until(lambda: page.locator("#filters [data-name=color] .count").count() > 0)
    shown = page.eval_on_selector_all(
        "#filters [data-name=color] label",
        "all => all.map(one => [one.querySelector('.value').textContent,"
        " Number(one.querySelector('.count').textContent)])",
    )
    assert {name: count for name, count in shown if count} == dict(counts)


def test_the_photos_of_an_item_are_one_result(
    browser: Any,  # noqa: ANN401 - playwright's
    scenes_index: tuple[Path, cs.Dataset],
    tmp_path: Path,
) -> None:
    """Makers stand for items: the role of the group is all that it needs."""
    place = Path(shutil.copytree(scenes_index[0], tmp_path / "shop"))
    with cs.Index.open(place) as index:
        index.set_roles({"group": "maker"})
    with serving(place, scenes_index[1]) as running, visits(browser, running) as visit:
        found = running.index.search("a boat", k=24, group_by="maker")
        page = visit("?q=a+boat")
        wait_for(page, [one.id for one in found])
        assert page.inner_text("#status").startswith("Best 14 of 14 items")
        badges = [f"+ {len(one.similar)} more" for one in found]
        assert page.locator(".alike").all_inner_texts() == badges
        counts = running.index.facets(group_by="maker")["label"]
        until(lambda: page.locator("#filters [data-name=label] .count").count() > 0)
        assert {
            int(one) for one in page.locator("#filters [data-name=label] .count").all_inner_texts()
        } == set(counts.values())
        page.click("#found .card .open >> nth=0")
        page.wait_for_selector("#item .variants")
        variants = running.index.variants(found[0].id)
        assert page.locator("#item .variants button").count() == min(24, len(variants))
        assert violations(page) == []
        page.click("#item .variants button >> nth=0")
        until(lambda: f"item={variants[0]}" in page.url)
        page.keyboard.press("Escape")
        page.click("#show-options")
        page.uncheck("#together")
        wait_for(page, running.ids(text="a boat"))
        assert "apart=1" in page.url
        page.click("#active .chip:has-text('Each photo separately')")
        wait_for(page, [one.id for one in found])


def test_variety_and_near_duplicates(visit: Visit, service: Service) -> None:
    page = visit("?q=a+green+boat&variety=0.8&group=1")
    asked: dict[str, Any] = {"text": "a green boat", "diversity": 0.8}
    wait_for(page, service.ids(**asked, max_similarity=0.95))
    assert page.locator("#active .chip").all_inner_texts() == [
        "Order: very varied",
        "Near-duplicates once",
    ]
    found = service.index.search(k=24, **asked, max_similarity=0.95)
    badges = [f"+ {len(one.similar)} alike" for one in found if one.similar]
    assert page.locator(".alike").all_inner_texts() == badges
    page.click("#show-options")
    page.uncheck("#group")
    wait_for(page, service.ids(**asked))
    page.locator("#variety").press("Home")
    wait_for(page, service.ids(text="a green boat"))
    assert page.is_hidden("#active")


def test_words_are_weighed_against_the_photo(
    visit: Visit, service: Service, tmp_path: Path
) -> None:
    file = tmp_path / "photo.png"
    file.write_bytes(photo_of(service, service.data.ids.index("cactus-038")))
    page = visit("?q=a+red+car")
    page.click("#show-options")
    assert page.is_hidden("#mix-box")  # there are words only
    page.set_input_files("#file", file)
    both: dict[str, Any] = {"image": file, "text": "a red car"}
    wait_for(page, service.ids(**both))
    page.locator("#mix").press("Home")
    wait_for(page, service.ids(**both, text_weight=0))
    assert "mix=0" in page.url
    assert page.locator("#active .chip").all_inner_texts() == ["Words 0%"]
    page.locator("#mix").press("End")
    wait_for(page, service.ids(**both, text_weight=1))
    page.click("#asked button")
    wait_for(page, service.ids(text="a red car"))
    assert page.is_hidden("#active")  # the weight has no meaning now


def test_results_can_be_unlike_an_item(visit: Visit, service: Service) -> None:
    first = service.ids(text="a green boat")[0]
    page = visit(f"?q=a+green+boat&item={first}")
    page.click("#item .actions button:has-text('Less like this')")
    wait_for(page, service.ids(text="a green boat", less_like=[first]))
    assert f"unlike={first}" in page.url
    page.reload()
    wait_for(page, service.ids(text="a green boat", less_like=[first]))
    page.click("#active .chip:has-text('Less like')")
    wait_for(page, service.ids(text="a green boat"))


@pytest.mark.parametrize(
    "query", ["&mix=2&variety=-1&group=yes&unlike=", "&mix=&variety=NaN&without=+&view=label"]
)
def test_invalid_options_of_an_address_are_left_out(
    visit: Visit, service: Service, query: str
) -> None:
    page = visit(f"?q=a+green+boat{query}")
    wait_for(page, service.ids(text="a green boat"))
    assert page.is_hidden("#active")
    assert page.is_hidden("#to-label")  # the index cannot be changed


def test_options_open_and_close_by_keys(visit: Visit) -> None:
    page = visit("?q=a+green+boat", **WIDE)
    page.wait_for_selector(".card")
    page.focus("#show-options")
    page.keyboard.press("Enter")
    assert page.get_attribute("#show-options", "aria-expanded") == "true"
    assert page.evaluate("document.activeElement.id") == "modality"
    assert violations(page) == []
    page.keyboard.press("Escape")
    assert page.is_hidden("#options")
    assert page.evaluate("document.activeElement.id") == "show-options"


def test_options_are_large_enough_on_a_phone(visit: Visit) -> None:
    page = visit("?q=a+boat", **PHONE)
    page.wait_for_selector(".card")
    page.click("#show-options")
    assert small_targets(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_lightbox_steps_from_photo_to_photo(visit: Visit, service: Service) -> None:
    first, second = service.ids(text="a green boat")[:2]
    page = visit(f"?q=a+green+boat&item={first}", **WIDE)
    page.wait_for_selector("#item .near")
    page.click(".item-photo")
    page.wait_for_selector(".lightbox")
    assert violations(page) == []
    page.click("[data-step=next]")
    until(lambda: f"/{second}/image" in page.get_attribute(".lightbox .item-photo img", "src"))
    box = page.locator(".lightbox .item-photo").bounding_box()
    assert (box["width"], box["height"]) == (1280, 900)
    for _ in range(8):  # what is covered has no focus
        page.keyboard.press("Tab")
        inside = "document.activeElement.closest('.item-facts, .near, .posterior') === null"
        assert page.evaluate(inside)
    page.keyboard.press("ArrowLeft")
    until(lambda: f"/{first}/image" in page.get_attribute(".lightbox .item-photo img", "src"))
    page.click(".shut")
    assert page.locator(".lightbox").count() == 0
    assert page.is_visible("#item .near")


def test_photos_are_shown_whole(visit: Visit, service: Service) -> None:
    """A tall photo is scaled into its square, not cut off."""
    page = visit("", **WIDE)
    tall = io.BytesIO()
    Image.new("RGB", (50, 400), "red").save(tall, "PNG")
    page.route(
        "**/thumbnail?*",
        lambda route: route.fulfill(body=tall.getvalue(), content_type="image/png"),
    )
    page.fill("#words", "a green boat")
    page.press("#words", "Enter")
    wait_for(page, service.ids(text="a green boat"))
    first = page.locator(".card img").first
    until(lambda: first.evaluate("one => one.naturalHeight") == 400)
    image, square = first.bounding_box(), page.locator(".card .photo").first.bounding_box()
    assert image["height"] <= square["height"] + 1
