// Creates elements. Text is inserted as text, never as HTML, so that no item can write markup.

/**
 * Return an element.
 *
 * Properties that start with "on" are listeners, `--x` is a CSS variable (set by the CSSOM: the
 * content security policy forbids style attributes), all others are attributes. null, undefined and
 * false leave a property out.
 *
 * @param {string} tag
 * @param {Object<string, *>} properties
 * @param {...(Node|string|null|undefined|false)} children
 * @returns {HTMLElement}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) element.style.setProperty(name, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child || child === "0"));
  return element;
}

/** Paths of icons in a box of 24 x 24. */
export const ICONS = {
  close: "m6 6 12 12M18 6 6 18",
  like: "M12 4v4m0 8v4M4 12h4m8 0h4M7 7l2 2m6 6 2 2m0-10-2 2m-6 6-2 2",
  previous: "m14.500 5-7 7 7 7",
  next: "m9.500 5 7 7-7 7",
  download: "M12 4v11m-5-4.500 5 5 5-5M4.500 20h15",
};

/**
 * Return an icon, hidden from screen readers.
 * @param {string} path the d of an SVG path
 */
export function icon(path) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(space, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

/** Return the element with an id. */
export function at(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element;
}

/** Return text for screen readers only. */
export function spoken(text) {
  return h("span", { class: "spoken" }, text);
}

/** Return a button with an icon. */
export function iconButton(label, path, onclick, properties = {}) {
  return h("button", { type: "button", class: "plain", "aria-label": label, title: label, onclick, ...properties }, icon(path));
}

/** Return a function that calls `work` when `milliseconds` have passed without a further call. */
export function debounce(work, milliseconds) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), milliseconds);
  };
}

/** Let the browser save a file. */
export function download(name, text, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
