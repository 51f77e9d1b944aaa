"""Take screenshots of the page for the README and docs/page.md.

    python -m docs.make_screenshots docs/pictures                  all of them
    python -m docs.make_screenshots docs/pictures item phone --index shop

Draws 24 classes of scenes, trains a space with an instance block on them, indexes them with a few
invented fields, serves the index and opens each state of the page in Chromium. With --index the
index is used, and made if it does not exist. Needs playwright and chromium.
"""

import argparse
import io
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

import commonspace as cs
from commonspace.datasets.scenes.scenes import scenes
from commonspace.serve.projection import make_map
from tests.serve.browser import FLAGS, instance_space, serving

WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}
TOUCH: dict[str, Any] = {"viewport": PHONE, "has_touch": True, "is_mobile": True}
STATES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "start": ("", ".sample", {}),
    "results": ("?q=a+kite", ".card", {}),
    "options": ("?q=a+boat&without=green&variety=0.5&group=1", ".card", {}),
    "filters": ("?q=a+boat&is:color=green&is:color=blue&max:price=60", ".card", {}),
    "dark": ("?q=a+green+boat+at+night", ".card", {"color_scheme": "dark"}),
    "item": ("?q=a+green+boat&item=boat-001", "#item .near", {}),
    "lightbox": ("?q=a+green+boat&item=ITEM", "#item .near", {}),
    "words-photo": ("?q=a+red+kite", ".card", {}),
    "none": ("?q=a+rocket&is:label=cup", ".poor", {}),
    "map": ("?q=a+green+boat&view=map", ".map-caption:has-text('your search')", {}),
    "label": ("?view=label", ".to-label-item", {}),
    "chinese": ("?q=a+kite", ".card", {"locale": "zh-CN"}),
    "phone": ("?q=a+cactus", ".card", TOUCH),
    "phone-start": ("", ".sample", TOUCH),
    "phone-options": ("?q=a+boat", ".card", TOUCH),
    "phone-filters": ("?q=a+boat&is:color=green", ".card", TOUCH),
    "phone-item": ("?q=a+green+boat&item=boat-001", "#item .near", TOUCH),
    "phone-map": ("?q=a+green+boat&view=map", ".map-caption", TOUCH),
    "phone-label": ("?view=label", ".to-label-item", TOUCH),
}
"""Name of a screenshot -> address, selector to wait for, settings of the browser."""

ACTIONS: dict[str, Callable[[Page, Path], Any]] = {
    "options": lambda page, _: page.click("#show-options"),
    "lightbox": lambda page, _: page.click(".item-photo"),
    "words-photo": lambda page, photo: page.set_input_files("#file", photo),
    "phone-options": lambda page, _: page.click("#show-options"),
    "phone-filters": lambda page, _: page.click("#show-filters"),
}
"""What is done before a screenshot."""


def catalog(per_class: int = 60) -> cs.Dataset:
    """Return the scenes with invented fields, a few of them without a class."""
    data = scenes(per_class=per_class)
    n, draw = len(data), np.random.default_rng(0)
    brands = ("Acme", "Basalt", "Kitely", "Lumen", "Northwind", "Paperworks", "Tidewater", "Vela")
    labels = data.labels.copy()
    labels[draw.choice(np.flatnonzero(data.splits == "train"), n // 20, replace=False)] = False
    return replace(
        data,
        labels=labels,
        fields={
            "color": data.fields["color"],
            "brand": [brands[one] for one in draw.integers(0, len(brands), n)],
            "price": np.round(draw.lognormal(3.5, 0.6, n), 2).tolist(),
            "on_sale": (draw.random(n) < 0.25).tolist(),
        },
    )


def make_index(folder: Path) -> None:
    """Train a space on the scenes and index them, with a map."""
    data = catalog()
    with cs.Index.create(folder, instance_space(data), data, roles={"price": "price"}) as index:
        make_map(index)


def take(address: str, out: Path, names: list[str], photo: Path, item: str) -> None:
    """Take screenshots as PNG files of at most 256 colors."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for name, (query, selector, settings) in STATES.items():
            if names and name not in names:
                continue
            context = browser.new_context(**{"viewport": WIDE, "locale": "en-GB", **settings})
            page = context.new_page()
            page.goto(f"{address}/{query.replace('ITEM', item)}")
            page.wait_for_selector(selector)
            if name in ACTIONS:
                ACTIONS[name](page, photo)
            _wait_for_pictures(page)
            screenshot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            screenshot.quantize(256, dither=Image.Dither.NONE).save(
                out / f"page-{name}.png", optimize=True
            )
            context.close()
        browser.close()


def main() -> None:
    """Make the index, serve it, and take the screenshots."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the pictures")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(STATES))
    parser.add_argument("--index", type=Path, help="index to use, or to make there")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(STATES))
    if unknown:
        parser.error(f"no pictures of these names: {', '.join(unknown)}")
    with tempfile.TemporaryDirectory() as place:
        given.out.mkdir(parents=True, exist_ok=True)
        folder = given.index or Path(place) / "shop"
        if not folder.exists():
            make_index(folder)
        with serving(folder, catalog(6), writable=True, name="Print shop") as service:
            photo = Path(place) / "photo.png"
            first = service.index.search("a blue kite", k=1)[0]
            pixels = service.index.picture(first.id)
            Image.fromarray(np.asarray(pixels)).save(photo)
            item = service.index.search("a green boat", k=2)[1].id
            take(service.address, given.out, given.names, photo, item)


def _wait_for_pictures(page: Page) -> None:
    page.wait_for_load_state("networkidle")  # pictures below the screen are not loaded
    page.wait_for_timeout(600)  # animations end


if __name__ == "__main__":
    main()
