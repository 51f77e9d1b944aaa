// Labels given by people: the classes of an item, and the list of items to label next.

import * as api from "./api.js";
import { face } from "./cards.js";
import { h, icon, ICONS } from "./dom.js";
import { shortTitle, titleOf } from "./fields.js";
import { number, percent, t } from "./words.js";

/** Classes that are offered for an item. */
const OFFERED = 3;

/** Probability from which a class is offered beside the most probable one. */
const LIKELY = 0.02;

/**
 * Return the editor of the classes of an item: its classes, probable others, and any other name.
 *
 * @param {{id: string, labels: string[], confirmed: boolean, posterior: Object|null}} item
 * @param {{classes: string[], label: function(string, string[])}} context `label` stores the classes
 */
export function labelEditor(item, { classes, label }) {
  const place = h("section", { class: "labeler", "aria-label": t("labels") });
  const state = { labels: [...item.labels], stored: [...item.labels], confirmed: item.confirmed, message: "" };
  const draw = () => place.replaceChildren(...editor(item.id, state, probable(item.posterior), classes, set, save));
  const set = (labels) => {
    state.labels = [...new Set(labels)];
    state.message = "";
    draw();
    place.querySelector(".go, .quiet")?.focus();
  };
  const save = async () => {
    try {
      const answer = await label(item.id, state.labels);
      Object.assign(state, { stored: answer.labels, labels: [...answer.labels], confirmed: true, message: t("labelStored") });
    } catch (error) {
      state.message = error.message;
    }
    draw();
    place.querySelector("input")?.focus();
  };
  draw();
  return place;
}

/**
 * Show the items that would help most when they are labeled.
 * @param {HTMLElement} place
 * @param {{role: Object, classes: string[], label: Function, open: Function}} context
 */
export async function showLabelNext(place, context) {
  const head = (...more) => [h("h1", {}, t("labelNext")), ...more];
  place.replaceChildren(...head(h("p", { class: "status", role: "status" }, t("searching"))));
  try {
    const found = await api.labelNext();
    const counts = t("labelCounts", { people: number(found.by_people), unlabeled: number(found.unlabeled) });
    const rows = found.items.map((item) => row(item, context));
    place.replaceChildren(
      ...head(
        h("p", {}, t(found.unlabeled > 0 ? "labelWhy" : "labelDoubt")),
        h("p", { class: "status", role: "status" }, counts),
        rows.length > 0 ? h("ul", { class: "to-label" }, ...rows) : h("p", {}, t("labelDone")),
        rows.length > 0 && h("div", { class: "after" }, h("button", { type: "button", class: "go", onclick: () => showLabelNext(place, context) }, t("labelMore"))),
      ).filter(Boolean),
    );
  } catch (error) {
    place.replaceChildren(...head(h("p", { class: "notice", role: "alert" }, error.message)));
  }
}

/** Return the most probable classes over the modalities: [name, probability], best first. */
function probable(posterior) {
  const all = Object.values(posterior ?? {});
  const names = [...new Set(all.flatMap((each) => Object.keys(each)))];
  const mean = (name) => all.reduce((sum, each) => sum + (each[name] ?? 0), 0) / all.length;
  return names.map((name) => [name, mean(name)]).sort((a, b) => b[1] - a[1]).slice(0, OFFERED).filter(([, p]) => p >= LIKELY);
}

function editor(id, state, offered, classes, set, save) {
  const changed = String(state.labels) !== String(state.stored);
  const note = changed ? t("labelUnsaved") : state.message || (state.confirmed ? t("labelConfirmed") : state.labels.length ? t("labelOpen") : t("labelNone"));
  const tag = (name) =>
    h("button", { type: "button", class: "chip", "aria-label": t("removeLabel", { name }), onclick: () => set(state.labels.filter((each) => each !== name)) }, h("span", {}, name), icon(ICONS.close));
  const others = offered.filter(([name]) => !state.labels.includes(name));
  return [
    h("h2", { class: "small" }, t("labels")),
    h("p", { class: "tags" }, ...state.labels.map(tag)),
    others.length > 0 &&
      h(
        "p",
        { class: "tags" },
        h("span", { class: "note" }, t("labelInstead")),
        ...others.map(([name, p]) => h("button", { type: "button", class: "quiet small", onclick: () => set(state.labels.length > 1 ? [...state.labels, name] : [name]) }, `${name} ${percent(p)}`)),
      ),
    h(
      "div",
      { class: "actions" },
      other(id, classes, (name) => set([...state.labels, name])),
      h("button", { type: "button", class: changed ? "go" : "quiet", disabled: state.labels.length === 0 && !changed, onclick: save }, t(changed ? "labelSave" : "labelConfirm")),
    ),
    h("p", { class: "note", role: "status" }, note),
  ].filter(Boolean);
}

/** Return an input for any class, with the known ones as suggestions. */
function other(id, classes, choose) {
  const list = `classes-of-${id}`;
  const input = h("input", { class: "field", list, maxlength: 1000, autocomplete: "off", placeholder: t("labelOther"), "aria-label": t("labelOther") });
  const take = (event) => {
    const name = input.value.trim();
    if (!name || (event.type === "keydown" && event.key !== "Enter")) return;
    event.preventDefault();
    choose(name);
  };
  input.addEventListener("keydown", take);
  input.addEventListener("change", take);
  return h("span", { class: "other" }, input, h("datalist", { id: list }, ...classes.map((value) => h("option", { value }))));
}

function row(item, { role, classes, label, open }) {
  const title = shortTitle(titleOf(item, role), 120);
  const done = h("p", { class: "note", role: "status" });
  const store = async (name, all = [name]) => {
    try {
      const answer = await label(item.id, all);
      done.textContent = t("labelGiven", { labels: answer.labels.join(", ") });
      entry.classList.add("done");
      entry.querySelectorAll("[data-class]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.class === name)));
    } catch (error) {
      done.textContent = error.message;
    }
  };
  const button = (name, note, all) =>
    h("button", { type: "button", class: "quiet", "aria-pressed": "false", "data-class": name, onclick: () => store(name, all) }, h("span", {}, name), h("span", { class: "share" }, note));
  const now = item.labels.join(", ");
  const others = item.suggestions.filter(({ label: name, probability }, place) => name !== now && (place === 0 || probability >= LIKELY)).slice(0, OFFERED);
  const offered = [now && button(now, t("labelNow"), item.labels), ...others.map(({ label: name, probability }) => button(name, percent(probability)))].filter(Boolean);
  const entry = h(
    "li",
    { class: "to-label-item", "data-id": item.id },
    h("button", { type: "button", class: "open", "aria-label": title, onclick: () => open(item.id) }, face(item, 256)),
    h("div", { class: "to-label-facts" }, h("p", { class: "title" }, title), h("div", { class: "actions" }, ...offered, other(item.id, classes, store)), done),
  );
  return entry;
}
