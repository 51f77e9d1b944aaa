// What is asked, and its place in the address of the page, so that a link opens the same view and
// the back button works. Knows nothing of elements or of the service.

/**
 * @typedef {Object} State
 * @property {string} q words
 * @property {string|null} like the item that asks, for "more like this"
 * @property {string|null} photo the key of a photo in `photos`: a photo itself is not part of a link
 * @property {number|null} g instance_weight, from 0, the same kind, to 1, this very thing
 * @property {string|null} modality what to find; null for all
 * @property {Map<string, Set<string>>} is field -> values of which one must hold
 * @property {Map<string, {min: number|null, max: number|null}>} range field -> bounds
 * @property {"results"|"map"} view
 * @property {string|null} item the item that is open
 */

/** Photos that were given since the page was opened: key -> file. */
export const photos = new Map();

/** Keep a photo and return its key. */
export function keepPhoto(file) {
  const key = `photo-${photos.size + 1}`;
  photos.set(key, file);
  return key;
}

/** @returns {State} */
export function blank() {
  return {
    q: "",
    like: null,
    photo: null,
    g: null,
    modality: null,
    is: new Map(),
    range: new Map(),
    view: "results",
    item: null,
  };
}

/**
 * Read a state from the query of an address; what makes no sense is left out.
 * @param {string} query
 * @returns {State}
 */
export function read(query) {
  const state = blank();
  const given = new URLSearchParams(query);
  state.q = given.get("q") ?? "";
  for (const name of ["like", "photo", "modality", "item"]) state[name] = given.get(name) || null;
  const g = Number.parseFloat(given.get("g") ?? "");
  if (g >= 0 && g <= 1) state.g = g;
  if (given.get("view") === "map") state.view = "map";
  for (const [key, value] of given) {
    const [kind, name] = [key.slice(0, key.indexOf(":")), key.slice(key.indexOf(":") + 1)];
    if (kind === "is") state.is.set(name, (state.is.get(name) ?? new Set()).add(value));
    if ((kind === "min" || kind === "max") && Number.isFinite(Number.parseFloat(value))) {
      const bounds = state.range.get(name) ?? { min: null, max: null };
      state.range.set(name, { ...bounds, [kind]: Number.parseFloat(value) });
    }
  }
  return state;
}

/**
 * Write a state as the query of an address, shortest form first.
 * @param {State} state
 * @returns {string} "" or "?..."
 */
export function write(state) {
  const out = new URLSearchParams();
  if (state.q) out.set("q", state.q);
  for (const name of ["like", "photo"]) if (state[name]) out.set(name, state[name]);
  if (state.g !== null) out.set("g", String(state.g));
  if (state.modality) out.set("modality", state.modality);
  for (const [name, values] of state.is) for (const value of values) out.append(`is:${name}`, value);
  for (const [name, { min, max }] of state.range) {
    if (min !== null) out.set(`min:${name}`, String(min));
    if (max !== null) out.set(`max:${name}`, String(max));
  }
  if (state.view === "map") out.set("view", "map");
  if (state.item) out.set("item", state.item);
  const query = out.toString();
  return query ? `?${query}` : "";
}

/** Whether anything is asked. */
export function asks(state) {
  return Boolean(state.q || state.like || (state.photo && photos.has(state.photo)));
}

/** How many fields are filtered by. */
export function filterCount(state) {
  return state.is.size + state.range.size;
}

/**
 * Return the condition that the filters stand for, in the language of `--where`, or null.
 *
 * @param {State} state
 * @param {Object<string, {values: Array|null}>} fields those of the index: an address holds strings,
 *   and their values tell what was a number, true or false
 */
export function condition(state, fields) {
  const parts = [];
  for (const [name, values] of state.is) {
    const known = (value) => fields[name]?.values?.find((one) => String(one) === value) ?? value;
    parts.push(`${named(name)} in (${[...values].map((value) => literal(known(value))).join(", ")})`);
  }
  for (const [name, { min, max }] of state.range) {
    if (min !== null) parts.push(`${named(name)} >= ${min}`);
    if (max !== null) parts.push(`${named(name)} <= ${max}`);
  }
  return parts.length ? parts.join(" and ") : null;
}

const literal = (value) => (typeof value === "string" ? `"${value.replaceAll('"', '""')}"` : String(value));
const named = (name) => `\`${name.replaceAll("`", "``")}\``;
