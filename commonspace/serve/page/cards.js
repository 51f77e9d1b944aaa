// Draws one thing that was found: as a card of the grid, or as a row of the list.

import { thumbnail } from "./api.js";
import { h, icon, spoken } from "./dom.js";
import { certainty, number, percent, t } from "./words.js";

/**
 * @typedef {Object} Found
 * @property {string} id
 * @property {string} modality by which it was found
 * @property {number} score
 * @property {number|null} relevance the probability that it shares a class with the query
 * @property {string[]} labels
 * @property {string[]} texts
 * @property {boolean} has_picture
 * @property {Object<string, *>} fields
 */

const SPARK = "M12 4v4m0 8v4M4 12h4m8 0h4M7 7l2 2m6 6 2 2m0-10-2 2m-6 6-2 2";

/** Return what names a thing: its text, or else its id. */
export const titleOf = (found) => found.texts[0] || found.id;

/** Return a photo of an item; where it cannot be had, its place says so. */
export function picture(id, size, alt) {
  const image = h("img", { src: thumbnail(id, size), alt, loading: "lazy", decoding: "async", draggable: "false" });
  image.addEventListener("error", () => image.replaceWith(noPicture()), { once: true });
  return image;
}

/** Return what stands where there is no photo. */
export const noPicture = () => h("span", { class: "no-picture" }, t("noPhoto"));

/**
 * Return the bar of a probability, with its words for screen readers; or of a score, where the
 * space is not calibrated, as a share of the best one's.
 *
 * @param {Found} found
 * @param {number} best the best score of its list
 */
export function bar(found, best) {
  const calibrated = found.relevance !== null;
  const share = calibrated ? found.relevance : Math.max(0, best > 0 ? found.score / best : 0);
  const label = calibrated ? percent(found.relevance) : t("score", { score: number(found.score, 3) });
  const words = calibrated ? `${certainty(found.relevance)}: ${t("relevance", { percent: label })}` : label;
  return h(
    "span",
    { class: "bar", title: words },
    h("span", { class: "track", "aria-hidden": "true" }, h("span", { class: "fill", "--share": share.toFixed(4) })),
    h("span", { class: "figure", "aria-hidden": "true" }, label),
    spoken(words),
  );
}

/**
 * Return the card of a photo.
 * @param {Found} found
 * @param {number} best
 * @param {{open: function(string), like: function(string)}} deeds what its buttons do
 */
export function card(found, best, deeds) {
  const title = titleOf(found);
  return h(
    "li",
    { class: "card", "data-id": found.id },
    h(
      "button",
      { type: "button", class: "open", onclick: () => deeds.open(found.id) },
      h("span", { class: "photo" }, found.has_picture ? picture(found.id, 256, "") : noPicture()),
      h("span", { class: "title" }, title),
      found.labels.length > 0 && h("span", { class: "labels" }, found.labels.join(", ")),
      bar(found, best),
    ),
    likeButton(found.id, title, deeds),
  );
}

/** Return the row of a text; the arguments are those of `card`. */
export function row(found, best, deeds) {
  const title = titleOf(found);
  return h(
    "li",
    { class: "row", "data-id": found.id },
    h(
      "button",
      { type: "button", class: "open", onclick: () => deeds.open(found.id) },
      h("span", { class: "title" }, title),
      h("span", { class: "below" }, found.labels.length > 0 && h("span", { class: "labels" }, found.labels.join(", ")), bar(found, best)),
    ),
    likeButton(found.id, title, deeds),
  );
}

function likeButton(id, title, deeds) {
  const label = t("moreOf", { title });
  return h(
    "button",
    { type: "button", class: "like", title: t("more"), "aria-label": label, onclick: () => deeds.like(id) },
    icon(SPARK),
  );
}

/** Return cards of grey that shimmer while an answer is on its way. */
export function skeleton(count) {
  const cards = Array.from({ length: count }, () => h("li", { class: "ghost" }, h("span", { class: "photo" }), h("span", { class: "line" }), h("span", { class: "line short" })));
  return h("ul", { class: "grid", "aria-hidden": "true" }, ...cards);
}
