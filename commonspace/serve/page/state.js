// State of the page, read from and written to its address, so that links and the back button work.
// Everything that comes from an address is validated.

/**
 * @typedef {Object} State
 * @property {string} q words to search for
 * @property {string|null} like id of the item of "more like this"
 * @property {string|null} photo query vector of a photo, see `encodeVector`
 * @property {number|null} weight instance weight: 0 ranks by class, 1 by exact item; null: default
 * @property {string} without words to avoid
 * @property {string[]} unlike ids of items to be unlike
 * @property {number|null} mix weight of the words against photo or item, 0 to 1; null: default
 * @property {number|null} variety 0 orders by score, 1 prefers results unlike those before; null: 0
 * @property {boolean} group whether near-duplicates are one result
 * @property {boolean} apart whether items of one group are results of their own
 * @property {string|null} modality to search in; null: all
 * @property {Map<string, Set<string>>} is field -> accepted values
 * @property {Map<string, {min: number|null, max: number|null}>} range field -> bounds
 * @property {string|null} sort field to sort by, with "-" for descending order; null: best match
 * @property {"results"|"map"|"label"} view
 * @property {string|null} item id of the open item
 */

const MAX_TEXT = 10_000;
const MAX_ID = 1000;
const MAX_UNLIKE = 20;
const MAX_VECTOR = 20_000;
const VIEWS = ["results", "map", "label"];
const VECTOR = /^[\w-]{8}\.[\w-]+$/;

/** @returns {State} */
export function blank() {
  return {
    q: "",
    like: null,
    photo: null,
    weight: null,
    without: "",
    unlike: [],
    mix: null,
    variety: null,
    group: false,
    apart: false,
    modality: null,
    is: new Map(),
    range: new Map(),
    sort: null,
    view: "results",
    item: null,
  };
}

/**
 * Read a state from the query of an address; invalid parts are left out.
 * @param {string} query
 * @returns {State}
 */
export function read(query) {
  const state = blank();
  const parameters = new URLSearchParams(query);
  state.q = (parameters.get("q") ?? "").trim().slice(0, MAX_TEXT);
  for (const name of ["like", "item", "modality", "sort"]) {
    const value = parameters.get(name);
    if (value && value.length <= MAX_ID) state[name] = value;
  }
  const photo = parameters.get("photo") ?? "";
  if (photo.length <= MAX_VECTOR && VECTOR.test(photo) && decodeVector(photo)) state.photo = photo;
  state.without = (parameters.get("without") ?? "").trim().slice(0, MAX_TEXT);
  state.unlike = [...new Set(parameters.getAll("unlike"))].filter((id) => id && id.length <= MAX_ID).slice(0, MAX_UNLIKE);
  for (const name of ["weight", "mix", "variety"]) {
    const value = numberOf(parameters.get(name));
    if (value !== null && value >= 0 && value <= 1) state[name] = value;
  }
  state.group = parameters.get("group") === "1";
  state.apart = parameters.get("apart") === "1";
  if (VIEWS.includes(parameters.get("view"))) state.view = parameters.get("view");
  for (const [key, value] of parameters) {
    const [kind, name] = [key.slice(0, key.indexOf(":")), key.slice(key.indexOf(":") + 1)];
    if (kind === "is" && name) state.is.set(name, (state.is.get(name) ?? new Set()).add(value));
    if ((kind === "min" || kind === "max") && name && numberOf(value) !== null) {
      const bounds = state.range.get(name) ?? { min: null, max: null };
      state.range.set(name, { ...bounds, [kind]: numberOf(value) });
    }
  }
  return state;
}

/**
 * Remove from a state what the index does not have.
 * @param {State} state
 * @param {Object} about the contents of the index
 * @param {Object<string, Object>} fields those that can be filtered by
 */
export function restrict(state, about, fields) {
  if (!about.modalities.includes(state.modality)) state.modality = null;
  if (!about.has_instance_block) state.weight = null;
  if (!about.roles.group) state.apart = false;
  if (state.view === "label" && !about.writable) state.view = "results";
  if (state.photo && !state.photo.startsWith(`${about.fingerprint.slice(0, 8)}.`)) state.photo = null;
  if (state.sort && fields[state.sort.replace(/^-/, "")]?.kind !== "number") state.sort = null;
  for (const name of state.is.keys()) if (!fields[name]) state.is.delete(name);
  for (const name of state.range.keys()) if (fields[name]?.kind !== "number") state.range.delete(name);
}

/**
 * Write a state as the query of an address.
 * @param {State} state
 * @returns {string} "" or "?..."
 */
export function write(state) {
  const out = new URLSearchParams();
  if (state.q) out.set("q", state.q);
  for (const name of ["like", "photo"]) if (state[name]) out.set(name, state[name]);
  if (state.without) out.set("without", state.without);
  for (const id of state.unlike) out.append("unlike", id);
  for (const name of ["weight", "mix", "variety"]) if (state[name] !== null) out.set(name, String(state[name]));
  if (state.group) out.set("group", "1");
  if (state.apart) out.set("apart", "1");
  for (const name of ["modality", "sort"]) if (state[name]) out.set(name, state[name]);
  for (const [name, values] of state.is) for (const value of values) out.append(`is:${name}`, value);
  for (const [name, { min, max }] of state.range) {
    if (min !== null) out.set(`min:${name}`, String(min));
    if (max !== null) out.set(`max:${name}`, String(max));
  }
  if (state.view !== "results") out.set("view", state.view);
  if (state.item) out.set("item", state.item);
  const query = out.toString();
  return query ? `?${query}` : "";
}

/**
 * Divide words that were typed into those to search for and those to avoid, which have a hyphen
 * before them: "watch -leather" or 'watch -"real leather"'.
 * @param {string} typed
 * @returns {{q: string, without: string}} parts to avoid have commas between them
 */
export function splitWords(typed) {
  const parts = [];
  const q = typed.replace(/(^|\s)[-\u2212](?:"([^"]+)"|([^\s"-][^\s"]*))/gu, (_, before, phrase, word) => {
    parts.push((phrase ?? word).trim());
    return before;
  });
  return { q: q.replace(/\s+/g, " ").trim(), without: parts.filter(Boolean).join(", ") };
}

/** Return whether a state has a query. */
export const hasQuery = (state) => Boolean(state.q || state.like || state.photo);

/** Return whether a query has words and something else, so that their weight matters. */
export const isMixed = (state) => Boolean(state.q && (state.like || state.photo));

/** Return the number of fields that are filtered by. */
export const filterCount = (state) => state.is.size + state.range.size;

/** Remove all filters. */
export function clearFilters(state) {
  state.is.clear();
  state.range.clear();
}

/** Accept a value of a field, or no longer. */
export function toggleValue(state, name, value) {
  const values = new Set(state.is.get(name));
  if (!values.delete(value)) values.add(value);
  if (values.size > 0) state.is.set(name, values);
  else state.is.delete(name);
}

/** Set a bound of a number field; null removes it. */
export function setBound(state, name, side, value) {
  const bounds = { ...(state.range.get(name) ?? { min: null, max: null }), [side]: value };
  if (bounds.min === null && bounds.max === null) state.range.delete(name);
  else state.range.set(name, bounds);
}

/**
 * Return the filters as a condition of the API, or null.
 *
 * @param {State} state
 * @param {Object<string, {values: Array}>} fields of the index: an address has strings, and the
 *   values of a field tell numbers and booleans
 * @param {string|null} without a field to leave out
 */
export function condition(state, fields, without = null) {
  const parts = [];
  for (const [name, values] of state.is) {
    if (name === without) continue;
    const typed = (value) => fields[name]?.values?.find((each) => String(each) === value) ?? value;
    parts.push(`${quote(name)} in (${[...values].map((value) => literal(typed(value))).join(", ")})`);
  }
  for (const [name, { min, max }] of state.range) {
    if (name === without) continue;
    if (min !== null) parts.push(`${quote(name)} >= ${min}`);
    if (max !== null) parts.push(`${quote(name)} <= ${max}`);
  }
  return parts.length ? parts.join(" and ") : null;
}

/**
 * Return a query vector as text for an address: start of the fingerprint of its space, and base64.
 * @param {string} fingerprint
 * @param {number[]} vector
 */
export function encodeVector(fingerprint, vector) {
  const bytes = new Uint8Array(Float32Array.from(vector).buffer);
  const text = btoa(String.fromCharCode(...bytes));
  return `${fingerprint.slice(0, 8)}.${text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}

/** Return the vector of such a text, or null if it is not valid. */
export function decodeVector(text) {
  try {
    const base64 = text.slice(text.indexOf(".") + 1).replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
    const vector = [...new Float32Array(bytes.buffer)];
    return vector.length > 0 && vector.every(Number.isFinite) ? vector : null;
  } catch {
    return null;
  }
}

function numberOf(text) {
  const value = text === null || text.trim() === "" ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}

const literal = (value) => (typeof value === "string" ? `"${value.replaceAll('"', '""')}"` : String(value));
const quote = (name) => `\`${name.replaceAll("`", "``")}\``;
