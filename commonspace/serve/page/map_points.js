// Draws points as small stamps into the pixels of a canvas: 50,000 of them in a few milliseconds,
// without WebGL and its compiled shaders, which the content security policy forbids.

/** Safe for color-blind people, after Okabe and Ito, and Paul Tol; for light and dark. */
export const COLORS = {
  light: ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#332288", "#999933", "#882255", "#44aa99", "#aa4499", "#b3a100"],
  dark: ["#4aa3e0", "#f0b030", "#20c090", "#e29bc4", "#f07838", "#8accf2", "#9a8ff0", "#b9b95a", "#d0648f", "#6fd0bf", "#cf7fc0", "#f0e442"],
};

/** Shapes of the modalities, in order. */
export const SHAPES = ["disc", "diamond", "ring", "square"];

/** Return the color of a class. */
export const colorOf = (place, theme) => COLORS[theme][place % COLORS[theme].length];

/**
 * @typedef {Object} Points
 * @property {Float32Array} x
 * @property {Float32Array} y
 * @property {Uint8Array} shape places in SHAPES
 * @property {Uint16Array} group the class of each
 */

/**
 * Draw points.
 *
 * @param {CanvasRenderingContext2D} context whose canvas is drawn over
 * @param {Points} points
 * @param {{scale: number, left: number, top: number}} view pixel = coordinate * scale + left or top
 * @param {number} radius in pixels
 * @param {string} theme "light" or "dark"
 * @param {Set<number>|null} alone the classes that keep their color; null for all
 */
export function drawPoints(context, points, view, radius, theme, alone) {
  const { width, height } = context.canvas;
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const paper = packed(theme === "dark" ? "#15171b" : "#fafaf8");
  const faded = packed(theme === "dark" ? "#383d46" : "#dcdcd5");
  pixels.fill(paper);
  const stamps = SHAPES.map((shape) => stamp(shape, radius, width));
  const colors = COLORS[theme].map(packed);
  const reach = Math.ceil(radius) + 1;
  // Faded points first, below the others.
  for (const shown of alone ? [false, true] : [true]) {
    for (let i = 0; i < points.x.length; i++) {
      const group = points.group[i];
      if (alone && alone.has(group) !== shown) continue;
      const x = Math.round(points.x[i] * view.scale + view.left);
      const y = Math.round(points.y[i] * view.scale + view.top);
      if (x < reach || y < reach || x >= width - reach || y >= height - reach) continue;
      press(pixels, y * width + x, stamps[points.shape[i]], shown ? colors[group % colors.length] : faded);
    }
  }
  context.putImageData(image, 0, 0);
}

/** Return a shape as steps from its middle, with the share of each pixel that it covers, in 256ths. */
export function stamp(shape, radius, width) {
  const steps = [];
  const cover = [];
  const reach = Math.ceil(radius) + 1;
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      const share = Math.round(230 * coverage(shape, dx, dy, radius));
      if (share === 0) continue;
      steps.push(dy * width + dx);
      cover.push(share);
    }
  }
  return { steps: Int32Array.from(steps), cover: Uint16Array.from(cover) };
}

function coverage(shape, dx, dy, radius) {
  const [ax, ay] = [Math.abs(dx), Math.abs(dy)];
  const edge = (distance, size) => Math.min(1, Math.max(0, size - distance + 0.5));
  if (shape === "diamond") return edge((ax + ay) / Math.SQRT2, radius * 0.85);
  if (shape === "square") return edge(Math.max(ax, ay), radius * 0.8);
  const disc = edge(Math.hypot(dx, dy), radius);
  return shape === "ring" ? disc - edge(Math.hypot(dx, dy), radius * 0.5) : disc;
}

function press(pixels, at, { steps, cover }, color) {
  const red = color & 255;
  const green = (color >> 8) & 255;
  const blue = (color >> 16) & 255;
  for (let s = 0; s < steps.length; s++) {
    const place = at + steps[s];
    const share = cover[s];
    const under = pixels[place];
    const r = under & 255;
    const g = (under >> 8) & 255;
    const b = (under >> 16) & 255;
    pixels[place] =
      0xff000000 |
      ((b + (((blue - b) * share) >> 8)) << 16) |
      ((g + (((green - g) * share) >> 8)) << 8) |
      (r + (((red - r) * share) >> 8));
  }
}

// Red in the lowest byte: the order of canvas pixels on little-endian machines.
function packed(hex) {
  const value = Number.parseInt(hex.slice(1), 16);
  return ((255 << 24) | ((value & 255) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}
