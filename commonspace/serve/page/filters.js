// The filter panel: values with their counts, ranges of numbers, and chips of what is active.

import { at, debounce, h, icon, ICONS } from "./dom.js";
import { fieldName, valueText } from "./fields.js";
import { clearFilters, filterCount, setBound, toggleValue } from "./state.js";
import { number, t } from "./words.js";

/** Values shown at once. */
const SHOWN = 8;

/** From this number of values on, a field has a search box. */
const SEARCHABLE = 12;

/** Fields that are open at first. */
const OPEN = 3;

/** Names of fields whose values are all shown. */
const expanded = new Set();

/** Field -> words searched for in its values. */
const searched = new Map();

/**
 * Draw the panel.
 *
 * @param {Object<string, Object>} fields that can be filtered by
 * @param {import("./state.js").State} state
 * @param {Object<string, Map<string, number>>} counts field -> value -> number of items
 * @param {function(function(import("./state.js").State))} change
 */
export function drawFilters(fields, state, counts, change) {
  const panel = at("filters");
  const open = new Set([...panel.querySelectorAll("details[open]")].map((each) => each.dataset.name));
  const first = panel.querySelector("details") === null;
  const redraw = () => drawFilters(fields, state, counts, change);
  const parts = Object.entries(fields).map(([name, field], place) => {
    const used = state.is.has(name) || state.range.has(name);
    const content = field.kind === "number" ? bounds(name, field, state, change) : values(name, field, state, counts[name], change, redraw);
    return h("details", { "data-name": name, open: used || open.has(name) || (first && place < OPEN) }, h("summary", {}, fieldName(name)), content);
  });
  const n = filterCount(state);
  const focus = focusedControl(panel);
  panel.replaceChildren(
    h(
      "div",
      { class: "filters-head" },
      h("h2", { id: "filters-title" }, t("filters")),
      n > 0 && h("button", { type: "button", class: "text clear", onclick: () => change(clearFilters) }, t("clearFilters")),
      h("button", { type: "button", class: "plain shut-filters", "aria-label": t("close"), onclick: closeSheet }, icon(ICONS.close)),
    ),
    ...parts,
    h("div", { class: "filters-foot" }, h("button", { type: "button", class: "go", onclick: closeSheet }, t("showResults"))),
  );
  restoreFocus(panel, focus);
  at("show-filters").hidden = parts.length === 0;
  at("filters-label").textContent = n > 0 ? t("filtersOn", { n }) : t("filters");
}

/** Return a chip for each active filter; a click removes it. */
export function chips(state, change) {
  const chip = (text, remove) =>
    h("button", { type: "button", class: "chip", "aria-label": t("removeFilter", { filter: text }), onclick: () => change(remove) }, h("span", {}, text), icon(ICONS.close));
  const chosen = [...state.is].flatMap(([name, set]) =>
    [...set].map((value) => chip(`${fieldName(name)}: ${shown(value)}`, (next) => toggleValue(next, name, value))),
  );
  const ranges = [...state.range].map(([name, { min, max }]) => {
    const text = [min !== null && `≥ ${number(min, 2)}`, max !== null && `≤ ${number(max, 2)}`].filter(Boolean).join(", ");
    return chip(`${fieldName(name)} ${text}`, (next) => next.range.delete(name));
  });
  return [...chosen, ...ranges];
}

/** Show the panel as a sheet over the page, on small screens. */
export function openSheet() {
  const sheet = at("sheet");
  sheet.append(at("filters"));
  sheet.showModal();
}

/** Close the sheet. */
export function closeSheet() {
  if (at("sheet").open) at("sheet").close();
}

/** Put the panel back beside the results when the sheet closes. */
export function listenToSheet() {
  const sheet = at("sheet");
  sheet.addEventListener("close", () => {
    at("frame").append(at("filters"));
    at("show-filters").focus();
  });
  sheet.addEventListener("click", (event) => event.target === sheet && closeSheet());
}

function values(name, field, state, counts, change, redraw) {
  const chosen = state.is.get(name) ?? new Set();
  const words = (searched.get(name) ?? "").toLowerCase();
  const all = [...new Set([...field.values.map(String).filter(Boolean), ...chosen])];
  const count = (value) => (counts ? (counts.get(value) ?? 0) : null);
  const matching = all.filter((value) => chosen.has(value) || shown(value).toLowerCase().includes(words));
  if (counts) matching.sort((a, b) => chosen.has(b) - chosen.has(a) || count(b) - count(a));
  const visible = expanded.has(name) || words ? matching : matching.slice(0, Math.max(SHOWN, chosen.size));
  const rest = matching.length - visible.length;
  const option = (value) =>
    h(
      "li",
      { class: count(value) === 0 && !chosen.has(value) ? "none" : null },
      h(
        "label",
        {},
        h("input", {
          type: "checkbox",
          checked: chosen.has(value),
          "data-focus": `${name} ${value}`,
          onchange: () => change((next) => toggleValue(next, name, value)),
        }),
        h("span", { class: "value", title: shown(value) }, shown(value)),
        counts && h("span", { class: "count" }, number(count(value))),
      ),
    );
  const box =
    all.length > SEARCHABLE &&
    h("input", {
      type: "search",
      class: "find",
      value: searched.get(name) ?? "",
      placeholder: t("findValue"),
      "aria-label": t("findIn", { name: fieldName(name) }),
      "data-focus": `find ${name}`,
      oninput: debounce((event) => {
        searched.set(name, event.target.value);
        redraw();
      }, 120),
    });
  const more = rest > 0 && h("button", { type: "button", class: "text", onclick: () => expand(name, redraw) }, t("allValues", { n: number(rest) }));
  return h("div", { role: "group", "aria-label": fieldName(name) }, box, h("ul", { class: "values" }, ...visible.map(option)), more);
}

function expand(name, redraw) {
  expanded.add(name);
  redraw();
}

function bounds(name, field, state, change) {
  const set = state.range.get(name) ?? { min: null, max: null };
  const input = (side, words, spokenWords) =>
    h(
      "label",
      {},
      h("span", {}, t(words)),
      h("input", {
        type: "number",
        step: "any",
        inputmode: "decimal",
        min: field.min,
        max: field.max,
        value: set[side],
        placeholder: number(field[side], 2),
        "aria-label": t(spokenWords, { name: fieldName(name) }),
        "data-focus": `${name} ${side}`,
        oninput: debounce((event) => {
          const value = event.target.valueAsNumber;
          change((next) => setBound(next, name, side, Number.isFinite(value) ? value : null));
        }, 350),
      }),
    );
  return h("div", { class: "bounds" }, input("min", "from", "rangeFrom"), input("max", "to", "rangeTo"));
}

const shown = (value) => (value === "true" || value === "false" ? valueText(value === "true") : value);

// A new drawing keeps the focus, and a number that is half typed.
function focusedControl(panel) {
  const element = document.activeElement;
  return element?.dataset?.focus && panel.contains(element) ? { mark: element.dataset.focus, text: element.value } : null;
}

function restoreFocus(panel, focus) {
  if (!focus) return;
  const element = [...panel.querySelectorAll("[data-focus]")].find((each) => each.dataset.focus === focus.mark);
  if (!element) return;
  if (element.type === "number" || element.type === "search") element.value = focus.text;
  element.focus();
}

