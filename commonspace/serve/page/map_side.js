// Beside the map: the legend, which selects classes, and the list of selected items, also as CSV.

import { picture } from "./cards.js";
import { csv } from "./csv.js";
import { download, h } from "./dom.js";
import { colorOf, SHAPES } from "./map_points.js";
import { modalityName, number, t } from "./words.js";

/** Items of a selection that are listed; the CSV has all. */
const LISTED = 60;

export class MapSide {
  /**
   * @param {Object} map as the service sends it
   * @param {Set<number>|null} alone the only classes that are shown; null: all
   * @param {{isolate: function(Set<number>|null), listView: function(), open: function(string)}} actions
   */
  constructor(map, alone, actions) {
    this.map = map;
    this.actions = actions;
    this.alone = new Set(alone);
    this.chosen = h("section", { class: "chosen", "aria-live": "polite" });
    this.element = h("aside", { class: "map-side", "aria-label": t("classes") }, this.chosen, this.legend());
  }

  /**
   * List rows of the map.
   * @param {number[]} rows
   */
  list(rows) {
    const save = h("button", { type: "button", class: "quiet", onclick: () => this.save(rows) }, t("exportCsv"));
    const items = rows.slice(0, LISTED).map((row) => this.entry(row));
    const rest = rows.length - items.length;
    this.chosen.replaceChildren(
      h("div", { class: "chosen-head" }, h("h2", {}, t("selected", { n: number(rows.length) })), rows.length > 0 && save),
      rows.length > 0 ? h("ul", {}, ...items) : h("p", {}, t("nothingSelected")),
      rest > 0 ? h("p", { class: "rest" }, t("andMore", { n: number(rest) })) : "",
    );
    this.chosen.scrollIntoView({ block: "nearest" });
  }

  entry(row) {
    const id = this.map.ids[row];
    const shape = this.map.modalities[this.map.modality[row]];
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", onclick: () => this.actions.open(id) },
        h("span", { class: "photo" }, picture(id, 64, "")),
        h("span", { class: "title" }, id),
        h("span", { class: "labels" }, `${this.map.classes[this.groupOf(row)]} · ${modalityName(shape)}`),
      ),
    );
  }

  groupOf(row) {
    return this.map.class[row] < 0 ? this.map.classes.length - 1 : this.map.class[row];
  }

  legend() {
    const counts = new Array(this.map.classes.length).fill(0);
    this.map.class.forEach((_, row) => (counts[this.groupOf(row)] += 1));
    const shapes = this.map.modalities.map((name, place) =>
      h("li", {}, h("span", { class: `shape ${SHAPES[place % SHAPES.length]}`, "aria-hidden": "true" }), modalityName(name)),
    );
    this.entries = this.map.classes.map((name, place) =>
      h(
        "button",
        { type: "button", "aria-pressed": String(this.alone.has(place)), onclick: () => this.toggle(place) },
        h("span", { class: "dot", "aria-hidden": "true", "--light": colorOf(place, "light"), "--dark": colorOf(place, "dark") }),
        h("span", { class: "name" }, name),
        h("span", { class: "count" }, number(counts[place])),
      ),
    );
    this.all = h("button", { type: "button", class: "quiet", hidden: this.alone.size === 0, onclick: () => this.toggle(null) }, t("allClasses"));
    return h(
      "section",
      { class: "legend" },
      h("ul", { class: "shapes" }, ...shapes),
      h("button", { type: "button", class: "quiet", onclick: this.actions.listView }, t("inView")),
      h("h2", {}, t("classes")),
      h("p", {}, t("isolate")),
      this.all,
      h("ul", { class: "classes" }, ...this.entries.map((one) => h("li", {}, one))),
      h("p", { class: "note" }, t("mapNote"), this.map.current === false ? ` ${t("mapOld")}` : ""),
    );
  }

  toggle(place) {
    if (place === null) this.alone.clear();
    else if (!this.alone.delete(place)) this.alone.add(place);
    this.entries.forEach((one, at) => one.setAttribute("aria-pressed", String(this.alone.has(at))));
    this.all.hidden = this.alone.size === 0;
    this.actions.isolate(this.alone.size > 0 ? new Set(this.alone) : null);
  }

  save(rows) {
    const lines = rows.map((row) => [
      this.map.ids[row],
      this.map.modalities[this.map.modality[row]],
      this.map.class[row] < 0 ? "" : this.map.classes[this.map.class[row]],
      this.map.x[row],
      this.map.y[row],
    ]);
    download("selection.csv", csv([["id", "modality", "class", "x", "y"], ...lines]), "text/csv;charset=utf-8");
  }
}
