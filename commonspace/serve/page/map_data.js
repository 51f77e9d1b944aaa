// The points of the map as arrays, with the nearest point, the middle of each class, and the place of
// a query.

import { SHAPES } from "./map_points.js";
import { t } from "./words.js";
import "./vendor/d3.min.js";

const { d3 } = globalThis;

/** Results that decide the place of the star. */
const VOTERS = 10;

export class MapData {
  /** @param {Object} map as the service sends it */
  constructor(map) {
    const unclassed = map.class.some((one) => one < 0);
    this.map = { ...map, classes: unclassed ? [...map.classes, t("noClass")] : map.classes };
    this.size = map.ids.length;
    this.points = {
      x: Float32Array.from(map.x),
      y: Float32Array.from(map.y),
      shape: Uint8Array.from(map.modality, (one) => one % SHAPES.length),
      group: Uint16Array.from(map.class, (one) => (one < 0 ? map.classes.length : one)),
    };
    this.extent = { x: d3.extent(this.points.x), y: d3.extent(this.points.y) };
    this.rows = new Map(); // of an item in a modality
    map.ids.forEach((id, row) => this.rows.set(`${map.modality[row]} ${id}`, row));
    this.middles = d3
      .groups(d3.range(this.size), (row) => this.points.group[row])
      .map(([group, rows]) => ({ group, name: this.map.classes[group], ...this.middle(rows), weight: rows.length }));
    this.isolate(null);
  }

  /**
   * Show only these classes.
   * @param {Set<number>|null} alone null for all
   */
  isolate(alone) {
    this.alone = alone;
    this.tree = d3.quadtree(this.where(() => true), (row) => this.points.x[row], (row) => this.points.y[row]);
  }

  /** Return the visible rows whose places fulfil a condition. */
  where(belongs) {
    const seen = (row) => !this.alone || this.alone.has(this.points.group[row]);
    return d3.range(this.size).filter((row) => seen(row) && belongs(this.points.x[row], this.points.y[row]));
  }

  /** Return the row nearest to a place, within a distance, or undefined. */
  nearest([x, y], reach) {
    return this.tree.find(x, y, reach);
  }

  /** Return the rows of search results, best first; results that are not on the map are left out. */
  rowsOf(found) {
    return found
      .toSorted((a, b) => b.score - a.score)
      .map((one) => this.rows.get(`${this.map.modalities.indexOf(one.modality)} ${one.id}`))
      .filter((row) => row !== undefined);
  }

  /**
   * Return the place of the star, or null. A query has no place of its own on the map; the star is at
   * the median of its best results, which an outlier does not move.
   * @param {number[]} rows best first
   */
  star(rows) {
    return rows.length > 0 ? this.middle(rows.slice(0, VOTERS)) : null;
  }

  middle(rows) {
    return { x: d3.median(rows, (row) => this.points.x[row]), y: d3.median(rows, (row) => this.points.y[row]) };
  }
}
