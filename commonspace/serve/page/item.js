// The dialog of an item: what it is in each modality, its classes by probability, what lies near.

import * as api from "./api.js";
import { noPicture, picture } from "./cards.js";
import { at, h, icon } from "./dom.js";
import { modalityName, percent, t } from "./words.js";

/** Classes of a posterior that are shown; the others share what is left. */
const CLASSES = 5;

let asking = null;

/**
 * Show an item.
 * @param {string} id
 * @param {{open: function(string), like: function(string), close: function()}} deeds
 */
export async function showItem(id, deeds) {
  const dialog = at("item");
  asking?.abort();
  asking = new AbortController();
  if (!dialog.open) {
    dialog.replaceChildren(head(id, deeds), h("p", { class: "status" }, t("searching")));
    dialog.showModal();
  }
  try {
    const item = await api.item(id, asking.signal);
    dialog.replaceChildren(head(titleOf(item), deeds), ...body(item, deeds));
  } catch (error) {
    if (error.name === "AbortError") return;
    const words = error.status === 404 ? t("gone") : error.message;
    dialog.replaceChildren(head(id, deeds), h("p", { class: "notice", role: "alert" }, words));
  }
  dialog.querySelector(".shut").focus();
}

/** Close the dialog, if it is open. */
export function hideItem() {
  asking?.abort();
  if (at("item").open) at("item").close();
}

/** Tell the owner when the person closes the dialog, by Esc, by the cross, or by a click beside it. */
export function listenForClose(close) {
  const dialog = at("item");
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    close();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && close());
}

const titleOf = (item) => item.texts[0] ?? item.id;

function head(title, deeds) {
  return h(
    "header",
    {},
    h("h2", { id: "item-title" }, title),
    h("button", { type: "button", class: "plain shut", "aria-label": t("close"), title: t("close"), onclick: deeds.close }, icon("m6 6 12 12M18 6 6 18")),
  );
}

function body(item, deeds) {
  const photo = h("img", { src: api.photo(item.id), alt: titleOf(item) });
  photo.addEventListener("error", () => photo.replaceWith(noPicture()), { once: true });
  return [
    h(
      "div",
      { class: "item-body" },
      item.has_picture && h("div", { class: "item-photo" }, photo),
      h(
        "div",
        { class: "item-facts" },
        ...item.texts.slice(1).map((text) => h("p", {}, text)),
        item.labels.length > 0 && h("p", { class: "tags" }, ...item.labels.map((label) => h("span", { class: "tag" }, label))),
        facts(item),
        h("button", { type: "button", class: "go", onclick: () => deeds.like(item.id) }, t("more")),
        ...posteriors(item),
      ),
    ),
    ...nearest(item, deeds),
  ];
}

function facts(item) {
  const rows = Object.entries(item.fields).map(([name, value]) => [name.replaceAll("_", " "), written(value)]);
  return h("dl", { class: "facts", "aria-label": t("fields") }, ...[["id", item.id], ...rows].map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function written(value) {
  if (Array.isArray(value)) return value.map(written).join(", ");
  if (typeof value === "boolean") return t(value ? "yes" : "no");
  return String(value); // numbers as they are: a year has no thousands
}

// The posterior is {modality: [{name, probability}]}, the best first; null where the space has none.
function posteriors(item) {
  return Object.entries(item.posterior ?? {}).map(([modality, classes]) => {
    const title = t("posterior", { modality: modalityName(modality).toLowerCase() });
    const rows = Object.entries(classes).slice(0, CLASSES).map(([name, p]) =>
      h("li", {}, h("span", { class: "name" }, name), h("span", { class: "track", "aria-hidden": "true" }, h("span", { class: "fill", "--share": p.toFixed(4) })), h("span", { class: "figure" }, percent(p))),
    );
    return h("section", { class: "posterior" }, h("h3", {}, title), h("ol", {}, ...rows));
  });
}

function nearest(item, deeds) {
  if (!item.neighbors?.length) return [];
  const cards = item.neighbors.map((one) =>
    h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: "open", onclick: () => deeds.open(one.id) },
        h("span", { class: "photo" }, one.has_picture ? picture(one.id, 128, "") : noPicture()),
        h("span", { class: "title" }, one.texts[0] ?? one.id),
      ),
    ),
  );
  return [h("section", { class: "near" }, h("h3", {}, t("neighbours")), h("ul", {}, ...cards))];
}
