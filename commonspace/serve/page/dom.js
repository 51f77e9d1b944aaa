// Makes elements. Text goes in as text, never as HTML, so that no item of an index can write markup.

/**
 * Return an element.
 *
 * Properties that begin with "on" are listeners, those with a dash or named role, for, type and the
 * like are attributes, `class` is the class, `--x` a CSS variable (set by the CSSOM: the content
 * security policy forbids style attributes), and null leaves one out.
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

/**
 * Return an icon of one path, hidden from screen readers.
 * @param {string} path the d of an SVG path in a 24 x 24 box
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

/** Return the element with an id; one that is missing is a mistake of the page. */
export function at(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/** Return text that only screen readers have. */
export function spoken(text) {
  return h("span", { class: "spoken" }, text);
}

/** Call `work` when `milliseconds` have passed without a further call. */
export function calm(work, milliseconds) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), milliseconds);
  };
}
