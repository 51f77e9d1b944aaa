// Shows what was found: a grid of photos, a list of texts, and the states around them. It is told
// what to show; it asks no service.

import { card, row, skeleton, titleOf } from "./cards.js";
import { at, h } from "./dom.js";
import { modalityName, number, percent, t } from "./words.js";

/** The best of all being less probable than this, nothing matches well: it is likelier wrong than right. */
export const MATCHES = 0.5;

/** How many are found at a time, of each modality. */
export const PAGE = 24;

/**
 * @typedef {Object} Part what was found by one modality
 * @property {string} modality
 * @property {import("./cards.js").Found[]} found
 * @property {number} total how many could have been found
 */

/**
 * Show what was found.
 *
 * @param {Part[]} parts in the order of the index; empty ones are left out
 * @param {{calibrated: boolean, deeds: Object, more: function(string)}} how
 */
export function showFound(parts, { calibrated, deeds, more }) {
  const place = at("found");
  const before = places(place);
  const filled = parts.filter((part) => part.found.length > 0);
  const top = Math.max(...filled.map((part) => part.found[0].relevance ?? 1));
  const poor = calibrated && filled.length > 0 && top < MATCHES;
  place.replaceChildren(
    ...[
      poor && h("div", { class: "poor" }, h("h2", {}, t("noneTitle")), h("p", {}, t("none", { percent: percent(top) }))),
      filled.length === 0 && h("div", { class: "poor" }, h("h2", {}, t("noneTitle")), h("p", {}, t("noneHere"))),
      h(
        "div",
        { class: `parts${poor ? " dimmed" : ""}${filled.length > 1 ? " several" : ""}` },
        ...filled.map((part) => section(part, deeds, more)),
      ),
    ].filter(Boolean),
  );
  glide(place, before);
}

/** Return the sentence about an answer, for all to read and for screen readers to hear. */
export function summary(parts, seconds) {
  const n = parts.reduce((sum, part) => sum + part.found.length, 0);
  return t(n === 1 ? "foundOne" : "found", { n: number(n), seconds: number(seconds, 2) });
}

/** Show grey cards; the caller waits a moment before, so that quick answers do not flicker. */
export function showWaiting() {
  at("found").replaceChildren(skeleton(12));
}

/**
 * Show the first view, where nothing is asked yet.
 * @param {{items: number, classes: string[]}} about
 * @param {function(string)} ask takes the words of an example
 */
export function showEmpty(about, ask) {
  const step = Math.max(1, Math.floor(about.classes.length / 6));
  const examples = about.classes.filter((_, place) => place % step === 0).slice(0, 6);
  at("found").replaceChildren(
    h(
      "div",
      { class: "empty" },
      h("h1", {}, t("emptyTitle")),
      h("p", {}, t("empty", { items: number(about.items), classes: number(about.classes.length) })),
      h("p", { class: "examples" }, ...examples.map((words) => h("button", { type: "button", class: "quiet", onclick: () => ask(words) }, words))),
      h("p", { class: "keys" }, t("keys")),
    ),
  );
}

/** Show nothing, as when an error has said why. */
export function showNothing() {
  at("found").replaceChildren();
}

/** Let the arrow keys walk through the results, by where they lie on the screen. */
export function walkByArrows() {
  at("found").addEventListener("keydown", (event) => {
    const from = event.target.closest(".open, .like");
    const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    if (!from || !step) return;
    const next = neighbour(from, step);
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
}

function section(part, deeds, more) {
  const best = part.found[0].score;
  const photos = part.modality === "image";
  const name = h("h2", {}, modalityName(part.modality));
  const list = h(
    "ul",
    { class: photos ? "grid" : "list" },
    ...part.found.map((found) => (photos ? card : row)(found, best, deeds)),
  );
  const rest = part.total > part.found.length;
  return h(
    "section",
    { class: photos ? "part photos" : "part", "aria-label": modalityName(part.modality), "data-modality": part.modality },
    name,
    list,
    rest && h("button", { type: "button", class: "quiet more", onclick: () => more(part.modality) }, t("showMore")),
  );
}

function neighbour(from, [dx, dy]) {
  const middle = (one) => {
    const box = one.getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
  };
  const [x, y] = middle(from);
  let best = null;
  let least = Infinity;
  for (const one of at("found").querySelectorAll(".open")) {
    if (one === from) continue;
    const [ox, oy] = middle(one);
    const along = (ox - x) * dx + (oy - y) * dy;
    const aside = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
    if (along > 8 && along + 3 * aside < least) [best, least] = [one, along + 3 * aside];
  }
  return best;
}

// What stays moves to its new place, so that a turn of the dial is seen as a change of order.
function places(place) {
  const found = new Map();
  for (const one of place.querySelectorAll("[data-id]")) found.set(keyOf(one), one.getBoundingClientRect());
  return found;
}

function glide(place, before) {
  if (before.size === 0 || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const one of place.querySelectorAll("[data-id]")) {
    const was = before.get(keyOf(one));
    const is = one.getBoundingClientRect();
    if (!was) one.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 180 });
    else if (was.left !== is.left || was.top !== is.top) {
      const from = `translate(${was.left - is.left}px, ${was.top - is.top}px)`;
      one.animate([{ transform: from }, { transform: "none" }], { duration: 240, easing: "ease-out" });
    }
  }
}

const keyOf = (one) => `${one.closest("[data-modality]")?.dataset.modality} ${one.dataset.id}`;

/** Return the title of a found item by its id, or the id. */
export function titleIn(parts, id) {
  const found = parts.flatMap((part) => part.found).find((one) => one.id === id);
  return found ? titleOf(found) : id;
}
