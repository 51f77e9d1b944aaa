// Joins the parts: the state in the address decides what is seen, and whatever a person does changes
// the state. Asks the service once for each modality, and drops answers that came too late.

import * as api from "./api.js";
import { at, calm, h } from "./dom.js";
import { drawFilters, fieldsOf } from "./filters.js";
import { hideItem, listenForClose, showItem } from "./item.js";
import { listen, showAsked } from "./query.js";
import { PAGE, showEmpty, showFound, showNothing, showWaiting, summary, walkByArrows } from "./results.js";
import { asks, condition, keepPhoto, photos, read, write } from "./state.js";
import { grain, modalityName, speak, spokenLanguage, t, translate } from "./words.js";

/** Milliseconds after which waiting is shown. */
const PATIENCE = 150;

let about = null;
let fields = {};
let state = read(location.search);
let asked = null; // what the shown parts answer
let parts = [];
let seconds = 0;
let asking = null;
let mapView = null;

const deeds = {
  open: (id) => change((next) => (next.item = id)),
  close: () => (history.state?.opened ? history.back() : change((next) => (next.item = null))),
  like: (id) =>
    change((next) => Object.assign(next, { q: "", photo: null, like: id, item: null, view: "results" })),
};

start();

async function start() {
  translate();
  listenToPage();
  show(); // the box and the view need not wait for the service
  try {
    about = await api.about();
  } catch (error) {
    return complain(error, start);
  }
  at("notice").hidden = true;
  fields = fieldsOf(about);
  if (about.name) at("name").textContent = about.name;
  document.title = about.name ? `${about.name} – Commonspace` : "Commonspace";
  const wide = matchMedia("(min-width: 1080px)").matches;
  showFilters(wide && Object.keys(fields).length > 0);
  return show();
}

/**
 * Change the state and show it.
 * @param {function(import("./state.js").State)} edit
 * @param {"push"|"replace"} how whether going back leads to what was before
 */
function change(edit, how = "push") {
  const opened = state.item;
  const next = read(write(state));
  edit(next);
  const address = write(next) || location.pathname;
  if (how === "push" && write(next) !== write(state)) {
    history.pushState({ opened: !opened && Boolean(next.item) }, "", address);
  } else history.replaceState(history.state, "", address);
  state = next;
  show();
}

/** Bring the page to what the state says. */
function show() {
  const map = state.view === "map";
  at("to-results").setAttribute("aria-pressed", String(!map));
  at("to-map").setAttribute("aria-pressed", String(map));
  at("results").hidden = map;
  at("map").hidden = !map;
  document.body.classList.toggle("with-map", map);
  document.body.classList.toggle("idle", !asks(state)); // filters and the dial work on an answer
  showAsked(state);
  if (!about) return;
  showControls();
  drawFilters(fields, state, (edit) => change(edit));
  if (state.item) showItem(state.item, deeds);
  else hideItem();
  if (map) showMap();
  answer();
}

/** Ask the service where the question is another one than that which is answered on the page. */
async function answer() {
  const question = write({ ...state, view: "results", item: null });
  if (question === asked) return;
  asked = question;
  asking?.abort();
  at("notice").hidden = true;
  if (!asks(state)) {
    parts = [];
    at("status").textContent = "";
    if (state.photo) return notify(t("photoGone"));
    mapView?.showFound([]);
    return showEmpty(about, (q) => change((next) => (next.q = q)));
  }
  asking = new AbortController();
  const { signal } = asking;
  const waiting = setTimeout(() => {
    at("status").textContent = t("searching");
    if (parts.length === 0) showWaiting();
  }, PATIENCE);
  try {
    const begun = performance.now();
    const wanted = state.modality ? [state.modality] : about.modalities;
    const answers = await Promise.all(wanted.map((modality) => api.search(query(modality, 0), signal)));
    seconds = (performance.now() - begun) / 1000;
    parts = answers.map(({ results, total }, place) => ({ modality: wanted[place], found: results, total }));
    showParts();
  } catch (error) {
    if (error.name === "AbortError") return;
    asked = null;
    parts = [];
    showNothing();
    complain(error, answer);
  } finally {
    clearTimeout(waiting);
  }
}

function showParts() {
  showFound(parts, { calibrated: about.calibrated, deeds, more });
  at("status").textContent = summary(parts, seconds);
  mapView?.showFound(parts.flatMap((part) => part.found));
}

async function more(modality) {
  const part = parts.find((one) => one.modality === modality);
  const shown = part.found.length;
  try {
    const further = await api.search(query(modality, shown), asking.signal);
    part.found = [...part.found, ...further.results];
    if (further.results.length === 0) part.total = shown;
    showParts();
    at("found").querySelectorAll(`[data-modality="${CSS.escape(modality)}"] .open`)[shown]?.focus();
  } catch (error) {
    if (error.name !== "AbortError") complain(error, () => more(modality));
  }
}

function query(modality, offset) {
  return {
    text: state.q || null,
    id: state.like,
    image: state.photo ? photos.get(state.photo) : null,
    modality,
    where: condition(state, fields),
    instance_weight: about.has_instance_block ? (state.g ?? 0) : null,
    k: PAGE,
    offset,
  };
}

function showControls() {
  at("controls").hidden = !asks(state);
  const names = about.modalities.length > 1 ? [null, ...about.modalities] : [];
  at("modalities").hidden = names.length === 0;
  at("modalities").replaceChildren(
    ...names.map((name) =>
      h(
        "button",
        {
          type: "button",
          "aria-pressed": String(state.modality === name),
          onclick: () => {
            change((next) => (next.modality = name));
            at("modalities").querySelector("[aria-pressed=true]").focus();
          },
        },
        name === null ? t("everything") : modalityName(name),
      ),
    ),
  );
  at("dial").hidden = !about.has_instance_block;
  const dial = at("instance_weight");
  const g = state.g ?? 0;
  if (Number(dial.value) !== g) dial.value = String(g);
  dial.setAttribute("aria-valuetext", grain(g));
}

function showFilters(visible) {
  at("filters").hidden = !visible;
  at("show-filters").setAttribute("aria-expanded", String(visible));
}

async function showMap() {
  if (mapView) return mapView.resume();
  const { MapView } = await import("./map.js");
  mapView ??= new MapView(at("map"), deeds);
  mapView.showFound(parts.flatMap((part) => part.found));
  return mapView.resume();
}

function listenToPage() {
  if (listenToPage.done) return;
  listenToPage.done = true;
  listen({
    ask: (q) => change((next) => (next.q = q)),
    photo: (file) => change((next) => Object.assign(next, { photo: keepPhoto(file), like: null })),
    drop: () => change((next) => Object.assign(next, { photo: null, like: null })),
    refuse: () => notify(t("notPhoto")),
  });
  walkByArrows();
  listenForClose(deeds.close);
  addEventListener("popstate", () => {
    state = read(location.search);
    show();
  });
  at("home").addEventListener("click", (event) => {
    event.preventDefault();
    change((next) => Object.assign(next, read("")));
  });
  const turn = calm((g) => change((next) => (next.g = g), "replace"), 40);
  at("instance_weight").addEventListener("input", (event) => {
    event.target.setAttribute("aria-valuetext", grain(Number(event.target.value)));
    turn(Number(event.target.value));
  });
  at("to-results").addEventListener("click", () => change((next) => (next.view = "results")));
  at("to-map").addEventListener("click", () => change((next) => (next.view = "map")));
  at("show-filters").addEventListener("click", () => showFilters(at("filters").hidden));
  at("theme").addEventListener("click", turnTheme);
  at("language").addEventListener("click", () => {
    speak(spokenLanguage() === "zh" ? "en" : "zh");
    showLanguage();
    asked = null; // words that are drawn anew with the answer
    mapView?.translate();
    show();
  });
  showLanguage();
}

function showLanguage() {
  translate();
  const other = spokenLanguage() === "zh" ? ["en", "English"] : ["zh", "中文"];
  [at("language").lang, at("language").textContent] = other;
}

function turnTheme() {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("commonspace.theme", theme);
  } catch {
    // it then lasts for this visit alone
  }
  mapView?.draw();
}

function notify(words, ...further) {
  const notice = at("notice");
  notice.hidden = false;
  notice.replaceChildren(h("p", {}, words), ...further);
}

/** Say what went wrong, and offer what can be done: a key, or another try. */
function complain(error, retry) {
  if (!(error instanceof api.ServiceError)) throw error;
  at("status").textContent = "";
  const anew = () => {
    at("notice").hidden = true;
    retry();
  };
  if (error.status === 401 || error.status === 403) {
    const field = h("input", { type: "password", "aria-label": t("keyLabel"), autocomplete: "off" });
    const use = (event) => {
      event.preventDefault();
      api.useKey(field.value.trim());
      anew();
    };
    return notify(error.message, h("form", { onsubmit: use }, field, h("button", { class: "quiet" }, t("keyUse"))));
  }
  const button = h("button", { type: "button", class: "quiet", onclick: anew }, t("again"));
  return notify(error.message, h("div", { class: "deeds" }, button));
}
