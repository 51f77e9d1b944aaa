// The map view: zooming, hovering, selecting. The points are in map_data.js and drawn by
// map_points.js, names and marks by map_over.js, the lists beside the map by map_side.js.

import * as api from "./api.js";
import { picture } from "./cards.js";
import { debounce, h, icon } from "./dom.js";
import { shortTitle, titleOf } from "./fields.js";
import { drawOver } from "./map_over.js";
import { MapData } from "./map_data.js";
import { drawPoints } from "./map_points.js";
import { MapSide } from "./map_side.js";
import { number, t } from "./words.js";
import "./vendor/d3.min.js";

const { d3 } = globalThis;

/** Pixels from a point within which the pointer selects it. */
const REACH = 14;

/** Seconds after which an unfinished map is requested again, unless the service says when. */
const AGAIN = 5;

export class MapView {
  /**
   * @param {HTMLElement} place an empty section
   * @param {{open: function(string), titleFields: Object}} actions
   */
  constructor(place, actions) {
    this.place = place;
    this.actions = actions;
    this.data = null;
    this.found = [];
    this.lasso = null; // a list of places while one is drawn; null while the pointer moves the map
    this.outline = [];
    this.transform = d3.zoomIdentity;
    this.asked = false;
  }

  /** Show the map; it is loaded at the first time. */
  async resume() {
    if (this.data) return this.fitCanvas();
    if (this.asked) return;
    this.asked = true;
    this.say(t("mapLoading"));
    try {
      this.data = new MapData(await api.map());
      this.build();
    } catch (error) {
      this.asked = false;
      if (error.status === 503) {
        this.say(t("mapMaking"), t("mapMakingMore"));
        setTimeout(() => this.place.hidden || this.resume(), 1000 * (error.retryAfter ?? AGAIN));
      } else if (error.status === 404) this.say(t("mapNone"), t("mapNoneMore"));
      else this.say(error.message);
    }
  }

  /** Mark search results, and show the star among them. */
  showFound(found) {
    this.found = found;
    this.draw();
  }

  /** Draw the texts in the current language. */
  translate() {
    if (this.data) this.build();
    else if (!this.place.hidden) this.resume();
  }

  say(title, more = "") {
    this.place.replaceChildren(h("div", { class: "map-state", role: "status" }, h("h2", {}, title), more && h("p", {}, more)));
  }

  build() {
    this.below = h("canvas", { class: "points", "aria-hidden": "true" });
    this.above = h("canvas", { class: "over", tabindex: 0, role: "img", "aria-label": t("mapLabel", { n: number(this.data.size) }) });
    this.card = h("div", { class: "hover-card", hidden: true });
    const button = (label, path, onclick, extra = {}) =>
      h("button", { type: "button", class: "plain", "aria-label": t(label), title: t(label), onclick, ...extra }, icon(path));
    this.lassoButton = button("lasso", "M12 4c5 0 9 2.4 9 5.5S17 15 12 15c-1.600 0-3-.2-4.200-.6M5.500 13C4 12.100 3 10.900 3 9.500 3 6.400 7 4 12 4M8 14.500c0 1.500-1 2.500-2.500 2.500S4 15.500 5 14.500s3-.5 3 0zM6 17c0 2 1 3 3 4", () => this.holdLasso(this.lasso === null), { "aria-pressed": "false" });
    const tools = h(
      "div",
      { class: "map-tools" },
      button("zoomIn", "M12 5v14M5 12h14", () => this.zoomBy(1.6)),
      button("zoomOut", "M5 12h14", () => this.zoomBy(1 / 1.6)),
      button("fit", "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5", () => this.fit()),
      this.lassoButton,
    );
    this.caption = h("p", { class: "map-caption" });
    this.stage = h("div", { class: "stage" }, this.below, this.above, tools, this.caption, this.card);
    this.side = new MapSide(this.data.map, this.data.alone, {
      isolate: (alone) => {
        this.data.isolate(alone);
        this.draw();
      },
      listView: () => this.side.list(this.data.where((x, y) => this.inView(x, y))),
      open: this.actions.open,
    });
    this.place.replaceChildren(this.stage, this.side.element);
    this.listen();
    this.fitCanvas();
    new ResizeObserver(() => this.fitCanvas()).observe(this.stage);
  }

  listen() {
    this.zoom = d3
      .zoom()
      .scaleExtent([0.6, 60])
      .filter((event) => (event.type === "wheel" || this.lasso === null) && !event.button)
      .on("zoom", (event) => {
        this.transform = event.transform;
        this.hide();
        this.draw();
      });
    d3.select(this.above).call(this.zoom).on("dblclick.zoom", null).property("__zoom", this.transform);
    const look = debounce((place) => this.look(place), 60);
    this.above.addEventListener("pointermove", (event) => {
      if (this.drawing) this.stretch(event);
      else if (event.buttons === 0) look([event.offsetX, event.offsetY]);
    });
    this.above.addEventListener("pointerleave", () => look(null));
    this.above.addEventListener("pointerdown", (event) => this.lasso !== null && this.begin(event));
    this.above.addEventListener("pointerup", () => this.drawing && this.end());
    this.above.addEventListener("pointercancel", () => this.drawing && this.end());
    this.above.addEventListener("click", (event) => {
      const row = this.lasso === null ? this.nearest([event.offsetX, event.offsetY]) : undefined;
      if (row !== undefined) this.actions.open(this.data.map.ids[row]);
    });
    this.above.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
      if (step) d3.select(this.above).call(this.zoom.translateBy, step[0] / this.transform.k, step[1] / this.transform.k);
      else if (event.key === "+" || event.key === "=") this.zoomBy(1.6);
      else if (event.key === "-") this.zoomBy(1 / 1.6);
      else if (event.key === "0") this.fit();
      else if (event.key === "Escape") this.holdLasso(false);
      else return;
      event.preventDefault();
    });
  }

  zoomBy(factor) {
    d3.select(this.above).transition().duration(180).call(this.zoom.scaleBy, factor);
  }

  fit() {
    d3.select(this.above).transition().duration(260).call(this.zoom.transform, d3.zoomIdentity);
  }

  fitCanvas() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (width === 0 || height === 0) return;
    const ratio = Math.min(2, devicePixelRatio);
    for (const canvas of [this.below, this.above]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    this.ratio = ratio;
    const edge = 36;
    const [left, right] = this.data.extent.x;
    const [low, high] = this.data.extent.y;
    this.scale = Math.min((width - 2 * edge) / (right - left || 1), (height - 2 * edge) / (high - low || 1));
    this.shift = [(width - (left + right) * this.scale) / 2, (height - (low + high) * this.scale) / 2];
    this.draw();
  }

  // Pixel = (coordinate * scale + shift) * k + translation, in CSS pixels.
  view() {
    const { k, x, y } = this.transform;
    return { scale: this.scale * k, left: this.shift[0] * k + x, top: this.shift[1] * k + y };
  }

  at(x, y) {
    const { scale, left, top } = this.view();
    return [x * scale + left, y * scale + top];
  }

  under([x, y]) {
    const { scale, left, top } = this.view();
    return [(x - left) / scale, (y - top) / scale];
  }

  /** Draw everything before the next frame. */
  draw() {
    if (!this.data || !this.scale || this.due) return;
    this.due = requestAnimationFrame(() => {
      this.due = 0;
      this.paint();
    });
  }

  paint() {
    const theme = document.documentElement.dataset.theme;
    const { points, alone, size, middles } = this.data;
    const { scale, left, top } = this.view();
    const crowd = Math.max(1.3, 4.2 - Math.log10(size) * 0.6);
    const radius = Math.min(7, crowd * this.transform.k ** 0.35);
    const pixels = { scale: scale * this.ratio, left: left * this.ratio, top: top * this.ratio };
    drawPoints(this.below.getContext("2d"), points, pixels, radius * this.ratio, theme, alone);
    const rows = this.data.rowsOf(this.found);
    const star = this.data.star(rows);
    this.caption.textContent = this.found.length === 0 ? "" : star ? `★ ${t("star")}` : t("starNone");
    const over = {
      names: middles.filter((one) => !alone || alone.has(one.group)).map((one) => {
        const [x, y] = this.at(one.x, one.y);
        return { ...one, x, y };
      }),
      found: rows.map((row) => this.placeOf(row)),
      star: star && this.at(star.x, star.y),
      hovered: this.hovered === undefined ? null : this.placeOf(this.hovered),
      lasso: this.outline.map(([x, y]) => this.at(x, y)),
      radius,
    };
    const context = this.above.getContext("2d");
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    drawOver(context, over, theme);
  }

  placeOf(row) {
    return this.at(this.data.points.x[row], this.data.points.y[row]);
  }

  nearest(place) {
    return this.data.nearest(this.under(place), REACH / this.view().scale);
  }

  async look(place) {
    const row = place && !this.drawing ? this.nearest(place) : undefined;
    if (row === this.hovered) return;
    this.hovered = row;
    this.above.classList.toggle("on-point", row !== undefined && this.lasso === null);
    this.draw();
    if (row === undefined) return this.hide();
    const { map, points } = this.data;
    const [id, group] = [map.ids[row], map.classes[points.group[row]]];
    const words = h("span", { class: "title" }, id);
    this.card.replaceChildren(words, h("span", { class: "labels" }, group));
    this.card.hidden = false;
    const [x, y] = this.placeOf(row);
    this.card.classList.toggle("left", x > this.stage.clientWidth - 260);
    this.card.classList.toggle("up", y > this.stage.clientHeight - 240);
    this.card.style.setProperty("--x", `${x}px`);
    this.card.style.setProperty("--y", `${y}px`);
    const item = await api.item(id).catch(() => null); // the card then has the id only
    if (!item || this.hovered !== row) return;
    words.textContent = shortTitle(titleOf(item, this.actions.titleFields));
    if (item.has_picture) this.card.prepend(h("span", { class: "photo" }, picture(id, 128, "")));
  }

  hide() {
    this.hovered = undefined;
    if (this.card) this.card.hidden = true;
  }

  holdLasso(held) {
    this.lasso = held ? [] : null;
    this.outline = held ? this.outline : [];
    this.lassoButton.setAttribute("aria-pressed", String(held));
    this.above.classList.toggle("lassoing", held);
    this.hide();
    this.draw();
  }

  begin(event) {
    this.above.setPointerCapture(event.pointerId);
    this.drawing = true;
    this.outline = [this.under([event.offsetX, event.offsetY])];
  }

  stretch(event) {
    this.outline.push(this.under([event.offsetX, event.offsetY]));
    this.draw();
  }

  end() {
    this.drawing = false;
    if (this.outline.length < 3) this.outline = [];
    else this.side.list(this.data.where((x, y) => d3.polygonContains(this.outline, [x, y])));
    this.draw();
  }

  inView(x, y) {
    const [left, top] = this.at(x, y);
    return left >= 0 && top >= 0 && left <= this.stage.clientWidth && top <= this.stage.clientHeight;
  }
}
