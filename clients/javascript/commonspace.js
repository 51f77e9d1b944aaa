// Client of the search service for browsers and Node 18 or newer, without dependencies.
// Types are in commonspace.d.ts.

/** An error response of the service, or a service that cannot be reached (status 0). */
export class ServiceError extends Error {
  constructor(status, { code = "", problem, expected = "", found = "", advice = "" }) {
    super(problem);
    this.name = "ServiceError";
    Object.assign(this, { status, code, expected, found, advice });
  }
}

/** Client of a search service. */
export class Client {
  #address;
  #headers;
  #fetch;

  constructor(address, { key, fetch = globalThis.fetch } = {}) {
    this.#address = `${String(address).replace(/\/+$/, "")}/v1`;
    this.#headers = key ? { Authorization: `Bearer ${key}` } : {};
    this.#fetch = fetch.bind(globalThis);
  }

  /** Return the items that match a query best. */
  search({ image, ...query }, { signal } = {}) {
    return this.#send("search", image ? form(query, image) : json(query), signal);
  }

  /** Return the query vector of a text or an image. */
  embed({ text, image }, { signal } = {}) {
    return this.#send("embed", image ? form({ text }, image) : json({ text }), signal);
  }

  /** Return an item with its neighbors. */
  item(id, { signal } = {}) {
    return this.#send(`items/${encodeURIComponent(id)}`, {}, signal);
  }

  /** Yield every item that a filter accepts, in the order in which they were written. */
  async *items({ where, page = 100, signal } = {}) {
    const query = new URLSearchParams({ limit: String(page), ...(where ? { where } : {}) });
    for (;;) {
      const { items, cursor } = await this.#send(`items?${query}`, {}, signal);
      yield* items;
      if (cursor === null) return;
      query.set("cursor", cursor);
    }
  }

  /** Return the number of items that a filter accepts, by field and value. */
  async facets(where = null, { without = null, group_by = null, signal } = {}) {
    return (await this.#send("facets", json({ where, without, group_by }), signal)).fields;
  }

  /** Return the contents of the index and the abilities of the service. */
  about({ signal } = {}) {
    return this.#send("about", {}, signal);
  }

  /** Add or replace an item. */
  put({ image, ...item }, { signal } = {}) {
    return this.#send("items", image ? form(item, image) : json(item), signal);
  }

  /** Add or replace up to 1,000 items without images: all or none. */
  putMany(items, { signal } = {}) {
    return this.#send("items/batch", json({ items }), signal);
  }

  /** Remove an item. */
  remove(id, { signal } = {}) {
    return this.#send(`items/${encodeURIComponent(id)}`, { method: "DELETE" }, signal);
  }

  /** Store whether a result is what was looked for. */
  judge(judgment, { signal } = {}) {
    return this.#send("feedback", json(judgment), signal);
  }

  /** Return the address of the photo of an item. */
  imageUrl(id) {
    return `${this.#address}/items/${encodeURIComponent(id)}/image`;
  }

  /** Return the address of a small photo of an item. */
  thumbnailUrl(id, size = 256) {
    return `${this.#address}/items/${encodeURIComponent(id)}/thumbnail?size=${size}`;
  }

  async #send(path, options, signal) {
    const headers = { ...options.headers, ...this.#headers };
    let response;
    try {
      response = await this.#fetch(`${this.#address}/${path}`, { ...options, headers, signal });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ServiceError(0, { problem: `the service at ${this.#address} cannot be reached`, found: error.message });
    }
    const body = await response.json().catch(() => null);
    if (response.ok && body !== null) return body;
    throw new ServiceError(response.status, body?.error ?? { problem: `the service returned status ${response.status}` });
  }
}

function json(values) {
  return { method: "POST", body: JSON.stringify(present(values)), headers: { "Content-Type": "application/json" } };
}

function form(values, image) {
  const body = new FormData();
  for (const [name, value] of Object.entries(present(values))) {
    const several = Array.isArray(value) && typeof value[0] !== "number"; // a vector is one value
    for (const one of several ? value : [value]) {
      body.append(name, typeof one === "object" ? JSON.stringify(one) : String(one));
    }
  }
  body.append("image", image, "image");
  return { method: "POST", body };
}

function present(values) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== null));
}
