// The dialog of an item: photo, title, price, fields, text, class probabilities, similar items; and
// the lightbox, in which the photo fills the screen and the arrows step from photo to photo.

import * as api from "./api.js";
import { noPicture, picture } from "./cards.js";
import { at, h, icon, iconButton, ICONS } from "./dom.js";
import { SPLIT_GROUP, fieldName, linkOf, priceOf, shortTitle, titleOf, valueText } from "./fields.js";
import { labelEditor } from "./labels.js";
import { number, percent, singularName, t } from "./words.js";

/** Classes whose probabilities are shown. */
const CLASSES = 5;

/** Characters of a text that are shown at first. */
const EXCERPT = 280;

let loading = null;
let steps = { previous: null, next: null };

/**
 * Show an item.
 * @param {string} id
 * @param {{role: Object, ids: string[], open: Function, step: Function, like: Function, close: Function,
 *   unlike: Function|null, judge: Function|null, label: Function|null, classes: string[]}} context
 *   `ids` are those of the results, to step through
 */
export async function showItem(id, context) {
  const dialog = at("item");
  loading?.abort();
  loading = new AbortController();
  const head = header(id, context);
  const stepped = document.activeElement?.dataset?.step;
  if (dialog.open) dialog.querySelector(".item-head")?.replaceWith(head);
  else {
    dialog.replaceChildren(head, h("p", { class: "status" }, t("searching")));
    dialog.showModal();
  }
  try {
    const item = await api.item(id, loading.signal);
    dialog.replaceChildren(dialog.querySelector(".item-head") ?? head, ...body(item, context));
    dialog.setAttribute("aria-label", shortTitle(titleOf(item, context.role)));
  } catch (error) {
    if (error.name === "AbortError") return;
    dialog.replaceChildren(dialog.querySelector(".item-head") ?? head, h("p", { class: "notice", role: "alert" }, error.message));
  }
  dialog.scrollTop = 0;
  enlarge(dialog.classList.contains("lightbox"));
  const arrow = stepped ? dialog.querySelector(`[data-step=${stepped}]:enabled`) : null;
  (arrow ?? dialog).focus();
}

/** Draw the position among the results again, after these have changed. */
export function showPlace(id, context) {
  const old = at("item").querySelector(".item-head");
  if (at("item").open && old) old.replaceWith(header(id, context));
}

/** Close the dialog. */
export function hideItem() {
  loading?.abort();
  if (at("item").open) at("item").close();
  at("item").classList.remove("lightbox");
}

/**
 * Listen to the dialog: Esc and a click beside it close it, arrow keys step through the results.
 * @param {{close: Function, step: function(string)}} context
 */
export function listenToItem({ close, step }) {
  const dialog = at("item");
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    if (dialog.classList.contains("lightbox")) leaveLightbox();
    else close();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && close());
  document.addEventListener("keydown", (event) => {
    const id = { ArrowLeft: steps.previous, ArrowRight: steps.next }[event.key];
    if (!dialog.open || !id || event.target.closest("input, .near")) return; // there they have another meaning
    event.preventDefault();
    step(id);
  });
}

function header(id, { ids, step, close }) {
  const place = ids.indexOf(id);
  steps = { previous: place > 0 ? ids[place - 1] : null, next: place >= 0 ? (ids[place + 1] ?? null) : null };
  const arrow = (name, other) => iconButton(t(name), ICONS[name], () => step(other), { disabled: other === null, "data-step": name });
  return h(
    "div",
    { class: "item-head" },
    h("span", { class: "place" }, place >= 0 && t("place", { n: number(place + 1), total: number(ids.length) })),
    arrow("previous", steps.previous),
    arrow("next", steps.next),
    iconButton(t("close"), ICONS.close, () => (at("item").classList.contains("lightbox") ? leaveLightbox() : close()), { class: "plain shut" }),
  );
}

function body(item, context) {
  const { role, like } = context;
  const title = titleOf(item, role);
  const price = priceOf(item, role);
  const link = linkOf(item, role);
  const texts = item.texts.filter((text) => text !== shortTitle(title));
  return [
    h(
      "div",
      { class: item.has_picture ? "item-body" : "item-body no-photo" },
      item.has_picture && h("div", { class: "item-photos" }, photo(item, title), variants(item, context)),
      h(
        "div",
        { class: "item-facts" },
        h("h2", { id: "item-title", title }, shortTitle(title)),
        price && h("p", { class: "price" }, price),
        !context.label && item.labels.length > 0 && h("p", { class: "tags" }, ...item.labels.map((label) => h("span", { class: "tag" }, label))),
        h(
          "div",
          { class: "actions" },
          h("button", { type: "button", class: "go", onclick: () => like(item.id) }, icon(ICONS.like), t("more")),
          context.unlike && h("button", { type: "button", class: "quiet", onclick: () => context.unlike(item.id, shortTitle(title, 40)) }, t("less")),
          link && h("a", { class: "quiet", href: link, rel: "noopener noreferrer", target: "_blank" }, t("visit")),
        ),
        context.judge && thumbs(item, context.judge),
        context.label && labelEditor(item, context),
        ...texts.map(text),
        facts(item, role),
      ),
      ...posteriors(item),
    ),
    ...similar(item, context),
  ];
}

/** Return the question whether the item is what the visitor looked for. */
function thumbs(item, judge) {
  const done = h("span", { class: "status", role: "status" });
  const answer = (useful) => async (event) => {
    const buttons = event.currentTarget.parentElement.querySelectorAll("button");
    try {
      await judge(item.id, useful);
      buttons.forEach((button) => button.setAttribute("aria-pressed", String(button === event.target)));
      done.textContent = t("thanks");
    } catch (error) {
      done.textContent = error.message;
    }
  };
  const button = (name, useful) => h("button", { type: "button", class: "quiet", "aria-pressed": "false", onclick: answer(useful) }, t(name));
  return h("div", { class: "thumbs", role: "group", "aria-label": t("rightOne") }, h("span", {}, t("rightOne")), button("yes", true), button("no", false), done);
}

function photo(item, title) {
  const image = h("img", { src: api.photo(item.id), alt: shortTitle(title) });
  const toggle = () => enlarge(!at("item").classList.contains("lightbox"));
  const button = h("button", { type: "button", class: "item-photo", "aria-label": t("enlarge"), "aria-pressed": "false", title: t("enlarge"), onclick: toggle }, image);
  image.addEventListener("error", () => image.replaceWith(noPicture()), { once: true });
  return button;
}

/** Return the other photos of an item, if it has any. */
function variants(item, { step }) {
  if (item.variants.length === 0) return null;
  const buttons = item.variants.map((id, place) =>
    h("li", {}, h("button", { type: "button", "aria-label": t("variant", { n: number(place + 2) }), onclick: () => step(id) }, picture(id, 128))),
  );
  return h("ul", { class: "variants", "aria-label": t("variantsOf") }, ...buttons);
}

/** Show the photo alone, or the whole item; what is covered cannot get the focus. */
function enlarge(wanted) {
  const dialog = at("item");
  const button = dialog.querySelector(".item-photo");
  const large = wanted && button !== null;
  dialog.classList.toggle("lightbox", large);
  button?.setAttribute("aria-pressed", String(large));
  for (const covered of dialog.querySelectorAll(".item-facts, .near, .posterior, .variants")) covered.inert = large;
}

function leaveLightbox() {
  enlarge(false);
  at("item").querySelector(".item-photo")?.focus();
}

function text(words) {
  if (words.length <= EXCERPT) return h("p", { class: "words" }, words);
  const shown = h("p", { class: "words clamped" }, words);
  const more = h("button", { type: "button", class: "text", "aria-expanded": "false" }, t("readMore"));
  more.addEventListener("click", () => {
    const clamped = shown.classList.toggle("clamped");
    more.textContent = t(clamped ? "readMore" : "readLess");
    more.setAttribute("aria-expanded", String(!clamped));
  });
  return h("div", {}, shown, more);
}

function facts(item, role) {
  const elsewhere = [role.title, role.link, role.price, role.group, SPLIT_GROUP];
  const rows = Object.entries(item.fields).filter(([name, value]) => !elsewhere.includes(name) && value !== "");
  const all = [...rows.map(([name, value]) => [fieldName(name), valueText(value)]), ["ID", item.id]];
  return h("dl", { class: "facts" }, ...all.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function posteriors(item) {
  return Object.entries(item.posterior ?? {}).map(([modality, classes]) => {
    const rows = Object.entries(classes).slice(0, CLASSES).map(([name, p]) =>
      h("li", {}, h("span", { class: "name", title: name }, name), h("span", { class: "track", "aria-hidden": "true" }, h("span", { class: "fill", "--share": p.toFixed(4) })), h("span", { class: "figure" }, percent(p))),
    );
    return h("section", { class: "posterior" }, h("h3", {}, t("posterior", { modality: singularName(modality) })), h("ol", {}, ...rows));
  });
}

function similar(item, { role, open }) {
  if (item.neighbors.length === 0) return [];
  const cards = item.neighbors.map((each) =>
    h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: "open", onclick: () => open(each.id) },
        h("span", { class: "photo" }, each.has_picture ? picture(each.id, 128) : noPicture()),
        h("span", { class: "title" }, shortTitle(titleOf(each, role), 70)),
      ),
    ),
  );
  return [h("section", { class: "near" }, h("h3", {}, t("neighbors")), h("ul", {}, ...cards))];
}
