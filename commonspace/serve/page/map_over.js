// Draws over the points of the map: names of classes, search results, the star, the lasso.

import { colorOf } from "./map_points.js";

/** Pixels of the corner that the tools cover: a column, or a row on narrow maps. */
const TOOLS = { narrow: 500, column: [66, 212], row: [214, 66] };

/** Pixels at the bottom that the caption covers. */
const CAPTION = { width: 290, height: 50 };

/** Pixels of a name above the middle of its class, the first place that is free is taken. */
const RAISED = [18, 40, -18, 62, -40];

/** Pixels around the star that no name covers. */
const STAR = 18;

/**
 * @typedef {Object} Over places in CSS pixels
 * @property {{name: string, group: number, x: number, y: number, weight: number}[]} names
 * @property {[number, number][]} found
 * @property {[number, number]|null} star
 * @property {[number, number]|null} hovered
 * @property {[number, number][]} lasso
 * @property {number} radius of a point
 */

/**
 * Draw all of it.
 * @param {CanvasRenderingContext2D} context
 * @param {Over} over
 * @param {string} theme
 */
export function drawOver(context, over, theme) {
  const { width, height } = context.canvas;
  const ratio = context.getTransform().a;
  context.clearRect(0, 0, width / ratio, height / ratio);
  const ink = theme === "dark" ? "#ecedf0" : "#1c1d20";
  const paper = theme === "dark" ? "#15171b" : "#fafaf8";
  for (const [x, y] of over.found) ring(context, x, y, over.radius + 3, ink, paper);
  drawNames(context, over, theme, paper, width / ratio, height / ratio);
  if (over.hovered) ring(context, ...over.hovered, over.radius + 4.5, ink, paper);
  if (over.star) star(context, ...over.star, ink, paper);
  if (over.lasso.length > 1) lasso(context, over.lasso, ink);
}

// Largest classes first; a name moves up or down from the middle of its class until it overlaps
// neither another one nor the star, the tools or the caption. If there is no room, it is left out.
function drawNames(context, { names, star: at }, theme, paper, width, height) {
  context.font = "600 13px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  const tools = width < TOOLS.narrow ? TOOLS.row : TOOLS.column;
  const taken = [[0, 0, ...tools], [width / 2 - CAPTION.width / 2, height - CAPTION.height, width / 2 + CAPTION.width / 2, height]];
  if (at) taken.push([at[0] - STAR, at[1] - STAR, at[0] + STAR, at[1] + STAR]);
  for (const { name, group, x: middle, y: center } of [...names].sort((a, b) => b.weight - a.weight)) {
    const half = context.measureText(name).width / 2 + 6;
    const x = Math.min(Math.max(middle, half), width - half); // inside the map
    const box = RAISED.map((raised) => boxAt(x, center - raised, half, height)).find((each) => !taken.some((other) => overlap(each, other)));
    if (!box) continue;
    taken.push(box);
    const y = (box[1] + box[3]) / 2;
    context.lineWidth = 4;
    context.strokeStyle = paper;
    context.strokeText(name, x, y);
    context.fillStyle = shade(colorOf(group, theme), theme);
    context.fillText(name, x, y);
  }
}

function boxAt(x, wanted, half, height) {
  const y = Math.min(Math.max(wanted, 12), height - 12);
  return [x - half, y - 11, x + half, y + 11];
}

const overlap = (one, other) => one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3];

function ring(context, x, y, radius, ink, paper) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  for (const [width, color] of [[4, paper], [1.8, ink]]) {
    context.lineWidth = width;
    context.strokeStyle = color;
    context.stroke();
  }
}

function star(context, x, y, ink, paper) {
  context.beginPath();
  for (let corner = 0; corner < 10; corner++) {
    const radius = corner % 2 === 0 ? 15 : 6.4;
    const angle = (corner * Math.PI) / 5 - Math.PI / 2;
    context.lineTo(x + radius * Math.cos(angle), y + radius * Math.sin(angle));
  }
  context.closePath();
  context.lineWidth = 6;
  context.strokeStyle = paper;
  context.stroke();
  context.fillStyle = "#ffd43b";
  context.fill();
  context.lineWidth = 1.8;
  context.strokeStyle = ink;
  context.stroke();
}

function lasso(context, points, ink) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.closePath();
  context.fillStyle = "rgb(100 130 255 / 14%)";
  context.fill();
  context.lineWidth = 1.6;
  context.setLineDash([6, 4]);
  context.strokeStyle = ink;
  context.stroke();
  context.setLineDash([]);
}

// Names need more contrast than points: darker on light, lighter on dark.
function shade(hex, theme) {
  const part = (place) => Number.parseInt(hex.slice(place, place + 2), 16);
  const mix = (value) => Math.round(theme === "dark" ? value + (255 - value) * 0.35 : value * 0.62);
  return `rgb(${mix(part(1))} ${mix(part(3))} ${mix(part(5))})`;
}
