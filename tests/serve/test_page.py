"""The page in a browser, with a service of a small index of drawn scenes."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import commonspace as cs
from commonspace.data import Texts
from tests.serve.browser import (
    CLASSES,
    PHONE,
    WIDE,
    Service,
    Visit,
    photo_of,
    shown,
    small_targets,
    until,
    violations,
    wait_for,
)


def test_words_find_and_the_address_keeps_them(visit: Visit, service: Service) -> None:
    page = visit()
    page.fill("#words", "a green boat")
    page.press("#words", "Enter")
    wait_for(page, service.ids(text="a green boat"))
    assert len(set(shown(page))) == 24  # no item twice
    until(lambda: page.inner_text("#status").startswith("Best 24 of 240 items ("))
    first = page.locator(".card").first
    assert first.locator(".meta").inner_text().startswith("boat · ")
    assert "likely to have a class of the query" in first.locator(".bar").text_content()
    assert first.locator(".price").inner_text()
    assert "?q=a+green+boat" in page.url
    page.go_back()
    page.wait_for_selector(".start")
    page.go_forward()
    wait_for(page, service.ids(text="a green boat"))
    assert page.input_value("#words") == "a green boat"


def test_one_modality_can_be_searched(visit: Visit, service: Service) -> None:
    page = visit("?q=a+green+boat")
    page.click("#show-options")
    page.select_option("#modality", "text")
    wait_for(page, service.ids(text="a green boat", modality="text"))
    assert "modality=text" in page.url


def test_cards_have_one_height_and_titles_two_lines(visit: Visit) -> None:
    page = visit("?q=a+green+boat")
    page.wait_for_selector(".card")
    sizes = page.eval_on_selector_all(
        ".card", "all => all.map(each => Math.round(each.getBoundingClientRect().height))"
    )
    assert len(set(sizes)) == 1
    lines = page.eval_on_selector_all(
        ".card .title",
        "all => all.map(each => each.getBoundingClientRect().height"
        " / parseFloat(getComputedStyle(each).lineHeight))",
    )
    assert max(lines) <= 2.1


def test_more_is_loaded_and_back_keeps_place_and_pages(visit: Visit, service: Service) -> None:
    page = visit("?q=a+green+boat")
    page.click(".more")
    found = service.index.search(text="a green boat", k=48)
    wait_for(page, [one.id for one in found])
    card = page.locator(".card .open").nth(40)
    card.scroll_into_view_if_needed()
    page.wait_for_timeout(400)
    place = page.evaluate("scrollY")
    assert place > 100
    page.fill("#words", "a red car")
    page.press("#words", "Enter")
    wait_for(page, service.ids(text="a red car"))
    assert page.evaluate("scrollY") == 0
    page.go_back()
    wait_for(page, [one.id for one in found])
    until(lambda: abs(page.evaluate("scrollY") - place) < 20)
    page.reload()
    wait_for(page, [one.id for one in found])
    until(lambda: abs(page.evaluate("scrollY") - place) < 20)


def test_a_photo_is_sent_once_and_stays_in_the_address(
    visit: Visit, service: Service, tmp_path: Path
) -> None:
    row = service.data.ids.index("cactus-038")
    file = tmp_path / "photo.png"
    file.write_bytes(photo_of(service, row))
    page = visit()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url.rpartition("/")[2]))
    page.set_input_files("#file", file)
    wait_for(page, service.ids(image=file))
    assert page.is_visible("#asked canvas")
    page.locator("#weight").press("End")
    wait_for(page, service.ids(image=file, instance_weight=1))
    page.fill("#words", "a red car")
    page.press("#words", "Enter")
    both = service.ids(image=file, text="a red car", instance_weight=1)
    wait_for(page, both)
    assert sent.count("embed") == 1
    page.reload()
    wait_for(page, both)
    assert page.is_visible("#asked canvas")
    other = visit(page.url[page.url.index("?") :])  # a shared link, in another browser
    wait_for(other, both)
    page.click("#asked button")
    wait_for(page, service.ids(text="a red car", instance_weight=1))


def test_large_photos_are_scaled_before_they_are_sent(visit: Visit, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    Image.fromarray(draw.integers(0, 255, (1500, 2000, 3), np.uint8)).save(tmp_path / "a.png")
    page = visit()
    bodies: list[bytes] = []

    def keep(route: Any) -> None:  # noqa: ANN401
        bodies.append(route.request.post_data_buffer or b"")
        route.continue_()

    page.route("**/v1/embed", keep)
    page.set_input_files("#file", tmp_path / "a.png")
    page.wait_for_selector(".card")
    start = bodies[0].index(b"\xff\xd8")
    with Image.open(io.BytesIO(bodies[0][start:])) as image:
        assert (image.format, image.size) == ("JPEG", (800, 600))


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_dropped_or_pasted_photo_is_searched(visit: Visit, service: Service, way: str) -> None:
    page = visit()
    content = photo_of(service, service.data.ids.index("boat-039"))
    page.evaluate(
        """([way, bytes]) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "a.png", {type: "image/png"}));
            const event = way === "drop"
                ? new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true})
                : new ClipboardEvent("paste", {clipboardData: data, bubbles: true});
            document.body.dispatchEvent(event);
        }""",
        [way, list(content)],
    )
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    wait_for(page, service.ids(image=pixels))


def test_a_file_that_is_not_a_photo_is_refused(visit: Visit, tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    file.write_bytes(b"PK\x03\x04 a zip")
    page = visit()
    page.set_input_files("#file", file)
    page.wait_for_selector("#notice:visible")
    assert "not a photo that can be read" in page.inner_text("#notice")


def test_the_instance_weight_changes_the_order(visit: Visit, service: Service) -> None:
    page = visit("?q=a+green+boat&modality=image")
    wait_for(page, service.ids(text="a green boat", modality="image"))
    default, start = shown(page), float(page.input_value("#weight"))
    assert default == service.ids(text="a green boat", modality="image", instance_weight=start)
    page.locator("#weight").press("End")
    wait_for(page, service.ids(text="a green boat", modality="image", instance_weight=1))
    assert shown(page) != default
    assert page.get_attribute("#weight", "aria-valuetext") == "exact item"
    assert "weight=1" in page.url
    assert page.inner_text("#weight-box").split("\n") == ["Similar category", "Exact item"]


def test_filters_narrow_and_are_kept_in_the_address(visit: Visit, service: Service) -> None:
    page = visit("?q=a+green+boat", **WIDE)
    page.wait_for_selector(".values .count")
    page.click("[data-name=color] label:has-text('green')")
    asked = {"text": "a green boat"}
    wait_for(page, service.ids(**asked, where='color = "green"'))
    page.click("[data-name=sale] label:has-text('no')")
    page.click("[data-name=price] summary")
    page.fill("[aria-label='Price, to']", "150")
    where = 'color = "green" and sale = false and price <= 150'
    wait_for(page, service.ids(**asked, where=where))
    assert page.locator("#active .chip").all_inner_texts() == [
        "Color: green",
        "Sale: no",
        "Price ≤ 150",
    ]
    page.reload()
    wait_for(page, service.ids(**asked, where=where))
    page.click("#active .chip:has-text('Sale')")
    wait_for(page, service.ids(**asked, where='color = "green" and price <= 150'))
    page.click(".filters .clear")
    wait_for(page, service.ids(**asked))
    assert page.is_hidden("#active")


def test_counts_are_those_of_the_other_filters(visit: Visit, service: Service) -> None:
    page = visit("?q=a+green+boat&is:color=green&max:price=150", **WIDE)

    def counts(name: str) -> dict[str, int]:
        rows = page.locator(f"[data-name={name}] .values li").all()
        texts = [(row.locator(".value"), row.locator(".count")) for row in rows]
        return {value.inner_text(): int(count.inner_text()) for value, count in texts}

    page.wait_for_selector("[data-name=label] .count")
    for value, count in counts("label").items():
        where = f'label = "{value}" and color = "green" and price <= 150'
        assert count == service.index.count(where)
    until(lambda: counts("color")["red"] > 0)
    for value, count in counts("color").items():
        assert count == service.index.count(f'color = "{value}" and price <= 150')


def test_long_filters_can_be_searched_and_unique_values_are_left_out(visit: Visit) -> None:
    page = visit("?q=a+green+boat", **WIDE)
    page.wait_for_selector(".values .count")
    names = page.eval_on_selector_all("#filters details", "all => all.map(one => one.dataset.name)")
    assert names == ["label", "color", "sale", "price", "maker", "note"]  # no sku
    page.click("[data-name=maker] summary")
    assert page.locator("[data-name=maker] .values li").count() == 8
    page.click("[data-name=maker] button:has-text('6 more')")
    assert page.locator("[data-name=maker] .values li").count() == 14
    page.fill("[data-name=maker] .find", "13")
    until(lambda: page.locator("[data-name=maker] .values li").count() == 1)
    assert page.evaluate("document.activeElement.className") == "find"


def test_results_are_sorted_by_a_number(visit: Visit, service: Service) -> None:
    page = visit("?q=a+green+boat")
    page.wait_for_selector(".card")
    page.select_option("#sort", "-price")
    found = service.index.search(text="a green boat", k=200, min_relevance=0.5)
    best = max(one.relevance or 0 for one in found)
    good = [one for one in found if (one.relevance or 0) >= 0.75 * best or one.has_keywords]
    ordered = sorted(good, key=lambda one: -one.fields["price"])[:24]
    wait_for(page, [one.id for one in ordered])
    assert "sort=-price" in page.url


def test_an_item_opens_steps_and_closes(visit: Visit, service: Service) -> None:
    page = visit("?q=a+green+boat")
    first, second = service.ids(text="a green boat")[:2]
    card = page.locator(f"[data-id={first}] .open")
    card.click()
    page.wait_for_selector("#item .posterior")
    column = service.data.columns["text"]
    assert isinstance(column, Texts)
    text = column.items[service.data.ids.index(first)][0]
    assert page.inner_text("#item h2") == text
    assert page.inner_text("#item .place") == "1 of 24"
    until(lambda: page.eval_on_selector(".item-photo img", "one => one.naturalWidth") == 64)
    before = page.evaluate(
        "document.querySelector('.item-photo').compareDocumentPosition("
        "document.querySelector('#item h2')) & Node.DOCUMENT_POSITION_FOLLOWING"
    )
    assert before  # the photo comes first
    assert page.locator("#item .posterior .name").first.inner_text() == "boat"
    assert page.locator("#item .near .open").count() > 2
    assert f"item={first}" in page.url
    page.keyboard.press("ArrowRight")
    until(lambda: page.inner_text("#item .place") == "2 of 24")
    assert f"item={second}" in page.url
    page.click("#item [data-step=previous]")
    until(lambda: page.inner_text("#item .place") == "1 of 24")
    until(lambda: page.inner_text("#item h2") == text)  # the header changes before the rest
    page.click(".item-photo")
    page.wait_for_selector(".lightbox")
    box = page.locator(".item-photo").bounding_box()
    assert (box["x"], box["width"]) == (0, page.viewport_size["width"])
    page.keyboard.press("Escape")
    assert page.locator(".lightbox").count() == 0
    page.keyboard.press("Escape")
    page.wait_for_selector("#item", state="hidden")
    assert "item=" not in page.url
    assert card.evaluate("one => one === document.activeElement")


def test_more_like_this_searches_by_the_item(visit: Visit, service: Service) -> None:
    page = visit("?item=boat-001")
    page.click("#item .go")
    wait_for(page, service.ids(id="boat-001"))
    assert "like=boat-001" in page.url
    assert page.is_visible("#asked")
    assert page.locator(".card .meta").first.inner_text().startswith("boat")


def test_where_nothing_matches_the_page_helps(visit: Visit, service: Service) -> None:
    best = max(
        found.relevance or 0
        for found in service.index.search("a red car", k=24, where='label = "balloon"')
    )
    assert best < 0.5
    page = visit("?q=a+red+car&is:label=balloon")
    page.wait_for_selector(".grid.dimmed")
    assert page.inner_text(".poor h2") == "Nothing matches well"
    assert len(shown(page)) == 24
    page.click(".poor button:has-text('Search without filters')")
    wait_for(page, service.ids(text="a red car"))
    assert page.locator(".poor").count() == 0


def test_where_no_item_passes_each_filter_can_be_removed(visit: Visit, service: Service) -> None:
    page = visit("?q=a+red+car&is:label=balloon&max:price=0")
    page.wait_for_selector(".poor")
    assert "No item passes the filters" in page.inner_text(".poor")
    page.click(".poor .chip:has-text('Price')")
    wait_for(page, service.ids(text="a red car", where='label = "balloon"'))


def test_keys_lead_through_the_page(visit: Visit, service: Service) -> None:
    page = visit("?q=a+green+boat")
    page.wait_for_selector(".card")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "words"
    tabs = 0
    on = "document.activeElement.closest('[data-id]')?.dataset.id"
    while page.evaluate(on) is None:
        page.keyboard.press("Tab")
        tabs += 1
        assert tabs <= 8
    ids = shown(page)
    assert page.evaluate(on) == ids[0]
    page.keyboard.press("ArrowRight")
    assert page.evaluate(on) == ids[1]
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(on) == ids[0]
    page.keyboard.press("Enter")
    page.wait_for_selector("#item[open] .facts")


def test_the_skip_link_leads_to_the_first_result(visit: Visit) -> None:
    page = visit("?q=a+green+boat")
    page.wait_for_selector(".card")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('[data-id]').dataset.id") == shown(page)[0]


def test_an_item_that_is_gone_is_reported(visit: Visit) -> None:
    page = visit("?item=no%2Fsuch", allow="404")
    page.wait_for_selector("#item .notice")
    assert "no longer available" in page.inner_text("#item .notice")


@pytest.mark.parametrize(
    "query",
    [
        "?q=a+green+boat&photo=undefined",
        "?q=a+green+boat&photo=photo-1&weight=NaN&modality=sound&sort=nothing",
        "?q=a+green+boat&photo=aaaaaaaa.AAAA&weight=7&is:nothing=x&min:color=3&max:price=many",
        "?q=+a+green+boat+&view=nowhere&is:=&min:=1&sort=color",
    ],
)
def test_invalid_parts_of_an_address_are_left_out(
    visit: Visit, service: Service, query: str
) -> None:
    page = visit(query)
    wait_for(page, service.ids(text="a green boat"))
    assert page.is_hidden("#notice")
    assert page.is_hidden("#active")
    page.reload()
    wait_for(page, service.ids(text="a green boat"))


def test_errors_say_what_to_do(visit: Visit, service: Service) -> None:
    page = visit(allow="Failed to load")
    page.route("**/search", lambda route: route.abort())
    page.fill("#words", "boat")
    page.press("#words", "Enter")
    page.wait_for_selector("#notice:visible")
    assert "No connection" in page.inner_text("#notice")
    page.unroute("**/search")
    page.click("#notice button")
    wait_for(page, service.ids(text="boat"))
    assert page.is_hidden("#notice")


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 415, 422, 429, 500, 502, 503])
def test_visitors_read_no_advice_for_programmers(visit: Visit, status: int) -> None:
    page = visit(allow="Failed to load")
    parts = ("problem", "expected", "found", "advice")
    error = {"code": "any", **dict.fromkeys(parts, "GET /openapi.json")}
    page.route("**/search", lambda route: route.fulfill(status=status, json={"error": error}))
    page.fill("#words", "boat")
    page.press("#words", "Enter")
    page.wait_for_selector("#notice:visible")
    text = page.inner_text("#notice")
    assert "openapi" not in text
    assert "any" not in text.split()


def test_a_key_is_requested_and_sent(visit: Visit) -> None:
    page = visit(allow="401")
    keys: list[str] = []

    def answer(route: Any) -> None:  # noqa: ANN401
        key = route.request.headers.get("authorization", "")
        keys.append(key)
        if key == "Bearer secret":
            route.continue_()
        else:
            route.fulfill(status=401, json={"error": {"problem": "no API key"}})

    page.route("**/search", answer)
    page.fill("#words", "boat")
    page.press("#words", "Enter")
    page.fill("#notice input", "secret")
    page.press("#notice input", "Enter")
    page.wait_for_selector(".card")
    assert "Bearer secret" in keys


def test_results_are_saved_as_csv_without_formulas(visit: Visit, service: Service) -> None:
    page = visit("?q=a+green+boat")
    page.wait_for_selector(".card")
    with page.expect_download() as download:
        page.click(".save")
    content = Path(download.value.path()).read_text("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(content)))
    found = service.index.search(text="a green boat", k=24)
    assert [row["id"] for row in rows] == [one.id for one in found]
    assert [float(row["score"]) for row in rows] == pytest.approx([one.score for one in found])
    assert [row["price"] for row in rows] == [str(one.fields["price"]) for one in found]
    notes = {"=1+1": "'=1+1", 'plain, "quoted"': 'plain, "quoted"'}
    assert [row["note"] for row in rows] == [notes[one.fields["note"]] for one in found]


def test_cells_of_csv_are_safe(visit: Visit) -> None:
    values = ["=1", "+x", "-2", "-2.5e3", "@a", "\tb", " =c", "a,b", 'q"q', "", "plain", "-x"]
    wanted = ["'=1", "'+x", "-2", "-2.5e3", "'@a", "'\tb", "' =c", '"a,b"', '"q""q"', "", "plain"]
    cells = visit().evaluate(
        "values => import('./page/csv.js').then(({cell}) => values.map(cell))", values
    )
    assert cells == [*wanted, "'-x"]


def test_the_start_view_has_samples_and_recent_searches(visit: Visit, service: Service) -> None:
    page = visit()
    names = page.locator(".sample .name").all_inner_texts()
    assert names == sorted(service.data.class_names)
    until(lambda: page.eval_on_selector(".sample img", "one => one.naturalWidth") == 64)
    assert page.locator(".recent").count() == 0
    page.click(".sample:has-text('boat')")
    wait_for(page, service.ids(text="boat"))
    page.click("#home")
    assert page.locator(".recent .quiet").all_inner_texts() == ["boat"]
    options = page.eval_on_selector_all("#suggestions option", "all => all.map(one => one.value)")
    assert set(service.data.class_names) <= set(options)
    assert "green" in options
    page.click(".recent .text")
    assert page.locator(".recent").count() == 0


def test_the_map_shows_points_and_the_star(visit: Visit, service: Service) -> None:
    page = visit("?q=a+green+boat&view=map")
    page.wait_for_selector(".map-caption:has-text('your search')")
    colors = page.evaluate(
        """() => { const canvas = document.querySelector('canvas.points');
            const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return new Set(new Uint32Array(data.buffer)).size; }"""
    )
    assert colors > 50  # six colors, and their edges
    counts = page.locator(".classes .count").all_inner_texts()
    assert counts == ["80"] * CLASSES  # a picture and a text of each


def places_of(page: Any, found: dict[str, Any]) -> tuple[list[float], list[float]]:  # noqa: ANN401
    """Return where the points of a map lie on the page, in pixels, by the rule that it all fits."""
    width, height = page.evaluate(
        "(stage => [stage.clientWidth, stage.clientHeight])(document.querySelector('.stage'))"
    )
    x, y = np.array(found["x"]), np.array(found["y"])
    scale = min((width - 72) / np.ptp(x), (height - 72) / np.ptp(y))
    across = x * scale + (width - (x.min() + x.max()) * scale) / 2
    down = y * scale + (height - (y.min() + y.max()) * scale) / 2
    return across.tolist(), down.tolist()


def test_hovering_the_map_shows_an_item(visit: Visit, service: Service) -> None:
    page = visit("?view=map")
    page.wait_for_selector("canvas.over")
    box = page.locator("canvas.over").bounding_box()
    across, down = places_of(page, page.request.get(f"{service.address}/map").json())
    at = across[0], down[0]
    page.mouse.move(box["x"] + at[0] - 1, box["y"] + at[1])
    page.mouse.move(box["x"] + at[0], box["y"] + at[1])
    page.wait_for_selector(".hover-card:visible .photo img")
    page.mouse.click(box["x"] + at[0], box["y"] + at[1])
    page.wait_for_selector("#item[open] .facts")


def test_the_lasso_lists_what_it_holds(visit: Visit, service: Service) -> None:
    page = visit("?view=map")
    page.click(".map-tools [aria-pressed]")
    box = page.locator("canvas.over").bounding_box()
    found = page.request.get(f"{service.address}/map").json()
    width = box["width"]
    corners = [(1, 1), (width / 2, 1), (width / 2, box["height"] - 1), (1, box["height"] - 1)]
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    page.mouse.down()
    for x, y in corners:
        page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.up()
    across, _ = places_of(page, found)
    inside = [row for row, x in enumerate(across) if x < width / 2]
    page.wait_for_selector(f".chosen h2:text-is('{len(inside)} selected')")
    with page.expect_download() as download:
        page.click(".chosen .quiet")
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = [(found["ids"][row], found["classes"][found["class"][row]]) for row in inside]
    assert [(row["id"], row["class"]) for row in rows] == expected
    assert [float(row["x"]) for row in rows] == [found["x"][row] for row in inside]


def test_a_class_is_shown_alone(visit: Visit) -> None:
    page = visit("?view=map")
    page.click(".classes button >> nth=2")
    assert page.get_attribute(".classes button >> nth=2", "aria-pressed") == "true"
    page.click(".legend .quiet:text-is('List the visible items')")
    page.wait_for_selector(".chosen h2:text-is('80 selected')")
    page.click(".legend .quiet:text-is('Show all classes')")
    page.click(".legend .quiet:text-is('List the visible items')")
    page.wait_for_selector(f".chosen h2:text-is('{80 * CLASSES} selected')")


def test_no_map_and_a_map_in_the_making_are_told(visit: Visit) -> None:
    page = visit(allow="Failed to load")
    answers = [
        {"status": 503, "headers": {"Retry-After": "1"}, "json": {"error": {"code": "busy"}}},
        {"status": 404, "json": {"error": {"problem": "no map", "advice": "make one"}}},
    ]
    page.route("**/map", lambda route: route.fulfill(**answers.pop(0)))
    page.click("#to-map")
    page.wait_for_selector(".map-state h2:text-is('The map is being computed')")
    page.wait_for_selector(".map-state h2:text-is('There is no map yet')")
    assert page.inner_text(".map-state p") == "The operator of this service can add one."


@pytest.mark.parametrize("query", ["", "?q=a+boat", "?q=a+boat&item=boat-001", "?view=map"])
def test_nothing_is_wider_than_a_phone(visit: Visit, query: str) -> None:
    page = visit(query, viewport={"width": 360, "height": 740}, has_touch=True)
    page.wait_for_selector({"": ".sample", "?view=map": ".stage"}.get(query, ".card"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_dark_follows_the_system_and_can_be_turned(visit: Visit) -> None:
    page = visit("?q=boat", color_scheme="dark")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    assert page.evaluate(ground) == "rgb(21, 23, 27)"
    page.click("#theme")
    assert page.evaluate(ground) == "rgb(250, 250, 248)"
    page.reload()
    assert page.evaluate(ground) == "rgb(250, 250, 248)"


def test_chinese_follows_the_browser_and_can_be_turned(visit: Visit) -> None:
    page = visit("?q=boat", locale="zh-CN")
    page.wait_for_selector("#status:has-text('共 240 项，显示最匹配的 24 项')")
    assert page.get_attribute("html", "lang") == "zh-Hans"
    page.click("#language")
    page.wait_for_selector("#status:has-text('Best 24 of 240 items')")
    assert page.inner_text("#to-map") == "Map"


def test_both_languages_say_everything(visit: Visit) -> None:
    words = visit().evaluate("import('./page/words.js').then(module => module.WORDS)")
    names = {
        language: {key: set(_names(said)) for key, said in sentences.items()}
        for language, sentences in words.items()
    }
    assert names["en"] == names["zh"]
    used = "".join(file.read_text() for file in PAGE.glob("*.js"))
    used += (PAGE / "index.html").read_text()
    assert [key for key in words["en"] if f'"{key}"' not in used and f"{key}:" not in used] == []


PAGE = Path(cs.__file__).parent / "serve" / "page"


def _names(said: str | list[str]) -> list[str]:
    return re.findall(r"\{(\w+)\}", "".join(said))


def test_points_are_drawn_where_they_are(visit: Visit) -> None:
    """A disc, a diamond and a point outside: each pixel beside a slow, plain drawing."""
    drawn = visit().evaluate(
        """async () => {
            const {drawPoints} = await import('./page/map_points.js');
            const context = new OffscreenCanvas(40, 30).getContext('2d');
            const points = {x: [10, 30, 99], y: [12, 20, 5], shape: [0, 1, 0], group: [0, 1, 2]};
            drawPoints(context, points, {scale: 1, left: 0, top: 0}, 4, 'light', null);
            return [...context.getImageData(0, 0, 40, 30).data];
        }"""
    )
    pixels = np.array(drawn, dtype=float).reshape(30, 40, 4)[..., :3]
    paper, blue, amber = np.array([[250, 250, 248], [0, 0x72, 0xB2], [0xE6, 0x9F, 0]])
    rows, columns = np.mgrid[:30, :40]
    disc = np.clip(4.5 - np.hypot(rows - 12, columns - 10), 0, 1)
    diamond = np.clip(0.85 * 4 + 0.5 - (abs(rows - 20) + abs(columns - 30)) / np.sqrt(2), 0, 1)
    expected = paper + (disc[..., None] * (blue - paper) + diamond[..., None] * (amber - paper)) * (
        230 / 256
    )
    assert np.abs(pixels - expected).max() < 2


@pytest.mark.parametrize(
    ("query", "ready"),
    [
        ("", ".sample"),
        ("?q=a+green+boat&is:color=green", ".card"),
        ("?q=a+red+car&is:label=balloon", ".dimmed"),
        ("?q=a+green+boat&item=boat-001", "#item .near"),
        ("?q=a+green+boat&view=map", ".map-caption:has-text('your search')"),
    ],
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visit: Visit, query: str, ready: str, scheme: str) -> None:
    page = visit(query, color_scheme=scheme, reduced_motion="reduce")
    page.wait_for_selector(ready)
    assert violations(page) == []


@pytest.mark.parametrize(
    ("query", "ready"),
    [
        ("", ".sample"),
        ("?q=a+boat&is:color=green", ".card"),
        ("?q=a+boat&item=boat-001", "#item .near"),
        ("?view=map", ".classes button"),
    ],
)
def test_touch_targets_are_44_pixels_on_a_phone(visit: Visit, query: str, ready: str) -> None:
    page = visit(query, **PHONE)
    page.wait_for_selector(ready)
    page.wait_for_timeout(300)
    assert small_targets(page) == []


def test_filters_are_a_sheet_on_a_phone(visit: Visit, service: Service) -> None:
    page = visit("?q=a+green+boat", **PHONE)
    page.wait_for_selector(".card")
    page.evaluate("scrollTo(0, 900)")
    page.evaluate("document.getElementById('show-filters').click()")
    page.wait_for_selector("#sheet[open] .values .count")
    box = page.locator("#sheet").bounding_box()
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 360, 740)
    assert small_targets(page) == []
    page.click("#sheet [data-name=color] label:has-text('green')")
    page.click("#sheet .filters-foot .go")
    page.wait_for_selector("#sheet", state="hidden")
    wait_for(page, service.ids(text="a green boat", where='color = "green"'))
    assert page.evaluate("document.activeElement.id") == "show-filters"
