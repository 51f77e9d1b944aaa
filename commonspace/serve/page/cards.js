// Cards: a search result in the grid.

import { thumbnail } from "./api.js";
import { h, icon, ICONS, spoken } from "./dom.js";
import { priceOf, shortTitle, titleOf, valueText } from "./fields.js";
import { certainty, number, percent, t } from "./words.js";

/**
 * @typedef {Object} Result
 * @property {string} id
 * @property {string} modality
 * @property {number} score
 * @property {number|null} relevance probability that it has a class of the query
 * @property {string[]} labels
 * @property {string[]} texts
 * @property {boolean} has_picture
 * @property {Object<string, *>} fields
 * @property {string[]} similar ids of near-duplicates and other photos that are behind it
 */

/** Return the photo of an item, or a placeholder if it is not available. */
export function picture(id, size, alt = "") {
  const image = h("img", { src: thumbnail(id, size), alt, loading: "lazy", decoding: "async", draggable: "false" });
  image.addEventListener("error", () => image.replaceWith(noPicture()), { once: true });
  return image;
}

/** Return the placeholder of a photo. */
export const noPicture = () => h("span", { class: "no-picture" }, t("noPhoto"));

/** Return the photo of a result, or its text if it has none. */
export function face(result, size) {
  if (result.has_picture) return h("span", { class: "photo" }, picture(result.id, size));
  const text = result.texts[0];
  return h("span", { class: "photo as-text" }, text ? h("span", { class: "excerpt" }, text) : noPicture());
}

/**
 * Return the bar of a relevance, with words for screen readers; without calibration, of the score as
 * a share of the best one.
 *
 * @param {Result} result
 * @param {number} best the best score of the list
 */
export function bar(result, best) {
  const calibrated = result.relevance !== null;
  const share = calibrated ? result.relevance : Math.max(0, best > 0 ? result.score / best : 0);
  const label = calibrated ? percent(result.relevance) : number(result.score, 3);
  const words = calibrated ? `${certainty(result.relevance)}: ${t("relevance", { percent: label })}` : t("score", { score: label });
  return h(
    "span",
    { class: "bar", title: words },
    h("span", { class: "track", "aria-hidden": "true" }, h("span", { class: "fill", "--share": share.toFixed(4) })),
    h("span", { class: "figure", "aria-hidden": "true" }, label),
    spoken(words),
  );
}

/**
 * Return the card of a result.
 * @param {Result} result
 * @param {number} best the best score of the list
 * @param {{role: import("./fields.js").Roles, together: boolean, open: function(string), like: function(string)}} context
 */
export function card(result, best, { role, together, open, like }) {
  const title = titleOf(result, role);
  const price = priceOf(result, role);
  const values = role.card.filter((name) => name in result.fields).map((name) => valueText(result.fields[name]));
  const meta = [...new Set([result.labels.join(", "), ...values])].filter(Boolean).join(" · ");
  return h(
    "li",
    { class: "card", "data-id": result.id },
    h(
      "button",
      { type: "button", class: "open", onclick: () => open(result.id) },
      face(result, 256),
      result.similar?.length > 0 && h("span", { class: "alike" }, t(together ? "variants" : "alike", { n: number(result.similar.length) })),
      h("span", { class: "title", title }, shortTitle(title, 160)),
      h("span", { class: "meta" }, meta || "\u00a0"),
      h("span", { class: "foot" }, price && h("span", { class: "price" }, price), bar(result, best)),
    ),
    h(
      "button",
      { type: "button", class: "like", title: t("more"), "aria-label": t("moreOf", { title: shortTitle(title) }), onclick: () => like(result.id) },
      icon(ICONS.like),
    ),
  );
}

/** Return grey cards for the time of waiting. */
export function skeleton(count) {
  const cards = Array.from({ length: count }, () => h("li", { class: "ghost" }, h("span", { class: "photo" }), h("span", { class: "line" }), h("span", { class: "line short" })));
  return h("ul", { class: "grid", "aria-hidden": "true" }, ...cards);
}
