"""Take screenshots of the page for the README and docs/page.md, from a running service.

    commonspace serve INDEX --port 8000
    python docs/make_screenshots.py http://127.0.0.1:8000 docs/pictures

INDEX contains the built-in scenes, and a map; docs/page.md shows how to make it. Needs playwright
and chromium.
"""

import io
import shutil
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

TOUCH: dict[str, Any] = {"viewport": PHONE, "has_touch": True, "is_mobile": True}
STATES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "start": ("", ".sample", {}),
    "results": ("?q=a+kite", ".card", {}),
    "filters": ("?q=a+boat&is:color=green&is:color=blue&max:price=60", ".card", {}),
    "dark": ("?q=a+green+boat+at+night", ".card", {"color_scheme": "dark"}),
    "item": ("?q=a+green+boat&item=boat-001", "#item .near", {}),
    "none": ("?q=a+rocket&is:label=cup", ".poor", {}),
    "map": ("?q=a+green+boat&view=map", ".map-caption:has-text('your search')", {}),
    "chinese": ("?q=a+kite", ".card", {"locale": "zh-CN"}),
    "phone": ("?q=a+cactus", ".card", TOUCH),
    "phone-start": ("", ".sample", TOUCH),
    "phone-filters": ("?q=a+boat&is:color=green", ".card", TOUCH),
    "phone-item": ("?q=a+green+boat&item=boat-001", "#item .near", TOUCH),
    "phone-map": ("?q=a+green+boat&view=map", ".map-caption", TOUCH),
}
"""Name of a screenshot -> address, selector to wait for, settings of the browser."""


def main(address: str, out: Path, names: list[str]) -> None:
    """Take screenshots as PNG files of at most 256 colors."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for name, (query, selector, settings) in STATES.items():
            if names and name not in names:
                continue
            context = browser.new_context(**{"viewport": WIDE, "locale": "en-GB", **settings})
            page = context.new_page()
            page.goto(f"{address}/{query}")
            page.wait_for_selector(selector)
            if name == "phone-filters":
                page.click("#show-filters")
            _wait_for_pictures(page)
            screenshot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            screenshot.quantize(256, dither=Image.Dither.NONE).save(
                out / f"page-{name}.png", optimize=True
            )
            context.close()
        browser.close()


def _wait_for_pictures(page: Page) -> None:
    page.wait_for_load_state("networkidle")  # pictures below the screen are not loaded
    page.wait_for_timeout(600)  # animations end


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), Path(sys.argv[2]), sys.argv[3:])
