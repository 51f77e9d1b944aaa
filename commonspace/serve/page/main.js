// Joins the parts of the page: the address has the state, every action changes the state, and the
// page shows it. Answers that come too late are dropped.

import * as api from "./api.js";
import { at, debounce, h } from "./dom.js";
import { filterFields, roles } from "./fields.js";
import { chips, closeSheet, drawFilters, listenToSheet, openSheet } from "./filters.js";
import { hideItem, listenToItem, showItem, showPlace } from "./item.js";
import { showLabelNext } from "./labels.js";
import { avoidItem, groupField, listenToOptions, optionChips, optionParameters, showOptions } from "./options.js";
import { keepPreview, listen, showQuery } from "./query.js";
import { clearResults, isPoor, moveByArrows, PAGE, showResults, showWaiting, summary } from "./results.js";
import { offerSuggestions, rememberQuery, showStart } from "./start.js";
import { clearFilters, condition, decodeVector, encodeVector, filterCount, hasQuery, read, restrict, splitWords, write } from "./state.js";
import { language, setLanguage, t, translate } from "./words.js";

/** Milliseconds after which waiting is shown. */
const PATIENCE = 150;

/** Results that a search can return at most. */
const MOST = 1000;

/** Answers that are remembered, for the back button. */
const REMEMBERED = 20;

let about = null;
let fields = {};
let role = { title: null, price: null, link: null, group: null, decimals: 2, card: [] };
let state = read(location.search);
let shown = null; // the query whose results are shown
let found = { results: [], total: 0 };
let seconds = 0;
let searching = null;
let counting = null;
let counts = {};
let mapView = null;
const answers = new Map(); // query -> {found, seconds}

const actions = {
  search: (typed) =>
    change((next) => {
      const { q, without } = splitWords(typed);
      const avoided = [...new Set([next.without, without].filter(Boolean))].join(", ");
      Object.assign(next, { q, without: avoided, unlike: q === next.q ? next.unlike : [], item: null, view: "results" });
    }),
  open: (id) => change((next) => (next.item = id)),
  step: (id) => change((next) => (next.item = id), "replace"),
  close: () => (history.state?.opened ? history.back() : change((next) => (next.item = null))),
  like: (id) => change((next) => Object.assign(next, { q: "", photo: null, like: id, unlike: [], item: null, view: "results" })),
  unlike: (id, title) =>
    change((next) => {
      avoidItem(next, id, title);
      Object.assign(next, { item: null, view: "results" });
    }),
};

history.scrollRestoration = "manual";
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
  role = roles(about);
  fields = filterFields(about, role);
  restrict(state, about, fields);
  at("name").textContent = about.name;
  document.title = `${about.name} – Commonspace`;
  at("choose").hidden = !about.reads.includes("image");
  at("to-label").hidden = !about.writable;
  at("words").disabled = !about.reads.includes("text");
  offerSuggestions(about);
  return show({ pages: history.state?.pages, scroll: history.state?.scroll });
}

/**
 * Change the state and show it.
 * @param {function(import("./state.js").State)} edit
 * @param {"push"|"replace"} how whether the back button returns to the state before
 */
function change(edit, how = "push") {
  const opened = state.item;
  const next = read(write(state));
  edit(next);
  const query = write(next);
  const address = query || location.pathname;
  if (how === "push" && query !== write(state)) {
    keepPlace();
    history.pushState({ opened: !opened && Boolean(next.item) }, "", address);
  } else history.replaceState(history.state, "", address);
  const moved = write({ ...next, item: null }) !== write({ ...state, item: null });
  state = next;
  show(moved && how === "push" ? { scroll: 0 } : {});
}

/** Remember how far the results are scrolled and loaded, for the back button. */
function keepPlace() {
  if (!about) return;
  const pages = Math.max(1, Math.ceil(found.results.length / PAGE));
  history.replaceState({ ...history.state, scroll: scrollY, pages }, "");
}

/**
 * Show the state.
 * @param {{pages?: number, scroll?: number}} place results to load, and where to scroll then
 */
function show(place = {}) {
  const map = state.view === "map";
  const labeling = state.view === "label";
  for (const [view, section] of [["results", "results"], ["map", "map"], ["label", "label-next"]]) {
    at(`to-${view}`).setAttribute("aria-pressed", String(state.view === view));
    at(section).hidden = state.view !== view;
  }
  document.body.classList.toggle("with-map", map);
  document.body.classList.toggle("idle", labeling || !hasQuery(state));
  showQuery(state);
  const query = state.q || t(state.photo ? "photoAsked" : "likeAsked");
  at("heading").hidden = labeling || (!map && !hasQuery(state)); // these views have their own
  at("heading").textContent = map ? t("map") : t("resultsFor", { query });
  if (!about) return;
  showOptions(state, about, fields);
  drawFilters(fields, state, counts, change);
  showActive();
  if (map) showMap();
  if (state.view === "label") showLabelNext(at("label-next"), labelContext());
  answer(place);
  if (state.item) showItem(state.item, itemContext());
  else hideItem();
}

/** Search, unless the results of the query are shown already. */
async function answer({ pages = 1, scroll }) {
  const query = write({ ...state, view: "results", item: null });
  if (query === shown) return restoreScroll(scroll);
  shown = query;
  searching?.abort();
  at("notice").hidden = true;
  if (!hasQuery(state)) {
    found = { results: [], total: 0 };
    at("status").textContent = "";
    mapView?.showFound([]);
    showStart(about, actions);
    return restoreScroll(scroll);
  }
  countFacets();
  const stored = answers.get(query);
  if (stored) {
    ({ found, seconds } = stored);
    showFound();
    return restoreScroll(scroll);
  }
  searching = new AbortController();
  const waiting = setTimeout(() => {
    at("status").textContent = t("searching");
    if (found.results.length === 0) showWaiting();
  }, PATIENCE);
  try {
    const start = performance.now();
    const k = Math.min(MOST, PAGE * Math.max(1, Number(pages) || 1));
    found = await api.search(parameters(k, 0), searching.signal);
    seconds = (performance.now() - start) / 1000;
    remember(query);
    if (state.q) rememberQuery(state.q);
    showFound();
    restoreScroll(scroll);
  } catch (error) {
    if (error.name === "AbortError") return;
    shown = null;
    found = { results: [], total: 0 };
    clearResults();
    complain(error, () => answer({}));
  } finally {
    clearTimeout(waiting);
  }
}

function showFound() {
  const help = isPoor(found) ? helpButtons() : [];
  showResults(found, { ...actions, role, together: groupField(state, role) !== null, calibrated: about.calibrated, more, help });
  at("status").textContent = summary(found, seconds);
  mapView?.showFound(found.results);
  if (state.item) showPlace(state.item, itemContext());
}

function itemContext() {
  const judge = about.feedback && hasQuery(state) ? (id, useful) => api.judge({ id, useful, text: state.q || null, query_id: state.like }) : null;
  const unlike = hasQuery(state) && state.like === null ? actions.unlike : null;
  return { ...actions, ...labelContext(), unlike, judge, ids: found.results.map((each) => each.id) };
}

/** What labeling needs; `label` is null where the index cannot be changed. */
function labelContext() {
  const label = about.writable ? (id, labels) => api.label({ id, labels }).then(labelsChanged) : null;
  return { role, label, classes: about.classes, open: actions.open };
}

/** Let the results show new labels when they are drawn the next time. */
function labelsChanged(answer) {
  answers.clear();
  shown = null;
  for (const name of answer.labels) if (!about.classes.includes(name)) about.classes.push(name);
  return answer;
}

/** Return buttons for what would help where nothing matches. */
function helpButtons() {
  const buttons = filterCount(state) > 1 ? chips(state, change) : [];
  if (state.without) buttons.push(...optionChips({ ...state, modality: null, mix: null, variety: null, group: false, apart: false }, change));
  if (filterCount(state) > 0) buttons.push(h("button", { type: "button", class: "quiet", onclick: () => change(clearFilters) }, t("withoutFilters")));
  if (state.modality) buttons.push(h("button", { type: "button", class: "quiet", onclick: () => change((next) => (next.modality = null)) }, t("everywhere")));
  const other = about.classes.filter((name) => name !== state.q).slice(0, 5);
  if (about.reads.includes("text") && filterCount(state) === 0) {
    buttons.push(...other.map((name) => h("button", { type: "button", class: "quiet", onclick: () => actions.search(name) }, name)));
  }
  return buttons;
}

async function more() {
  const first = found.results.length;
  try {
    const further = await api.search(parameters(PAGE, first), searching?.signal);
    const known = new Set(found.results.map((each) => each.id));
    found = {
      ...found,
      results: [...found.results, ...further.results.filter((each) => !known.has(each.id))],
      total: further.results.length === 0 ? first : found.total,
    };
    remember(shown);
    showFound();
    keepPlace();
    at("found").querySelectorAll(".card .open")[first]?.focus();
  } catch (error) {
    if (error.name !== "AbortError") complain(error, more);
  }
}

function parameters(k, offset) {
  return {
    text: state.q || null,
    id: state.like,
    vector: state.photo ? decodeVector(state.photo) : null,
    where: condition(state, fields),
    ...optionParameters(state, role),
    k,
    offset: offset || null,
  };
}

function remember(query) {
  answers.delete(query);
  answers.set(query, { found, seconds });
  if (answers.size > REMEMBERED) answers.delete(answers.keys().next().value);
}

/** Count the items for each value of each field, under the filters of the other fields. */
async function countFacets() {
  counting?.abort();
  counting = new AbortController();
  const { signal } = counting;
  const used = [...new Set([...state.is.keys(), ...state.range.keys()])];
  try {
    const [all, ...others] = await Promise.all([null, ...used].map((name) => api.facets({ where: condition(state, fields, name), without: state.without, group_by: groupField(state, role) }, signal)));
    const maps = (facets) => Object.fromEntries(Object.entries(facets.fields).map(([name, values]) => [name, new Map(values.map(({ value, count }) => [String(value), count]))]));
    counts = maps(all);
    others.forEach((facets, place) => (counts[used[place]] = maps(facets)[used[place]]));
    drawFilters(fields, state, counts, change);
  } catch (error) {
    if (error.name !== "AbortError") counts = {}; // the filters work without counts
  }
}

/** Show a chip for each active filter and option. */
function showActive() {
  const all = hasQuery(state) ? [...chips(state, change), ...optionChips(state, change)] : [];
  at("active").replaceChildren(...all);
  at("active").hidden = all.length === 0;
}

async function showMap() {
  if (mapView) return mapView.resume();
  const { MapView } = await import("./map.js");
  mapView ??= new MapView(at("map"), { open: actions.open, titleFields: role });
  mapView.showFound(found.results);
  return mapView.resume();
}

function restoreScroll(scroll) {
  if (typeof scroll === "number") scrollTo(0, scroll);
}

/** Embed a photo once; its vector is the query from then on, also in the address. */
async function searchByPhoto(photo, canvas) {
  at("notice").hidden = true;
  at("status").textContent = t("searching");
  try {
    const { vector, fingerprint } = await api.embed(photo);
    const text = encodeVector(fingerprint, vector);
    keepPreview(text, canvas);
    change((next) => Object.assign(next, { photo: text, like: null, unlike: [], item: null, view: "results" }));
  } catch (error) {
    complain(error, () => searchByPhoto(photo, canvas));
  }
}

function listenToPage() {
  if (listenToPage.done) return;
  listenToPage.done = true;
  listen({
    search: actions.search,
    photo: searchByPhoto,
    remove: () => change((next) => Object.assign(next, { photo: null, like: null })),
    refuse: () => notify(t("notPhoto")),
  });
  moveByArrows();
  listenToItem(actions);
  listenToSheet();
  addEventListener("popstate", (event) => {
    state = read(location.search);
    if (about) restrict(state, about, fields);
    closeSheet();
    show({ pages: event.state?.pages, scroll: event.state?.scroll });
  });
  addEventListener("scroll", debounce(keepPlace, 200), { passive: true });
  at("home").addEventListener("click", (event) => {
    event.preventDefault();
    change((next) => Object.assign(next, read("")));
  });
  at("skip").addEventListener("click", (event) => {
    event.preventDefault();
    (at("found").querySelector(".open, .sample") ?? at("main")).focus();
  });
  listenToOptions(change);
  at("to-results").addEventListener("click", () => change((next) => (next.view = "results")));
  at("to-map").addEventListener("click", () => change((next) => (next.view = "map")));
  at("to-label").addEventListener("click", () => change((next) => (next.view = "label")));
  at("show-filters").addEventListener("click", openSheet);
  at("theme").addEventListener("click", turnTheme);
  at("language").addEventListener("click", () => {
    setLanguage(language() === "zh" ? "en" : "zh");
    showLanguage();
    shown = null; // the words of the results are drawn again
    mapView?.translate();
    show();
  });
  showLanguage();
}

function showLanguage() {
  translate();
  const [code, text] = language() === "zh" ? ["en", "English"] : ["zh", "中文"];
  at("language").lang = code;
  at("language").textContent = text;
}

function turnTheme() {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("commonspace.theme", theme);
  } catch {
    // storage may be forbidden: the theme then lasts for this visit
  }
  mapView?.draw();
}

function notify(words, ...further) {
  const notice = at("notice");
  notice.hidden = false;
  notice.replaceChildren(h("p", {}, words), ...further);
}

/** Show an error, and offer what can be done: a key, or another try. */
function complain(error, retry) {
  if (!(error instanceof api.ServiceError)) throw error;
  at("status").textContent = "";
  const again = () => {
    at("notice").hidden = true;
    retry();
  };
  if (error.status === 401) {
    const field = h("input", { type: "password", "aria-label": t("keyLabel"), autocomplete: "off" });
    const use = (event) => {
      event.preventDefault();
      api.useKey(field.value.trim());
      again();
    };
    return notify(error.message, h("form", { onsubmit: use }, field, h("button", { class: "quiet" }, t("keyUse"))));
  }
  const button = h("button", { type: "button", class: "quiet", onclick: again }, t("again"));
  return notify(error.message, h("div", { class: "help" }, button));
}
