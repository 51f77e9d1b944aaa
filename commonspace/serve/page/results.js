// The results: a grid of cards, and what is shown instead of or above it.

import { bar, card, skeleton } from "./cards.js";
import { csv } from "./csv.js";
import { at, download, h, icon, ICONS } from "./dom.js";
import { fieldName, titleOf, valueText } from "./fields.js";
import { number, percent, t } from "./words.js";

export { bar };

/** Below this relevance of the best result, it is more likely wrong than right. */
const MATCH = 0.5;

/** Results of a page. */
export const PAGE = 24;

/**
 * Show results.
 *
 * @param {{results: import("./cards.js").Result[], total: number}} found
 * @param {{calibrated: boolean, role: Object, open: Function, like: Function, more: Function, help: Node[]}} context
 *   `help` are buttons for the case that nothing matches
 */
export function showResults(found, context) {
  const { results, total } = found;
  const place = at("found");
  const before = positions(place);
  const top = results.length > 0 ? Math.max(...results.map((each) => each.relevance ?? 1)) : 0;
  const poor = isPoor(found);
  const best = Math.max(...results.map((each) => each.score), 0);
  const rest = total > results.length && results.length < 1000;
  const parts = [
    poor && nothing(results.length === 0 ? t("noneHere") : found.nothing_matches ? t("unlike") : t("none", { percent: percent(top) }), context.help),
    results.length > 0 &&
      h("ul", { class: poor ? "grid dimmed" : "grid", id: "grid" }, ...results.map((each) => card(each, best, context))),
    results.length > 0 &&
      h(
        "div",
        { class: "after" },
        rest && h("button", { type: "button", class: "quiet more", onclick: context.more }, t("showMore")),
        h("button", { type: "button", class: "quiet save", onclick: () => save(results, context.role) }, icon(ICONS.download), t("exportCsv")),
      ),
  ];
  place.replaceChildren(...parts.filter(Boolean));
  animate(place, before);
}

/** Return whether nothing matches well: no result, a query unlike all items, or a low relevance. */
export function isPoor({ results, nothing_matches: unlike }) {
  if (results[0]?.has_keywords) return false; // its words are those of the query
  const top = Math.max(0, ...results.map((each) => each.relevance ?? 1));
  return results.length === 0 || Boolean(unlike) || top < MATCH;
}

/** Return the sentence above the results. */
export function summary({ results, total }, seconds) {
  const n = results.length;
  return t(n === 1 ? "foundOne" : "found", { n: number(n), total: number(total), seconds: number(seconds, 2) });
}

/** Show grey cards. */
export function showWaiting() {
  at("found").replaceChildren(skeleton(12));
}

/** Show nothing. */
export function clearResults() {
  at("found").replaceChildren();
}

/** Return results as CSV: id, relevance, score, labels, text, and every field. */
export function resultsCsv(results) {
  const names = [...new Set(results.flatMap((each) => Object.keys(each.fields)))];
  const head = ["id", "relevance", "score", "labels", "text", ...names];
  const rows = results.map((each) => [
    each.id,
    each.relevance,
    each.score,
    each.labels.join("; "),
    each.texts.join("\n"),
    ...names.map((name) => (name in each.fields ? valueText(each.fields[name]) : "")),
  ]);
  return csv([head, ...rows]);
}

/** Let the arrow keys move between the results, by their places on the screen. */
export function moveByArrows() {
  at("found").addEventListener("keydown", (event) => {
    const from = event.target.closest(".open, .like");
    const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    if (!from || !step) return;
    const next = neighbor(from, step);
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
}

function save(results) {
  download("results.csv", resultsCsv(results), "text/csv;charset=utf-8");
}

function nothing(words, help) {
  return h(
    "div",
    { class: "poor" },
    h("h2", {}, t("noneTitle")),
    h("p", {}, words),
    help.length > 0 && h("div", { class: "help" }, ...help),
  );
}

function neighbor(from, [dx, dy]) {
  const middle = (element) => {
    const box = element.getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
  };
  const [x, y] = middle(from);
  let best = null;
  let least = Infinity;
  for (const element of at("found").querySelectorAll(".open")) {
    if (element === from) continue;
    const [ox, oy] = middle(element);
    const along = (ox - x) * dx + (oy - y) * dy;
    const aside = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
    if (along > 8 && along + 3 * aside < least) [best, least] = [element, along + 3 * aside];
  }
  return best;
}

// Cards that stay move to their new places, so that a new order can be followed.
function positions(place) {
  const boxes = new Map();
  for (const element of place.querySelectorAll("[data-id]")) boxes.set(element.dataset.id, element.getBoundingClientRect());
  return boxes;
}

function animate(place, before) {
  if (before.size === 0 || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const element of place.querySelectorAll("[data-id]")) {
    const was = before.get(element.dataset.id);
    const is = element.getBoundingClientRect();
    if (!was) element.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 180 });
    else if (was.left !== is.left || was.top !== is.top) {
      const from = `translate(${was.left - is.left}px, ${was.top - is.top}px)`;
      element.animate([{ transform: from }, { transform: "none" }], { duration: 240, easing: "ease-out" });
    }
  }
}

/** Return the name and value of a filter, for its chip. */
export const filterText = (name, value) => `${fieldName(name)}: ${value}`;

/** Return the title of a result by its id, or the id. */
export function titleIn(results, id, role) {
  const result = results.find((each) => each.id === id);
  return result ? titleOf(result, role) : id;
}
