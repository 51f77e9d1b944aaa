"""Takes the screenshots of the web page for README and docs/page.md from a running service.

    commonspace serve INDEX --port 8000
    python docs/make_screenshots.py http://127.0.0.1:8000 docs/pictures

The index holds the built-in scenes and has a map; docs/page.md describes how it is made. Needs
Playwright and Chromium.
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
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

STATES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "results": ("?q=a+red+kite", ".card", {}),
    "dark": ("?q=a+green+boat+at+night", ".card", {"color_scheme": "dark"}),
    "phone": ("?q=a+lighthouse", ".card", {"viewport": PHONE, "has_touch": True}),
    "map": ("?q=a+red+kite&view=map", ".map-caption:has-text('your query')", {}),
    "none": ("?q=a+rocket&is:label=cup", ".dimmed", {}),
    "item": ("?q=a+red+kite&item=kite-001", "#item .near", {}),
    "chinese": ("?q=a+red+kite", ".card", {"locale": "zh-CN"}),
}
"""Name of a picture -> address, selector to wait for, and settings of the browser."""


def main(address: str, out: Path) -> None:
    """Take every picture, as a PNG of at most 256 colors."""
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for name, (query, ready, setting) in STATES.items():
            context = browser.new_context(**{"viewport": WIDE, "locale": "en-GB", **setting})
            page = context.new_page()
            page.goto(f"{address}/{query}")
            page.wait_for_selector(ready)
            _wait_for_pictures(page)
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            picture.quantize(256, dither=Image.Dither.NONE).save(
                out / f"page-{name}.png", optimize=True
            )
            context.close()
        browser.close()


def _wait_for_pictures(page: Page) -> None:
    page.wait_for_load_state("networkidle")  # pictures below the screen are not fetched
    page.wait_for_timeout(600)  # what glides comes to rest


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), Path(sys.argv[2]))
