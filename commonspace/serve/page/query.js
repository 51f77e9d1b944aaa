// The search box: words, a photo that is chosen, pasted or dropped, and the item of "more like this".

import { thumbnail } from "./api.js";
import { at, h, icon, ICONS } from "./dom.js";
import { t } from "./words.js";

/** Longest side in pixels to which photos are scaled before they are sent; encoders read less. */
const SIDE = 800;

/** Bytes up to which a photo that is small enough is sent as it is. */
const SMALL = 1_000_000;

const PREVIEW = 64;
const STORED = "commonspace.preview";

/** Preview of the current photo: {photo, canvas}. */
let preview = null;

/**
 * Listen to the search box, to the whole page for photos, and to "/".
 *
 * @param {{search: function(string), photo: function(Blob, HTMLCanvasElement), remove: function(),
 *   refuse: function()}} actions `photo` is called with a photo scaled for the service and its
 *   preview, `refuse` when a file is not a photo
 */
export function listen(actions) {
  const words = at("words");
  const file = at("file");
  at("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    actions.search(words.value.trim());
  });
  at("choose").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    if (file.files.length > 0) take(file.files[0], actions);
    file.value = ""; // so that the same photo can be chosen again
  });
  document.addEventListener("paste", (event) => {
    const photo = [...event.clipboardData.files].find((each) => each.type.startsWith("image/"));
    if (!photo) return;
    event.preventDefault();
    take(photo, actions);
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=range]), dialog");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      words.focus();
      words.select();
    } else if (event.key === "Escape" && event.target === words) words.blur();
    else if (event.key === "ArrowDown" && event.target === words && !words.value) at("found").querySelector(".open, .sample")?.focus();
  });
  at("asked").addEventListener("click", (event) => {
    if (event.target.closest("button")) actions.remove();
  });
  listenForDrops(actions);
}

/** Remember the preview of a photo, in this tab also after a reload. */
export function keepPreview(photo, canvas) {
  preview = { photo, canvas };
  const { data } = canvas.getContext("2d").getImageData(0, 0, PREVIEW, PREVIEW);
  try {
    sessionStorage.setItem(STORED, JSON.stringify({ photo, pixels: btoa(String.fromCharCode(...data)) }));
  } catch {
    // storage may be forbidden
  }
}

/**
 * Show the query of a state in the box.
 * @param {import("./state.js").State} state
 */
export function showQuery(state) {
  const words = at("words");
  if (words.value.trim() !== state.q) words.value = state.q;
  const asked = at("asked");
  asked.hidden = !state.photo && !state.like;
  if (asked.hidden) return asked.replaceChildren();
  const label = t(state.photo ? "removePhoto" : "removeLike");
  const remove = h("button", { type: "button", "aria-label": label, title: label }, icon(ICONS.close));
  if (state.photo) {
    const canvas = previewOf(state.photo);
    return asked.replaceChildren(...[canvas, h("span", {}, t("photoAsked")), remove].filter(Boolean));
  }
  const image = h("img", { src: thumbnail(state.like, 64), alt: "" });
  image.addEventListener("error", () => image.remove(), { once: true });
  asked.replaceChildren(image, h("span", { title: state.like }, t("likeAsked")), remove);
}

async function take(file, actions) {
  let image;
  try {
    image = await createImageBitmap(file);
  } catch {
    return actions.refuse();
  }
  const canvas = draw(image, PREVIEW, PREVIEW, true);
  const longest = Math.max(image.width, image.height);
  let photo = file;
  if (longest > SIDE || file.size > SMALL || !/^image\/(jpeg|png|webp)$/.test(file.type)) {
    const scale = Math.min(1, SIDE / longest);
    const scaled = draw(image, Math.max(1, Math.round(image.width * scale)), Math.max(1, Math.round(image.height * scale)));
    photo = await new Promise((done) => scaled.toBlob(done, "image/jpeg", 0.92));
  }
  image.close();
  return actions.photo(photo, canvas);
}

// A canvas instead of the address of a file: the content security policy need not allow blobs.
function draw(image, width, height, square = false) {
  const canvas = h("canvas", { width, height });
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // transparency on white, as the service has it
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  const side = Math.min(image.width, image.height);
  const [left, top, w, hgt] = square ? [(image.width - side) / 2, (image.height - side) / 2, side, side] : [0, 0, image.width, image.height];
  context.drawImage(image, left, top, w, hgt, 0, 0, width, height);
  return canvas;
}

function previewOf(photo) {
  if (preview?.photo === photo) return preview.canvas;
  try {
    const stored = JSON.parse(sessionStorage.getItem(STORED) ?? "null");
    if (stored?.photo !== photo) return null;
    const data = Uint8ClampedArray.from(atob(stored.pixels), (sign) => sign.charCodeAt(0));
    const canvas = h("canvas", { width: PREVIEW, height: PREVIEW });
    canvas.getContext("2d").putImageData(new ImageData(data, PREVIEW, PREVIEW), 0, 0);
    preview = { photo, canvas };
    return canvas;
  } catch {
    return null;
  }
}

function listenForDrops(actions) {
  const veil = at("drop");
  const hasFiles = (event) => [...event.dataTransfer.types].includes("Files");
  let depth = 0; // enter and leave come for every element that is crossed
  const show = (change) => {
    depth = Math.max(0, depth + change);
    veil.hidden = depth === 0;
  };
  document.addEventListener("dragenter", (event) => hasFiles(event) && show(1));
  document.addEventListener("dragleave", (event) => hasFiles(event) && show(-1));
  document.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    show(-depth);
    if (event.dataTransfer.files.length > 0) take(event.dataTransfer.files[0], actions);
  });
}
