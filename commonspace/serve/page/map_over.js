// Draws what lies above the points of the map: names of classes, what was found, the star, the lasso.

import { colourOf } from "./map_points.js";

/**
 * @typedef {Object} Over all places in CSS pixels
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
  drawNames(context, over.names, theme, paper);
  for (const [x, y] of over.found) ring(context, x, y, over.radius + 3, ink, paper);
  if (over.hovered) ring(context, ...over.hovered, over.radius + 4.5, ink, paper);
  if (over.star) star(context, ...over.star, ink, paper);
  if (over.lasso.length > 1) lasso(context, over.lasso, ink);
}

// The heaviest first; one that would lie on another is left out until there is room.
function drawNames(context, names, theme, paper) {
  context.font = "600 13px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  const taken = [];
  for (const { name, group, x, y } of [...names].sort((a, b) => b.weight - a.weight)) {
    const half = context.measureText(name).width / 2 + 4;
    const box = [x - half, y - 10, x + half, y + 10];
    if (taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) continue;
    taken.push(box);
    context.lineWidth = 4;
    context.strokeStyle = paper;
    context.strokeText(name, x, y);
    context.fillStyle = shade(colourOf(group, theme), theme);
    context.fillText(name, x, y);
  }
}

function ring(context, x, y, radius, ink, paper) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  for (const [width, colour] of [[4, paper], [1.8, ink]]) {
    context.lineWidth = width;
    context.strokeStyle = colour;
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

// Names are read, points are only seen: towards black on light, towards white on dark.
function shade(hex, theme) {
  const part = (place) => Number.parseInt(hex.slice(place, place + 2), 16);
  const mix = (value) => Math.round(theme === "dark" ? value + (255 - value) * 0.35 : value * 0.62);
  return `rgb(${mix(part(1))} ${mix(part(3))} ${mix(part(5))})`;
}
