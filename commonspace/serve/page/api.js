// Asks the service. Knows its routes and its errors, and nothing of elements.

import { t } from "./words.js";

/** What went wrong, in words for the person at the page. */
export class ServiceError extends Error {
  /**
   * @param {string} message
   * @param {number} status 0 where nothing answered
   * @param {string} reason what the service itself said
   * @param {number|null} retryAfter seconds, where the service named them
   */
  constructor(message, status, reason = "", retryAfter = null) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.retryAfter = retryAfter;
  }
}

let key = null;

/** Send this key along from now on; it is kept in this tab. */
export function useKey(given) {
  key = given;
}

/** Return what there is to search in. */
export const about = () => ask("about");

/** Return the map as arrays. */
export const map = () => ask("map");

/** Return an item with all that is known of it. */
export const item = (id, signal) => ask(`items/${encodeURIComponent(id)}`, { signal });

/** Return the address of a thumbnail of an item. */
export const thumbnail = (id, size) => `items/${encodeURIComponent(id)}/thumbnail?size=${size}`;

/** Return the address of the photo of an item. */
export const photo = (id) => `items/${encodeURIComponent(id)}/image`;

/**
 * Search.
 *
 * @param {{text: string|null, id: string|null, image: Blob|null, modality: string|null,
 *   where: string|null, instance_weight: number|null, k: number, offset: number}} query
 * @param {AbortSignal} signal
 */
export function search(query, signal) {
  const form = new FormData();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== "") form.append(name, value instanceof Blob ? value : String(value));
  }
  return ask("search", { method: "POST", body: form, signal });
}

async function ask(address, options = {}) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  let answer;
  try {
    answer = await fetch(address, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServiceError(t("unreachable"), 0);
  }
  if (answer.ok) return answer.json();
  const reason = await said(answer);
  const after = Number.parseInt(answer.headers.get("Retry-After") ?? "", 10);
  const known = { 401: "key", 403: "key", 413: "large", 429: "busy" }[answer.status];
  throw new ServiceError(
    known ? t(known) : t("wrong", { reason }),
    answer.status,
    reason,
    Number.isFinite(after) ? after : null,
  );
}

/** Return the sentence of an error: ours have a problem and advice, a proxy's may be no JSON. */
async function said(answer) {
  try {
    const body = await answer.json();
    const error = body.error ?? body.detail ?? body;
    if (typeof error === "string") return error;
    return [error.problem ?? error.message, error.advice].filter(Boolean).join("; ");
  } catch {
    return `HTTP ${answer.status}`;
  }
}
