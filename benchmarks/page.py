"""Latency of the web page in a browser: time to the first result, and frame times of the map.

    python -m benchmarks.page                       12,000 items, 50,000 points on the map
    python -m benchmarks.page --per-class 40 --points 5000

The index is ``words`` of ``benchmarks/service.py``, served by the command ``commonspace serve``.
Playwright drives Debian's Chromium, headless and without a GPU: the processor that serves also
draws. Times are measured in the page. ``result`` is the time from the Enter key to the frame with
the first result of the new query, ``photo`` to the moment when its photo is shown. For the map the
answer of the service is replaced by random points in 24 classes and two modalities; the page is
dragged and zoomed once per frame, so that each frame draws all points, and the time between frames
is recorded.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from benchmarks.service import Server, build_words

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
KINDS = ("kite", "boat", "tree", "clock", "house", "cup", "fish", "lighthouse")
COLORS = ("red", "orange", "yellow", "green", "blue")
FRAMES = 180

WATCH = """() => {
  const found = document.getElementById("found");
  let start = 0, told = {};
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter") [start, told] = [event.timeStamp, {}];
  }, true);
  const since = (name) => { told[name] ??= performance.now() - start; };
  new MutationObserver(() => {
    if (!found.querySelector("[data-id]") || told.seen) return;
    told.seen = true;
    requestAnimationFrame(() => setTimeout(() => since("result")));
    const photo = found.querySelector("[data-id] img");
    if (!photo || photo.complete) requestAnimationFrame(() => setTimeout(() => since("photo")));
    else photo.addEventListener("load", () => since("photo"));
  }).observe(found, { childList: true });
  globalThis.told = () => told;
}"""
"""Records the times of the Enter key, of the frame with the first result, and of its photo."""

MOVE = """async ([way, frames]) => {
  const canvas = document.querySelector("canvas.over");
  const box = canvas.getBoundingClientRect();
  const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
  const send = (type, [clientX, clientY], more) => {
    const said = { clientX, clientY, bubbles: true, cancelable: true, view: window, ...more };
    if (type === "wheel") canvas.dispatchEvent(new WheelEvent(type, said));
    else (type === "mousedown" ? canvas : window).dispatchEvent(new MouseEvent(type, said));
  };
  const frame = () => new Promise((then) => requestAnimationFrame(then));
  const put = CanvasRenderingContext2D.prototype.putImageData;
  let drawn = 0;
  CanvasRenderingContext2D.prototype.putImageData = function (...given) {
    drawn++;
    put.apply(this, given);
  };
  if (way === "pan") send("mousedown", [x, y]);
  const times = [];
  let last = await frame();
  for (let n = 0; n < frames; n++) {
    const turn = 2 * Math.PI * n / frames;
    if (way === "pan") send("mousemove", [x + 200 * Math.sin(turn), y + 120 * Math.sin(2 * turn)]);
    else send("wheel", [x, y], { deltaY: n < frames / 2 ? -20 : 20 });
    const now = await frame();
    times.push(now - last);
    last = now;
  }
  if (way === "pan") send("mouseup", [x, y]);
  CanvasRenderingContext2D.prototype.putImageData = put;
  return [times, drawn];
}"""
"""Drags, or zooms in and out, one step per frame.

Returns the milliseconds between frames, and how often the points were drawn.
"""


def first_results(page: Page, address: str) -> dict[str, list[float]]:
    """Return the milliseconds from Enter to the awaited event, for each of many queries."""
    page.goto(address)
    page.wait_for_selector(".sample")
    page.evaluate(WATCH)
    times: dict[str, list[float]] = {"result": [], "photo": []}
    for kind in KINDS:
        for color in COLORS:
            page.locator("#words").fill(f"a {color} {kind}")
            page.keyboard.press("Enter")
            page.wait_for_function("() => told().result && told().photo")
            for name, one in page.evaluate("() => told()").items():
                if name in times:
                    times[name].append(one)
            page.wait_for_timeout(300)  # until animations have ended
    return times


def random_map(points: int) -> str:
    """Return a map in the form of the service: 24 clusters of points in two modalities."""
    draw = np.random.default_rng(0)
    classes = draw.integers(0, 24, points)
    middles = draw.uniform(-0.8, 0.8, (24, 2))
    places = np.round(middles[classes] + draw.normal(0, 0.08, (points, 2)), 5)
    return json.dumps(
        {
            "x": places[:, 0].tolist(),
            "y": places[:, 1].tolist(),
            "modality": draw.integers(0, 2, points).tolist(),
            "class": classes.tolist(),
            "ids": [f"item {number}" for number in range(points)],
            "modalities": ["image", "text"],
            "classes": [f"class {number}" for number in range(24)],
            "generation": 1,
            "current": True,
        }
    )


def frames(page: Page, address: str, points: int) -> dict[str, list[float]]:
    """Return the milliseconds between frames while the map is dragged, and zoomed."""
    answer = random_map(points)
    page.route("**/map", lambda route: route.fulfill(body=answer, content_type="application/json"))
    page.goto(f"{address}?view=map")
    page.wait_for_selector("canvas.over")
    page.wait_for_timeout(1000)
    moved = {}
    for way in ("pan", "zoom"):
        moved[way], drawn = page.evaluate(MOVE, [way, FRAMES])
        assert drawn > 0.9 * FRAMES, f"{way}: of {FRAMES} frames {drawn} drew the points"
    return moved


def row(name: str, times: list[float], unit: str) -> str:
    """Return a line of the table."""
    middle, most = np.median(times), np.percentile(times, 95)
    return f"{name:10}{middle:10.1f}{most:10.1f}{max(times):10.1f}   {len(times)} {unit}"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--per-class", type=int, default=500, help="scenes per class (24 classes)")
    parser.add_argument("--points", type=int, default=50_000, help="number of points on the map")
    parser.add_argument("--index", type=Path, help="existing index of scenes")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = given.index or Path(place) / "words"
        if given.index is None:
            build_words(folder, given.per_class)
        server = Server(folder, 32)
        try:
            with sync_playwright() as running:
                browser = running.chromium.launch(
                    executable_path=shutil.which("chromium"), args=FLAGS
                )
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                address = f"http://{server.host}:{server.port}/"
                found = first_results(page, address)
                moved = frames(page, address, given.points)
                browser.close()
        finally:
            server.stop()
    print(f"{'':10}{'median ms':>10}{'95% ms':>10}{'most ms':>10}")
    for name, times in found.items():
        print(row(name, times, "queries"))
    for name, times in moved.items():
        print(row(name, times, f"frames, {1000 * len(times) / sum(times):.0f} a second"))


if __name__ == "__main__":
    main()
