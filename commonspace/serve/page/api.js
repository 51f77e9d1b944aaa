// Requests to the service, and its errors in words for visitors.

import { t } from "./words.js";

/** An error in words for a visitor. */
export class ServiceError extends Error {
  /**
   * @param {string} message
   * @param {number} status 0 if the service did not answer
   * @param {string} code of the service
   * @param {number|null} retryAfter seconds
   */
  constructor(message, status, code = "", retryAfter = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

const BY_CODE = {
  image_too_large: "photoLarge",
  image_truncated: "photoCut",
  image_unreadable: "notPhoto",
  map_in_progress: "mapMaking",
  no_map: "mapNone",
};
const BY_STATUS = { 401: "key", 403: "forbidden", 404: "gone", 413: "photoLarge", 429: "busy", 503: "busy" };

let key = null;

/** Send this key from now on; it is kept in this tab only. */
export function useKey(text) {
  key = text;
}

/** Return the contents of the index. */
export const about = () => request("about");

/** Return the map as columns. */
export const map = () => request("map");

/** Return an item. */
export const item = (id, signal) => request(`items/${encodeURIComponent(id)}`, { signal });

/** Return the address of a thumbnail of an item. */
export const thumbnail = (id, size) => `v1/items/${encodeURIComponent(id)}/thumbnail?size=${size}`;

/** Return the address of the photo of an item. */
export const photo = (id) => `v1/items/${encodeURIComponent(id)}/image`;

/**
 * Search.
 * @param {{text?: string, vector?: number[], id?: string, modality?: string, where?: string,
 *   instance_weight?: number, sort?: string, k: number, offset?: number}} query null: left out
 * @param {AbortSignal} signal
 */
export const search = (query, signal) => request("search", { ...json(query), signal });

/**
 * Return the number of items that match, for each value of each field.
 * @param {{where: string|null, without: string, group_by: string|null}} query words to avoid, and the
 *   field whose equal values count as one item
 * @param {AbortSignal} signal
 */
export const facets = (query, signal) => request("facets", { ...json(query), signal });

/**
 * Return the query vector of a photo.
 * @param {Blob} image
 */
export function embed(image) {
  const form = new FormData();
  form.append("image", image);
  return request("embed", { method: "POST", body: form });
}

/**
 * Store whether a result is what the visitor looked for.
 * @param {{id: string, useful: boolean, text?: string|null, query_id?: string|null}} judgment
 */
export const judge = (judgment) => request("feedback", json(judgment));

/**
 * Give an item its classes, or confirm them.
 * @param {{id: string, labels: string[]}} given
 */
export const label = (given) => request("labels", json(given));

/** Return the items whose labels would help most. */
export const labelNext = (signal) => request("labels/next", { signal });

function json(values) {
  const body = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null && value !== ""));
  return { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
}

async function request(path, options = {}) {
  const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  let response;
  try {
    response = await fetch(`v1/${path}`, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServiceError(t("unreachable"), 0);
  }
  if (response.ok) return response.json();
  const code = await codeOf(response);
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const words = BY_CODE[code] ?? BY_STATUS[response.status] ?? "wrong";
  throw new ServiceError(t(words), response.status, code, Number.isFinite(seconds) ? seconds : null);
}

/** Return the code of an error; an error of a proxy has none. */
async function codeOf(response) {
  try {
    return (await response.json()).error?.code ?? "";
  } catch {
    return "";
  }
}
