// Metadata fields: which is title, price or link, which can be filtered and sorted by, how values read.

import { number, t } from "./words.js";

/** Name by which conditions know the classes of an item. */
export const LABEL = "label";

/** Field of data whose rows of equal values are in one split: no property of an item. */
export const SPLIT_GROUP = "group";

/** Fields of a card beside title and price. */
const ON_CARD = 2;

/** Strings of which more than this share differ are names, not categories. */
const NEAR_UNIQUE = 0.5;

/**
 * @typedef {Object} Roles names of fields, or null
 * @property {string|null} title
 * @property {string|null} price
 * @property {string|null} link
 * @property {string|null} group
 * @property {number} decimals of prices
 * @property {string[]} card further fields of a card
 */

/**
 * Return which field is what.
 * @param {{fields: Object, items: number, roles: Object<string, string>}} about
 * @returns {Roles}
 */
export function roles({ fields, items, roles: { title = null, price = null, link = null, group = null } }) {
  const names = Object.keys(fields);
  const card = names.filter(
    (name) => fields[name].kind === "string" && ![title, link, group, SPLIT_GROUP].includes(name) && isCategory(fields[name], items),
  );
  const whole = price && [fields[price].min, fields[price].max, ...fields[price].values].every(Number.isInteger);
  return { title, price, link, group, decimals: whole ? 0 : 2, card: card.slice(0, ON_CARD) };
}

/**
 * Return the fields that can be filtered by, the classes first.
 * @param {Object} about
 * @param {Roles} role
 */
export function filterFields(about, role) {
  const usable = ([name, field]) =>
    ![role.title, role.link, role.group, SPLIT_GROUP].includes(name) && field.kind !== "mixed" &&
    (field.kind === "number" ? field.min < field.max : isCategory(field, about.items));
  const classes = about.classes.length > 1 ? { [LABEL]: { kind: "string", values: about.classes, distinct: about.classes.length } } : {};
  return { ...classes, ...Object.fromEntries(Object.entries(about.fields).filter(usable)) };
}

/** Return the title of an item in full: its title field, its first text, or its id. */
export function titleOf(item, role) {
  return String((role?.title && item.fields[role.title]) || item.texts[0] || item.id);
}

/** Return the start of a long title: up to the end of a sentence, or some words. */
export function shortTitle(title, most = 90) {
  const line = title.split("\n", 1)[0].trim();
  if (line.length <= most) return line;
  const sentence = line.slice(0, most).match(/^.{20,}?[.!?。！？](?=\s|$)/)?.[0];
  return sentence ?? `${line.slice(0, most).replace(/\s+\S*$/, "")}…`;
}

/** Return a price as text, or "" if an item has none. */
export function priceOf(item, role) {
  const value = role.price ? item.fields[role.price] : undefined;
  if (typeof value === "string") return value;
  return typeof value === "number" ? number(value, 2, role.decimals) : "";
}

/** Return the address of an item on another site, or null; only of HTTP. */
export function linkOf(item, role) {
  const value = role.link ? item.fields[role.link] : null;
  return typeof value === "string" && /^https?:\/\//i.test(value) ? value : null;
}

/** Return the name of a field as visitors read it. */
export function fieldName(name) {
  if (name === LABEL) return t("class");
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Return the value of a field as text. */
export function valueText(value) {
  if (Array.isArray(value)) return value.map(valueText).join(", ");
  if (typeof value === "boolean") return t(value ? "yes" : "no");
  return String(value); // numbers without separators: a year has none
}

function isCategory(field, items) {
  return field.distinct > 1 && (field.distinct <= 12 || field.distinct <= NEAR_UNIQUE * items);
}
