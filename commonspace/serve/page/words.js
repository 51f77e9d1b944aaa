// Every sentence of the page in English and in Chinese. Names of classes and fields are the data's own.

/** Language -> key -> sentence; {names} stand for values. */
export const WORDS = {
  en: {
    skip: "Skip to the results",
    placeholder: "Describe it, or paste a photo",
    searchLabel: "Words to search for",
    choosePhoto: "Search with a photo",
    search: "Search",
    views: "View",
    results: "Results",
    map: "Map",
    theme: "Light or dark",
    dropHere: "Drop the photo to search with it",
    filters: "Filters",
    filtersOn: "Filters ({n})",
    clearFilters: "Clear all",
    lookIn: "What to find",
    everything: "Everything",
    image: "Photos",
    text: "Texts",
    instance_weight: "How alike: from the same kind to this very thing",
    sameKind: "same kind",
    veryThing: "this very thing",
    grains: ["the same kind", "rather the same kind", "between kind and thing", "rather this thing", "this very thing"],
    class: "Class",
    from: "from",
    to: "to",
    rangeFrom: "{name}, from",
    rangeTo: "{name}, to",
    yes: "yes",
    no: "no",
    more: "More like this",
    moreOf: "More like this: {title}",
    showMore: "Show more",
    likeAsked: "like {id}",
    photoAsked: "photo",
    removePhoto: "Remove the photo",
    removeLike: "Do not ask with this item",
    relevance: "{percent} likely to share a class with the query",
    score: "score {score}",
    sure: "very likely",
    likely: "likely",
    open: "uncertain",
    unlikely: "unlikely",
    searching: "Searching …",
    foundOne: "1 result in {seconds} s",
    found: "{n} results in {seconds} s",
    noneTitle: "Nothing matches well",
    none: "The best of what there is fits with a probability of {percent}. Below is what comes nearest. Other words, or a photo, may do better.",
    noneHere: "Nothing here passes the filters.",
    emptyTitle: "Find it by words, by a photo, or by both",
    empty: "{items} items, {classes} classes. Type, paste or drop a photo anywhere, or begin with one of these:",
    keys: "Keys: / to search, arrows to walk through results, Enter to open, Esc to close.",
    photoGone: "The photo of this search is not part of a link. Give it once more, or search by words.",
    notPhoto: "This file is no photo that the page can read. Take a JPEG, PNG or WebP.",
    unreachable: "The service does not answer. Is it still running? Try again in a moment.",
    busy: "The service has many requests just now. Try again in a moment.",
    large: "This photo is larger than the service takes. Make it smaller, and try again.",
    key: "The service wants a key. It stays in this tab until you close it.",
    keyLabel: "Key",
    keyUse: "Use this key",
    wrong: "The service could not do that: {reason}",
    gone: "There is no such item any more.",
    again: "Try again",
    close: "Close",
    posterior: "What it is, by its {modality}",
    neighbours: "Nearest to it",
    fields: "Facts",
    noPhoto: "no photo",
    mapMaking: "The map is being made",
    mapMakingMore: "It takes a minute or so for some thousand items, and is kept. This page looks again by itself.",
    mapNone: "This index has no map yet",
    mapNoneMore: "Whoever runs the service can make one; the service says how: {reason}",
    mapLabel: "Map of {n} points. Arrow keys move, plus and minus zoom, 0 shows all. The lists beside it say what it holds.",
    mapLoading: "Fetching the map …",
    fit: "Show all",
    zoomIn: "Zoom in",
    zoomOut: "Zoom out",
    lasso: "Lasso",
    inView: "List what is in view",
    classes: "Classes",
    isolate: "Choose classes to see them alone",
    allClasses: "Show all classes",
    selected: "{n} selected",
    exportCsv: "Save as CSV",
    andMore: "and {n} more: the CSV has all",
    nothingSelected: "Nothing lies inside.",
    star: "your query, amid what it found",
    starNone: "none of what was found lies on this map",
    noClass: "no class",
    mapOld: "The index has changed since this map was made.",
    mapNote: "Near on the map mostly means near in the space; distances between groups mean little.",
  },
  zh: {
    skip: "跳到结果",
    placeholder: "描述要找的内容，或粘贴照片",
    searchLabel: "搜索词",
    choosePhoto: "用照片搜索",
    search: "搜索",
    views: "视图",
    results: "结果",
    map: "地图",
    theme: "浅色或深色",
    dropHere: "松开即用这张照片搜索",
    filters: "筛选",
    filtersOn: "筛选（{n}）",
    clearFilters: "全部清除",
    lookIn: "要找什么",
    everything: "全部",
    image: "照片",
    text: "文字",
    instance_weight: "相似程度：从同一类到就是这一件",
    sameKind: "同一类",
    veryThing: "就是这一件",
    grains: ["同一类", "偏向同一类", "介于两者之间", "偏向这一件", "就是这一件"],
    class: "类别",
    from: "从",
    to: "到",
    rangeFrom: "{name}，下限",
    rangeTo: "{name}，上限",
    yes: "是",
    no: "否",
    more: "更多类似的",
    moreOf: "更多类似的：{title}",
    showMore: "显示更多",
    likeAsked: "类似 {id}",
    photoAsked: "照片",
    removePhoto: "移除照片",
    removeLike: "不再用此条目查询",
    relevance: "与查询同类的概率为 {percent}",
    score: "得分 {score}",
    sure: "很可能",
    likely: "可能",
    open: "不确定",
    unlikely: "不太可能",
    searching: "正在搜索……",
    foundOne: "1 条结果，用时 {seconds} 秒",
    found: "{n} 条结果，用时 {seconds} 秒",
    noneTitle: "没有很匹配的结果",
    none: "最好的一条匹配概率也只有 {percent}。下面是最接近的内容。换个说法或换张照片也许更好。",
    noneHere: "没有内容符合筛选条件。",
    emptyTitle: "用文字、照片，或两者一起查找",
    empty: "{items} 个条目，{classes} 个类别。输入文字，在任意处粘贴或拖入照片，或从这些开始：",
    keys: "快捷键：/ 搜索，方向键浏览结果，Enter 打开，Esc 关闭。",
    photoGone: "链接不包含这次搜索的照片。请再次提供照片，或用文字搜索。",
    notPhoto: "无法读取这个文件。请使用 JPEG、PNG 或 WebP 照片。",
    unreachable: "服务没有响应。它还在运行吗？请稍后再试。",
    busy: "服务现在很忙。请稍后再试。",
    large: "照片超过了服务允许的大小。请缩小后再试。",
    key: "服务需要密钥。密钥只保存在本标签页中，关闭后即失效。",
    keyLabel: "密钥",
    keyUse: "使用此密钥",
    wrong: "服务无法完成：{reason}",
    gone: "这个条目已不存在。",
    again: "重试",
    close: "关闭",
    posterior: "它是什么（依据{modality}）",
    neighbours: "与它最接近的",
    fields: "属性",
    noPhoto: "无照片",
    mapMaking: "正在制作地图",
    mapMakingMore: "几千个条目大约需要一分钟，做好后会保存。本页会自动再次查看。",
    mapNone: "这个索引还没有地图",
    mapNoneMore: "运行服务的人可以制作地图；服务给出的说明：{reason}",
    mapLabel: "共 {n} 个点的地图。方向键移动，加减号缩放，0 显示全部。旁边的列表说明其内容。",
    mapLoading: "正在获取地图……",
    fit: "显示全部",
    zoomIn: "放大",
    zoomOut: "缩小",
    lasso: "套索",
    inView: "列出当前可见的",
    classes: "类别",
    isolate: "选择类别以单独查看",
    allClasses: "显示全部类别",
    selected: "已选 {n} 个",
    exportCsv: "保存为 CSV",
    andMore: "另有 {n} 个：CSV 中包含全部",
    nothingSelected: "范围内没有内容。",
    star: "你的查询，位于其结果之间",
    starNone: "找到的内容都不在这张地图上",
    noClass: "无类别",
    mapOld: "制作这张地图之后，索引已有变化。",
    mapNote: "地图上相近大多意味着在空间中相近；组与组之间的距离意义不大。",
  },
};

let language = stored() ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");

function stored() {
  try {
    const found = localStorage.getItem("commonspace.language");
    return found in WORDS ? found : null;
  } catch {
    return null; // storage may be forbidden
  }
}

/** Return "en" or "zh". */
export function spokenLanguage() {
  return language;
}

/** Change the language for now and for later visits. */
export function speak(name) {
  language = name;
  try {
    localStorage.setItem("commonspace.language", name);
  } catch {
    // it then lasts for this visit alone
  }
}

/**
 * Return a sentence in the language of the page.
 * @param {string} key
 * @param {Object<string, string|number>} values what stands for {names} in it
 */
export function t(key, values = {}) {
  return WORDS[language][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** Return the words for a instance_weight in [0, 1]. */
export function grain(g) {
  const names = WORDS[language].grains;
  return names[Math.round(g * (names.length - 1))];
}

/** Return the name of a modality: that of the page for images and texts, else the data's own. */
export function modalityName(name) {
  return name === "image" || name === "text" ? t(name) : name;
}

/** Return how sure a probability is, in words. */
export function certainty(p) {
  return t(p >= 0.9 ? "sure" : p >= 0.5 ? "likely" : p >= 0.2 ? "open" : "unlikely");
}

/** Return a number as the language writes it. */
export function number(value, digits = 0) {
  return value.toLocaleString(language, { maximumFractionDigits: digits });
}

/** Return a probability as per cent; what is not certain is never written as 0 % or 100 %. */
export function percent(p) {
  const shown = p > 0.994 && p < 1 ? "> 99" : p < 0.006 && p > 0 ? "< 1" : String(Math.round(p * 100));
  return language === "zh" ? `${shown}%` : `${shown} %`;
}

/** Put the words of the language into all elements that name some. */
export function translate(root = document) {
  if (root === document) document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  for (const one of root.querySelectorAll("[data-words]")) one.textContent = t(one.dataset.words);
  for (const [mark, attribute] of [
    ["wordsLabel", "aria-label"],
    ["wordsTitle", "title"],
    ["wordsPlaceholder", "placeholder"],
  ]) {
    const dashed = mark.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    for (const one of root.querySelectorAll(`[data-${dashed}]`)) {
      one.setAttribute(attribute, t(one.dataset[mark]));
    }
  }
}
