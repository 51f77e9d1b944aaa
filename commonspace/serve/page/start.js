// The start view: sample photos of the classes, recent queries, and suggestions for the search box.

import { picture } from "./cards.js";
import { at, h } from "./dom.js";
import { number, t } from "./words.js";

const STORED = "commonspace.recent";
const MOST = 8;

/** Return the recent queries of this browser, the latest first. */
export function recentQueries() {
  try {
    const stored = JSON.parse(localStorage.getItem(STORED) ?? "[]");
    return Array.isArray(stored) ? stored.filter((each) => typeof each === "string" && each).slice(0, MOST) : [];
  } catch {
    return []; // storage may be forbidden
  }
}

/** Remember a query. */
export function rememberQuery(words) {
  store([words, ...recentQueries().filter((each) => each !== words)].slice(0, MOST));
}

/**
 * Show the start view.
 * @param {Object} about
 * @param {{search: function(string), like: function(string)}} actions
 */
export function showStart(about, actions) {
  const readsText = about.reads.includes("text");
  const recent = recentQueries();
  const samples = about.samples.map(({ label, id }) =>
    h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: "sample", onclick: () => (readsText ? actions.search(label) : actions.like(id)) },
        h("span", { class: "photo" }, picture(id, 256)),
        h("span", { class: "name" }, label),
      ),
    ),
  );
  const forget = () => {
    store([]);
    showStart(about, actions);
  };
  at("found").replaceChildren(
    h(
      "div",
      { class: "start" },
      h("h1", {}, t(readsText ? (about.reads.includes("image") ? "startTitle" : "startText") : "startPhoto")),
      h("p", {}, t("start", { items: number(about.groups), classes: number(about.classes.length) })),
      recent.length > 0 &&
        h(
          "section",
          { class: "recent", "aria-label": t("recent") },
          h("h2", {}, t("recent")),
          h("p", { class: "examples" }, ...recent.map((words) => h("button", { type: "button", class: "quiet", onclick: () => actions.search(words) }, words)), h("button", { type: "button", class: "text", onclick: forget }, t("forget"))),
        ),
      samples.length > 0 && h("section", { "aria-label": t("browse") }, h("h2", {}, t("browse")), h("ul", { class: "samples" }, ...samples)),
      samples.length === 0 &&
        readsText &&
        h("p", { class: "examples" }, ...about.classes.slice(0, 8).map((words) => h("button", { type: "button", class: "quiet", onclick: () => actions.search(words) }, words))),
      h("p", { class: "keys" }, t("keys")),
    ),
  );
}

/** Offer recent queries, classes and frequent values while words are typed. */
export function offerSuggestions(about) {
  const values = Object.values(about.fields).flatMap((field) => (field.kind === "string" && field.distinct <= 50 ? field.values : []));
  const words = [...new Set([...recentQueries(), ...about.classes, ...values.map(String)])].filter(Boolean).slice(0, 100);
  at("suggestions").replaceChildren(...words.map((value) => h("option", { value })));
}

function store(queries) {
  try {
    localStorage.setItem(STORED, JSON.stringify(queries));
  } catch {
    // storage may be forbidden
  }
}
