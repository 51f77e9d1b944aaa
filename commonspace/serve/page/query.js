// The search box: words, a photo that is chosen, pasted or dropped, and the item that "more like
// this" asks with. Tells its owner what was asked, and shows what it is told.

import { thumbnail } from "./api.js";
import { at, h, icon } from "./dom.js";
import { photos } from "./state.js";
import { t } from "./words.js";

const CROSS = "m6 6 12 12M18 6 6 18";

/**
 * Listen to the box, to the whole page for photos, and to "/".
 *
 * @param {{ask: function(string), photo: function(Blob), drop: function(), refuse: function()}} deeds
 *   `ask` hears words, `photo` a photo, `drop` that photo and item are taken away, `refuse` that
 *   a file was no photo
 */
export function listen(deeds) {
  const words = at("words");
  const file = at("file");
  at("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    deeds.ask(words.value.trim());
  });
  at("choose").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    if (file.files.length > 0) take(file.files[0], deeds);
    file.value = ""; // so that the same photo can be chosen again
  });
  document.addEventListener("paste", (event) => {
    const given = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (!given) return;
    event.preventDefault();
    take(given, deeds);
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=range]), dialog");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      words.focus();
      words.select();
    } else if (event.key === "Escape" && event.target === words) words.blur();
    else if (event.key === "ArrowDown" && event.target === words) at("found").querySelector(".open")?.focus();
  });
  at("asked").addEventListener("click", (event) => {
    if (event.target.closest("button")) deeds.drop();
  });
  listenForDrops(deeds);
}

/**
 * Show what a state asks with.
 * @param {import("./state.js").State} state
 */
export async function showAsked(state) {
  const words = at("words");
  if (words.value.trim() !== state.q) words.value = state.q;
  const asked = at("asked");
  const photo = state.photo ? photos.get(state.photo) : null;
  asked.hidden = !photo && !state.like;
  if (asked.hidden) return asked.replaceChildren();
  const label = t(photo ? "removePhoto" : "removeLike");
  const remove = h("button", { type: "button", "aria-label": label, title: label }, icon(CROSS));
  if (photo) {
    const canvas = h("canvas", { width: 64, height: 64, role: "img", "aria-label": t("photoAsked") });
    asked.replaceChildren(canvas, remove);
    await paint(canvas, photo);
  } else {
    const image = h("img", { src: thumbnail(state.like, 64), alt: "" });
    image.addEventListener("error", () => image.remove(), { once: true });
    asked.replaceChildren(image, h("span", {}, t("likeAsked", { id: state.like })), remove);
  }
}

async function take(file, deeds) {
  try {
    (await createImageBitmap(file)).close();
  } catch {
    return deeds.refuse();
  }
  return deeds.photo(file);
}

// A canvas rather than an address of the file: the content security policy need not allow blobs.
async function paint(canvas, file) {
  const image = await createImageBitmap(file);
  const side = Math.min(image.width, image.height);
  const [left, top] = [(image.width - side) / 2, (image.height - side) / 2];
  canvas.getContext("2d").drawImage(image, left, top, side, side, 0, 0, canvas.width, canvas.height);
  image.close();
}

function listenForDrops(deeds) {
  const veil = at("drop");
  const holdsFiles = (event) => [...event.dataTransfer.types].includes("Files");
  let depth = 0; // enter and leave come for every element that is crossed
  const show = (change) => {
    depth = Math.max(0, depth + change);
    veil.hidden = depth === 0;
  };
  document.addEventListener("dragenter", (event) => holdsFiles(event) && show(1));
  document.addEventListener("dragleave", (event) => holdsFiles(event) && show(-1));
  document.addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    show(-depth);
    if (event.dataTransfer.files.length > 0) take(event.dataTransfer.files[0], deeds);
  });
}
