"""The page in a real browser, on the real service, over a small index of drawn scenes."""

import csv
import io
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

import commonspace as cs
from commonspace.data import Images, Texts
from commonspace.datasets.scenes.scenes import scenes
from commonspace.encoders import Encoder
from commonspace.encoders.encoder import describe
from commonspace.methods import PosteriorMatching
from commonspace.methods.base.encoder_config import EncoderConfig
from commonspace.networks.multi_branch import MultiBranchNetwork

uvicorn = pytest.importorskip("uvicorn", reason="the extra serve is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from commonspace.serve.app import build_app  # noqa: E402 - after the skips
from commonspace.serve.projection import make_map  # noqa: E402
from commonspace.serve.settings import ServiceSettings  # noqa: E402

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

CLASSES = 6
AXE = Path(__file__).parent / "axe.min.js"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Held(EncoderConfig):
    """Stands for encoders that are there already."""

    encoders_held: ClassVar[dict[str, Encoder]] = {}

    def build(
        self, train: cs.Dataset, validation: cs.Dataset, seed: int, callback: object = None
    ) -> dict[str, Encoder]:
        return self.encoders_held


def few_scenes() -> cs.Dataset:
    """Return the scenes of a few classes."""
    drawn = scenes(per_class=40)
    rows = np.arange(CLASSES * 40)
    return cs.Dataset(
        name="scenes",
        ids=drawn.ids[: len(rows)],
        columns={name: column.take(rows) for name, column in drawn.columns.items()},
        labels=drawn.labels[rows, :CLASSES],
        class_names=drawn.class_names[:CLASSES],
        splits=drawn.splits[rows],
        fields={
            "colour": drawn.fields["color"][: len(rows)],
            "sale": [bool(row % 3) for row in rows],
            "price": [int(row) for row in rows],
        },
    )


def instance_space(data: cs.Dataset) -> cs.CommonSpace:
    """Return a space that knows kinds and things: posterior matching over backbones of DSCMR."""
    parts = data.split("train"), data.split("validation")
    first = cs.DSCMR(epochs=8, device="cpu").fit(*parts)
    network = first.network
    assert isinstance(network, MultiBranchNetwork)
    Held.encoders_held = {
        name: describe(
            input_,
            network.backbone(name),
            network.config.backbones[name],
            spec="held",
            name="a backbone of DSCMR",
            preprocessing="that of the backbone",
            fitted_on="train",
        )
        for name, input_ in first.inputs.items()
    }
    return PosteriorMatching(epochs=5, device="cpu", encoders=Held()).fit(*parts)


@dataclass(frozen=True)
class Service:
    address: str
    index: cs.Index
    data: cs.Dataset

    def ids(self, **asked: Any) -> list[str]:  # noqa: ANN401 - options of search
        """Return what the index itself finds: the oracle of the page."""
        return [found.id for found in self.index.search(k=24, **asked)]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    place, data = tmp_path_factory.mktemp("page") / "index", few_scenes()
    with cs.Index.create(place, instance_space(data), data) as index:
        make_map(index)
        app = build_app(place, ServiceSettings(name="scenes", rate=0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
            thread.start()
            deadline = time.monotonic() + 20
            while not server.started and time.monotonic() < deadline:
                time.sleep(0.02)
            yield Service(f"http://127.0.0.1:{port}", index, data)
            server.should_exit = True
            thread.join(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


Visit = Callable[..., Any]


@pytest.fixture
def visit(browser: Any, service: Service) -> Iterator[Visit]:  # noqa: ANN401 - playwright's
    """Return what opens the page; at the end nothing must have gone wrong or off the machine."""
    contexts, wrong = [], []

    def opened(query: str = "", *, allow: str = "nothing", **context: Any) -> Any:  # noqa: ANN401
        one = browser.new_context(**{"locale": "en-GB", **context})
        contexts.append(one)
        page = one.new_page()
        page.set_default_timeout(8000)
        page.on(
            "console",
            lambda said: (
                wrong.append(said.text)
                if said.type in ("error", "warning") and allow not in said.text
                else None
            ),
        )
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                None
                if asked.url.startswith((service.address, "blob:"))
                else wrong.append(f"off the machine: {asked.url}")
            ),
        )
        page.goto(f"{service.address}/{query}")
        until(lambda: page.title().startswith("scenes"))
        return page

    yield opened
    for one in contexts:
        one.close()
    assert wrong == []


def shown(page: Any, modality: str = "image") -> list[str]:  # noqa: ANN401
    """Return the ids on the page, in their order."""
    ids: list[str] = page.eval_on_selector_all(
        f"[data-modality={modality}] [data-id]", "all => all.map(one => one.dataset.id)"
    )
    return ids


def wait_for(page: Any, ids: list[str], modality: str = "image") -> None:  # noqa: ANN401
    """Wait until the page shows these, in this order."""
    until(lambda: shown(page, modality) == ids)


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds: asked from here, for the page's policy forbids to evaluate."""
    deadline = time.monotonic() + 8
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.03)


def photo_of(service: Service, row: int) -> bytes:
    """Return the picture of an item as a PNG."""
    column = service.data.columns["image"]
    assert isinstance(column, Images)
    file = io.BytesIO()
    Image.fromarray(column.items[row]).save(file, "PNG")  # type: ignore[arg-type]
    return file.getvalue()


def test_words_find_and_the_address_keeps_them(visit: Visit, service: Service) -> None:
    page = visit()
    page.fill("#words", "a green boat")
    page.press("#words", "Enter")
    for modality in ("image", "text"):
        asked = {"text": "a green boat", "modality": modality, "instance_weight": 0}
        wait_for(page, service.ids(**asked), modality)
    assert page.inner_text("#status").startswith("48 results in ")
    first = page.locator("[data-modality=image] .card").first
    assert first.locator(".labels").inner_text() == "boat"
    assert "likely to share a class" in first.locator(".bar").text_content()
    assert "?q=a+green+boat" in page.url
    page.go_back()
    page.wait_for_selector(".empty")
    page.go_forward()
    wait_for(page, service.ids(text="a green boat", modality="image", instance_weight=0))
    assert page.input_value("#words") == "a green boat"


def test_more_is_shown_without_gaps(visit: Visit, service: Service) -> None:
    page = visit("?q=a+green+boat&modality=image")
    page.click(".more")
    found = service.index.search(text="a green boat", modality="image", instance_weight=0, k=48)
    wait_for(page, [one.id for one in found])


def test_a_chosen_photo_asks(visit: Visit, service: Service, tmp_path: Path) -> None:
    row = service.data.ids.index("cactus-038")
    file = tmp_path / "photo.png"
    file.write_bytes(photo_of(service, row))
    page = visit()
    page.set_input_files("#file", file)
    wait_for(page, service.ids(image=file, modality="image", instance_weight=0))
    assert page.is_visible("#asked canvas")
    page.fill("#words", "a red car")
    page.press("#words", "Enter")
    both = service.ids(image=file, text="a red car", modality="text", instance_weight=0)
    wait_for(page, both, "text")
    page.click("#asked button")
    wait_for(page, service.ids(text="a red car", modality="image", instance_weight=0))


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_dropped_or_pasted_photo_asks(visit: Visit, service: Service, way: str) -> None:
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
    wait_for(page, service.ids(image=pixels, modality="image", instance_weight=0))


def test_what_is_no_photo_is_refused_in_words(visit: Visit, tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    file.write_bytes(b"PK\x03\x04 a zip")
    page = visit()
    page.set_input_files("#file", file)
    page.wait_for_selector("#notice:visible")
    assert "no photo that the page can read" in page.inner_text("#notice")


def test_the_dial_ranks_anew(visit: Visit, service: Service) -> None:
    page = visit("?q=a+green+boat&modality=image")
    wait_for(page, service.ids(text="a green boat", modality="image", instance_weight=0))
    kind = shown(page)
    page.locator("#instance_weight").press("End")
    wait_for(page, service.ids(text="a green boat", modality="image", instance_weight=1))
    assert shown(page) != kind
    assert page.get_attribute("#instance_weight", "aria-valuetext") == "this very thing"
    assert "g=1" in page.url


def test_filters_narrow_and_are_kept_in_the_address(visit: Visit, service: Service) -> None:
    page = visit("?q=a+green+boat&modality=image", viewport={"width": 1280, "height": 900})
    page.click(".chip:text-is('green')")
    asked = {"text": "a green boat", "modality": "image", "instance_weight": 0}
    wait_for(page, service.ids(**asked, where='colour = "green"'))
    page.click(".chip:text-is('no')")
    page.click(".filters summary:text-is('price')")
    page.fill("[aria-label='price, to']", "150")
    where = 'colour = "green" and sale = false and price <= 150'
    wait_for(page, service.ids(**asked, where=where))
    assert page.inner_text("#filters-label") == "Filters (3)"
    page.reload()
    wait_for(page, service.ids(**asked, where=where))
    page.click(".filters .clear")
    wait_for(page, service.ids(**asked))


def test_an_item_opens_and_closes(visit: Visit, service: Service) -> None:
    page = visit("?q=a+green+boat")
    first = service.ids(text="a green boat", modality="image", instance_weight=0)[0]
    card = page.locator(f"[data-modality=image] [data-id={first}] .open")
    card.click()
    page.wait_for_selector("#item .posterior")
    column = service.data.columns["text"]
    assert isinstance(column, Texts)
    text = column.items[service.data.ids.index(first)][0]
    assert page.inner_text("#item h2") == text
    until(lambda: page.eval_on_selector(".item-photo img", "one => one.naturalWidth") == 64)
    assert page.locator("#item .posterior .name").first.inner_text() == "boat"
    assert page.locator("#item .near .open").count() > 2
    assert f"item={first}" in page.url
    page.keyboard.press("Escape")
    page.wait_for_selector("#item", state="hidden")
    assert "item=" not in page.url
    assert card.evaluate("one => one === document.activeElement")


def test_more_like_this_asks_across_modalities(visit: Visit, service: Service) -> None:
    page = visit("?item=boat-001")
    page.click("#item .go")
    page.wait_for_selector("[data-modality=text] [data-id]")
    assert "like=boat-001" in page.url
    assert page.is_visible("#asked")
    labels = page.locator("[data-modality=text] .row .labels").all_inner_texts()
    assert labels[:5] == ["boat"] * 5


def test_where_nothing_matches_the_page_says_so(visit: Visit, service: Service) -> None:
    asked = {"text": "a red car", "instance_weight": 0, "where": 'label = "balloon"'}
    best = max(found.relevance or 0 for found in service.index.search(k=1, **asked))  # type: ignore[arg-type]
    assert best < 0.5
    page = visit("?q=a+red+car&is:label=balloon")
    page.wait_for_selector(".parts.dimmed")
    assert page.inner_text(".poor h2") == "Nothing matches well"
    assert len(shown(page)) == 24


def test_keys_lead_through_the_page(visit: Visit, service: Service) -> None:
    page = visit("?q=a+green+boat")
    page.wait_for_selector(".card")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "words"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    ids = shown(page)
    on = "document.activeElement.closest('[data-id]').dataset.id"
    assert page.evaluate(on) == ids[1]
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(on) == ids[0]
    page.keyboard.press("Enter")
    page.wait_for_selector("#item[open] .facts")


def test_an_item_of_a_link_that_is_gone_is_told(visit: Visit) -> None:
    page = visit("?item=no%2Fsuch", allow="404")
    page.wait_for_selector("#item .notice")
    assert "no such item" in page.inner_text("#item .notice")


def test_errors_are_told_with_what_to_do(visit: Visit, service: Service) -> None:
    page = visit(allow="Failed to load")
    page.route("**/search", lambda route: route.abort())
    page.fill("#words", "boat")
    page.press("#words", "Enter")
    page.wait_for_selector("#notice:visible")
    assert "does not answer" in page.inner_text("#notice")
    page.unroute("**/search")
    page.click("#notice button")
    wait_for(page, service.ids(text="boat", modality="image", instance_weight=0))
    assert page.is_hidden("#notice")


def test_a_key_is_asked_for_and_sent(visit: Visit) -> None:
    page = visit(allow="401")
    heard: list[str] = []

    def answer(route: Any) -> None:  # noqa: ANN401
        given = route.request.headers.get("authorization", "")
        heard.append(given)
        if given == "Bearer secret":
            route.continue_()
        else:
            route.fulfill(status=401, json={"error": {"problem": "no API key"}})

    page.route("**/search", answer)
    page.fill("#words", "boat")
    page.press("#words", "Enter")
    page.fill("#notice input", "secret")
    page.press("#notice input", "Enter")
    page.wait_for_selector(".card")
    assert "Bearer secret" in heard


def test_the_map_shows_points_and_the_star(visit: Visit, service: Service) -> None:
    page = visit("?q=a+green+boat&view=map")
    page.wait_for_selector(".map-caption:has-text('your query')")
    colours = page.evaluate(
        """() => { const canvas = document.querySelector('canvas.points');
            const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return new Set(new Uint32Array(data.buffer)).size; }"""
    )
    assert colours > 50  # six colours, and their edges
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
    with Path(download.value.path()).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = [(found["ids"][row], found["classes"][found["class"][row]]) for row in inside]
    assert [(row["id"], row["class"]) for row in rows] == expected
    assert [float(row["x"]) for row in rows] == [found["x"][row] for row in inside]


def test_a_class_is_shown_alone(visit: Visit) -> None:
    page = visit("?view=map")
    page.click(".classes button >> nth=2")
    assert page.get_attribute(".classes button >> nth=2", "aria-pressed") == "true"
    page.click(".legend .quiet:text-is('List what is in view')")
    page.wait_for_selector(".chosen h2:text-is('80 selected')")
    page.click(".legend .quiet:text-is('Show all classes')")
    page.click(".legend .quiet:text-is('List what is in view')")
    page.wait_for_selector(f".chosen h2:text-is('{80 * CLASSES} selected')")


def test_no_map_and_a_map_in_the_making_are_told(visit: Visit) -> None:
    page = visit(allow="Failed to load")
    answers = [
        {"status": 503, "headers": {"Retry-After": "1"}, "json": {"error": {"problem": "busy"}}},
        {"status": 404, "json": {"error": {"problem": "no map", "advice": "make one"}}},
    ]
    page.route("**/map", lambda route: route.fulfill(**answers.pop(0)))
    page.click("#to-map")
    page.wait_for_selector(".map-state h2:text-is('The map is being made')")
    page.wait_for_selector(".map-state h2:text-is('This index has no map yet')")
    assert "no map; make one" in page.inner_text(".map-state p")


@pytest.mark.parametrize("query", ["", "?q=a+boat", "?q=a+boat&item=boat-001", "?view=map"])
def test_nothing_is_wider_than_a_phone(visit: Visit, query: str) -> None:
    page = visit(query, viewport={"width": 360, "height": 740}, has_touch=True)
    page.wait_for_selector({"": ".empty", "?view=map": ".stage"}.get(query, ".card"))
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
    page.wait_for_selector("#status:has-text('48 条结果')")
    assert page.get_attribute("html", "lang") == "zh-Hans"
    page.click("#language")
    page.wait_for_selector("#status:has-text('48 results')")
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
        ("", ".empty"),
        ("?q=a+green+boat&is:colour=green", ".card"),
        ("?q=a+red+car&is:label=balloon", ".dimmed"),
        ("?q=a+green+boat&item=boat-001", "#item .near"),
        ("?q=a+green+boat&view=map", ".map-caption:has-text('your query')"),
    ],
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit: Visit, query: str, ready: str, scheme: str) -> None:
    page = visit(query, color_scheme=scheme, reduced_motion="reduce")
    page.wait_for_selector(ready)
    page.evaluate(AXE.read_text("utf-8"))
    report = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [
        (one["id"], [node["target"] for node in one["nodes"]][:4])
        for one in report["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []
