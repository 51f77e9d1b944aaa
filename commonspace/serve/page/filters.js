// The filters, made from what the service says of its fields: chips for values, bounds for numbers.

import { at, calm, h } from "./dom.js";
import { filterCount } from "./state.js";
import { t } from "./words.js";

/** Values that are shown at once; the rest is one click away. */
const AT_ONCE = 10;

/** The name by which conditions know the classes of an item. */
const LABEL = "label";

/**
 * Return the fields that can be filtered by, the classes first.
 * @param {{classes: string[], fields: Object}} about
 */
export function fieldsOf(about) {
  const classes = about.classes.length > 1 ? { [LABEL]: { kind: "string", values: about.classes } } : {};
  return { ...classes, ...about.fields };
}

/**
 * Draw the filters as a state has them.
 *
 * @param {Object} fields as `fieldsOf` gives them
 * @param {import("./state.js").State} state
 * @param {function(function(import("./state.js").State))} change takes what changes a state
 */
export function drawFilters(fields, state, change) {
  const open = new Set([...at("filters").querySelectorAll("details[open]")].map((one) => one.dataset.name));
  const first = at("filters").childElementCount === 0;
  const parts = Object.entries(fields).flatMap(([name, field], place) => {
    const inside = inner(name, field, state, change);
    if (!inside) return [];
    const used = state.is.has(name) || state.range.has(name);
    return h(
      "details",
      { "data-name": name, open: used || open.has(name) || (first && place < 3) },
      h("summary", {}, name === LABEL ? t("class") : name.replaceAll("_", " ")),
      inside,
    );
  });
  const clear = h("button", { type: "button", class: "quiet clear", onclick: () => change(clearAll) }, t("clearFilters"));
  const focused = focusMark();
  at("filters").replaceChildren(
    h("div", { class: "filters-head" }, h("h2", {}, t("filters")), filterCount(state) > 0 && clear),
    ...parts,
  );
  restoreFocus(focused);
  at("show-filters").hidden = parts.length === 0;
  const n = filterCount(state);
  at("filters-label").textContent = n > 0 ? t("filtersOn", { n }) : t("filters");
}

function inner(name, field, state, change) {
  if (field.kind === "number" && Number.isFinite(field.min) && field.min < field.max) {
    return bounds(name, field, state, change);
  }
  const values = field.values ?? [];
  return values.length > 0 ? chips(name, values, state, change) : null;
}

function chips(name, values, state, change) {
  const chosen = state.is.get(name) ?? new Set();
  const chip = (value, place) => {
    const text = typeof value === "boolean" ? t(value ? "yes" : "no") : String(value);
    const pressed = chosen.has(String(value));
    return h(
      "button",
      {
        type: "button",
        class: "chip",
        "aria-pressed": String(pressed),
        "data-focus": `${name} ${value}`,
        hidden: place >= AT_ONCE && !pressed,
        onclick: () => change((next) => toggle(next.is, name, String(value))),
      },
      text,
    );
  };
  const all = h("div", { class: "chips", role: "group", "aria-label": name }, ...values.map(chip));
  const rest = [...all.children].filter((one) => one.hidden);
  if (rest.length > 0) {
    const more = h("button", { type: "button", class: "chip rest" }, `+ ${rest.length}`);
    more.addEventListener("click", () => {
      for (const one of rest) one.hidden = false;
      more.remove();
      rest[0].focus();
    });
    more.setAttribute("aria-label", t("showMore"));
    all.append(more);
  }
  return all;
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
        min: field.min,
        max: field.max,
        value: set[side],
        placeholder: field[side],
        "aria-label": t(spokenWords, { name }),
        "data-focus": `${name} ${side}`,
        oninput: calm((event) => change((next) => bound(next.range, name, side, event.target.value)), 350),
      }),
    );
  return h("div", { class: "bounds" }, input("min", "from", "rangeFrom"), input("max", "to", "rangeTo"));
}

function toggle(is, name, value) {
  const values = new Set(is.get(name));
  if (!values.delete(value)) values.add(value);
  if (values.size > 0) is.set(name, values);
  else is.delete(name);
}

function bound(range, name, side, text) {
  const value = Number.parseFloat(text);
  const bounds = { ...(range.get(name) ?? { min: null, max: null }), [side]: Number.isFinite(value) ? value : null };
  if (bounds.min === null && bounds.max === null) range.delete(name);
  else range.set(name, bounds);
}

function clearAll(state) {
  state.is.clear();
  state.range.clear();
}

// Drawing anew must not lose the place of somebody who goes by keyboard, nor half a number.
function focusMark() {
  const one = document.activeElement;
  return one?.dataset?.focus && at("filters").contains(one) ? { mark: one.dataset.focus, text: one.value } : null;
}

function restoreFocus(focused) {
  if (!focused) return;
  const one = [...at("filters").querySelectorAll("[data-focus]")].find((each) => each.dataset.focus === focused.mark);
  if (!one) return;
  if (one.tagName === "INPUT") one.value = focused.text;
  one.focus();
}
