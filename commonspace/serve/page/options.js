// The options of a search: modality, words to avoid, weight of the words, variety, near-duplicates,
// instance weight, order.

import { at, debounce, h, icon, ICONS } from "./dom.js";
import { fieldName } from "./fields.js";
import { hasQuery, isMixed } from "./state.js";
import { modalityName, percent, t, varietyName, weightName } from "./words.js";

/** Number fields that can be sorted by. */
const SORTS = 4;

/** Similarity from which results are near-duplicates. */
export const NEAR_DUPLICATE = 0.95;

/** Titles of the items to be unlike, by their ids. */
const titles = new Map();

/**
 * Let results be unlike an item.
 * @param {import("./state.js").State} state
 * @param {string} id
 * @param {string} title for its chip
 */
export function avoidItem(state, id, title) {
  titles.set(id, title);
  state.unlike = [...state.unlike.filter((each) => each !== id), id];
}

/**
 * Show the options of a state.
 * @param {import("./state.js").State} state
 * @param {Object} about the contents of the index
 * @param {Object<string, Object>} fields those that can be filtered by
 */
export function showOptions(state, about, fields) {
  at("controls").hidden = !hasQuery(state);
  at("modality-box").hidden = about.modalities.length < 2;
  fill("modality", [["", t("everything")], ...about.modalities.map((name) => [name, modalityName(name)])], state.modality ?? "");
  const numbers = Object.keys(fields).filter((name) => fields[name].kind === "number").slice(0, SORTS);
  at("sort-box").hidden = numbers.length === 0;
  const orders = numbers.flatMap((name) => [
    [name, t("ascending", { name: fieldName(name) })],
    [`-${name}`, t("descending", { name: fieldName(name) })],
  ]);
  fill("sort", [["", t("bestMatch")], ...orders], state.sort ?? "");
  at("weight-box").hidden = !about.has_instance_block;
  slide("weight", state.weight ?? about.default_instance_weight ?? 0, weightName);
  at("without-box").hidden = !about.reads.includes("text");
  if (document.activeElement !== at("without")) at("without").value = state.without;
  at("mix-box").hidden = !isMixed(state);
  at("mix-other").textContent = t(state.photo ? "photoAsked" : "likeAsked");
  slide("mix", state.mix ?? about.default_text_weight, percent);
  slide("variety", state.variety ?? 0, varietyName);
  at("group").checked = state.group;
  at("together-box").hidden = !about.roles.group;
  at("together").checked = !state.apart;
}

/** Return a chip for each option that is not the default and stands in the panel; a click removes it. */
export function optionChips(state, change) {
  const chip = (text, remove) =>
    h("button", { type: "button", class: "chip", "aria-label": t("removeOption", { option: text }), onclick: () => change(remove) }, h("span", {}, text), icon(ICONS.close));
  return [
    state.modality && chip(`${t("searchIn")}: ${modalityName(state.modality)}`, (next) => (next.modality = null)),
    state.without && chip(t("withoutChip", { words: state.without }), (next) => (next.without = "")),
    ...state.unlike.map((id) => chip(t("unlikeChip", { title: titles.get(id) ?? id }), (next) => (next.unlike = next.unlike.filter((each) => each !== id)))),
    isMixed(state) && state.mix !== null && chip(t("mixChip", { percent: percent(state.mix) }), (next) => (next.mix = null)),
    state.variety !== null && chip(t("varietyChip", { amount: varietyName(state.variety) }), (next) => (next.variety = null)),
    state.group && chip(t("groupChip"), (next) => (next.group = false)),
    state.apart && chip(t("apartChip"), (next) => (next.apart = false)),
  ].filter(Boolean);
}

/** Return the field whose equal values are one result; null for none. */
export const groupField = (state, role) => (state.apart ? null : role.group);

/**
 * Return the parameters of the API for the options of a state.
 * @param {import("./state.js").State} state
 * @param {import("./fields.js").Roles} role
 */
export function optionParameters(state, role) {
  return {
    group_by: groupField(state, role),
    without: state.without || null,
    less_like: state.unlike.length > 0 ? state.unlike : null,
    text_weight: isMixed(state) ? state.mix : null,
    diversity: state.variety,
    max_similarity: state.group ? NEAR_DUPLICATE : null,
    instance_weight: state.weight,
    modality: state.modality,
    sort: state.sort,
  };
}

/**
 * Listen to the options.
 * @param {function(function(import("./state.js").State), string=)} change
 */
export function listenToOptions(change) {
  const button = at("show-options");
  button.addEventListener("click", () => {
    const panel = at("options");
    panel.hidden = !panel.hidden;
    button.setAttribute("aria-expanded", String(!panel.hidden));
    if (!panel.hidden) panel.querySelector("select, input")?.focus({ preventScroll: true });
  });
  at("options").addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    at("options").hidden = true;
    button.setAttribute("aria-expanded", "false");
    button.focus();
  });
  listenToSlide("weight", weightName, (next, value) => (next.weight = value), change);
  listenToSlide("mix", percent, (next, value) => (next.mix = value), change);
  listenToSlide("variety", varietyName, (next, value) => (next.variety = value || null), change);
  at("modality").addEventListener("change", (event) => change((next) => (next.modality = event.target.value || null)));
  at("sort").addEventListener("change", (event) => change((next) => (next.sort = event.target.value || null)));
  at("without").addEventListener("change", (event) => change((next) => (next.without = event.target.value.trim())));
  at("without").addEventListener("keydown", (event) => {
    if (event.key === "Enter") change((next) => (next.without = event.target.value.trim()));
  });
  at("group").addEventListener("change", (event) => change((next) => (next.group = event.target.checked)));
  at("together").addEventListener("change", (event) => change((next) => (next.apart = !event.target.checked)));
}

function listenToSlide(id, name, set, change) {
  const turn = debounce((value) => change((next) => set(next, value), "replace"), 40);
  at(id).addEventListener("input", (event) => {
    const value = Number(event.target.value);
    event.target.setAttribute("aria-valuetext", name(value));
    turn(value);
  });
}

function slide(id, value, name) {
  const slider = at(id);
  if (Number(slider.value) !== value) slider.value = String(value);
  slider.setAttribute("aria-valuetext", name(value));
}

function fill(id, options, value) {
  at(id).replaceChildren(...options.map(([name, text]) => h("option", { value: name, selected: name === value }, text)));
}
