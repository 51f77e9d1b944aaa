// All texts of the page, in English and Chinese. Names of classes and fields come from the data.

/** Language -> key -> text; {names} stand for values. */
export const WORDS = {
  en: {
    skip: "Skip to the results",
    placeholder: "Words or a photo",
    searchLabel: "Words to search for",
    choosePhoto: "Search by photo",
    search: "Search",
    settings: "View and settings",
    views: "View",
    results: "Results",
    map: "Map",
    theme: "Light or dark",
    dropHere: "Drop the photo to search with it",
    filters: "Filters",
    filtersOn: "Filters ({n})",
    activeFilters: "Active filters",
    removeFilter: "Remove the filter {filter}",
    clearFilters: "Clear all",
    showResults: "Show results",
    findValue: "Find a value",
    findIn: "Find a value of {name}",
    allValues: "{n} more",
    searchIn: "Search in",
    resultsFor: "Search results: {query}",
    everything: "Everything",
    image: "Photos",
    text: "Texts",
    oneImage: "photo",
    oneText: "text",
    sortBy: "Sort by",
    bestMatch: "Best match",
    ascending: "{name}: low to high",
    descending: "{name}: high to low",
    weightLabel: "Match: from similar category to exact item",
    category: "Similar category",
    exact: "Exact item",
    weights: ["similar category", "rather category", "balanced", "rather exact item", "exact item"],
    options: "Options",
    without: "Without the words",
    withoutExample: "leather",
    mix: "Words or photo",
    mixWords: "Words",
    mixLabel: "Weight of the words in the query",
    variety: "Order",
    varietyNone: "Best first",
    varietyFull: "Varied",
    varietyLabel: "Variety of the results",
    varieties: ["best first", "a little varied", "varied", "very varied"],
    group: "Show near-duplicates once",
    removeOption: "Remove the option {option}",
    withoutChip: "Without: {words}",
    mixChip: "Words {percent}",
    varietyChip: "Order: {amount}",
    groupChip: "Near-duplicates once",
    alike: "+ {n} alike",
    label: "Label",
    labels: "Classes of this item",
    labelNext: "Label next",
    labelWhy: "These items are the ones whose class is least certain, each unlike the others. Their labels help the next training most.",
    labelDoubt: "Every item has a class. These are the ones whose class the other items contradict most: confirm or correct them.",
    labelCounts: "{people} labeled or confirmed by people, {unlabeled} without a class",
    labelDone: "There is nothing to label.",
    labelMore: "Next items",
    labelInstead: "Likely:",
    labelOther: "Another class",
    labelSave: "Save",
    labelConfirm: "Confirm",
    labelStored: "Stored",
    labelUnsaved: "Not saved yet",
    labelConfirmed: "Confirmed by a person",
    labelOpen: "From the data, not confirmed",
    labelNone: "No class yet",
    labelNow: "now",
    labelGiven: "Stored: {labels}",
    removeLabel: "Remove the class {name}",
    class: "Class",
    from: "from",
    to: "to",
    rangeFrom: "{name}, from",
    rangeTo: "{name}, to",
    yes: "yes",
    no: "no",
    more: "More like this",
    less: "Less like this",
    unlikeChip: "Less like: {title}",
    rightOne: "Is this what you looked for?",
    thanks: "Thank you",
    moreOf: "More like this: {title}",
    showMore: "Show more",
    likeAsked: "Similar items",
    photoAsked: "Photo",
    removePhoto: "Remove the photo",
    removeLike: "Remove the item",
    relevance: "{percent} likely to have a class of the query",
    score: "score {score}",
    sure: "very likely",
    likely: "likely",
    open: "uncertain",
    unlikely: "unlikely",
    searching: "Searching…",
    foundOne: "{n} of {total} items ({seconds} s)",
    found: "Best {n} of {total} items ({seconds} s)",
    noneTitle: "Nothing matches well",
    none: "The best result matches with a probability of {percent}. The closest items are shown below. Try other words or a photo, or:",
    unlike: "The query is unlike everything that this search was trained on. The closest items are shown below. Try other words or a photo, or:",
    noneHere: "No item passes the filters. Remove some of them:",
    withoutFilters: "Search without filters",
    everywhere: "Search in everything",
    startTitle: "Search by words, by photo, or both",
    startText: "Search by words",
    startPhoto: "Find similar items",
    start: "{items} items in {classes} classes",
    recent: "Recent searches",
    forget: "Clear",
    browse: "Browse",
    keys: "Keys: / to search, arrows to move through results, Enter to open, Esc to close.",
    notPhoto: "This file is not a photo that can be read. Use a JPEG, PNG or WebP.",
    photoCut: "This photo is incomplete. Choose it again.",
    photoLarge: "This photo is too large. Use a smaller one.",
    unreachable: "No connection to the service. Check your network and try again.",
    busy: "The service is busy. Try again in a moment.",
    forbidden: "This is not allowed.",
    key: "Enter a key to search here. It is kept in this tab until you close it.",
    keyLabel: "Key",
    keyUse: "Continue",
    wrong: "That did not work. Try again, or change the search.",
    gone: "This item is no longer available.",
    again: "Try again",
    close: "Close",
    previous: "Previous result",
    next: "Next result",
    place: "{n} of {total}",
    enlarge: "Enlarge the photo, or make it small again",
    visit: "Visit page",
    readMore: "Read more",
    readLess: "Read less",
    posterior: "Most likely classes, by {modality}",
    neighbors: "Similar items",
    noPhoto: "no photo",
    mapMaking: "The map is being computed",
    mapMakingMore: "This takes a minute or two. The page shows it when it is ready.",
    mapNone: "There is no map yet",
    mapNoneMore: "The operator of this service can add one.",
    mapLabel: "Map of {n} points. Arrow keys move it, plus and minus zoom, 0 shows everything. The lists beside it have its contents.",
    mapLoading: "Loading the map…",
    fit: "Show everything",
    zoomIn: "Zoom in",
    zoomOut: "Zoom out",
    lasso: "Select with a lasso",
    inView: "List the visible items",
    classes: "Classes",
    isolate: "Select classes to show only those",
    allClasses: "Show all classes",
    selected: "{n} selected",
    exportCsv: "Save as CSV",
    andMore: "and {n} more; the CSV file has all",
    nothingSelected: "There is nothing inside.",
    star: "your search, among its results",
    starNone: "none of the results is on this map",
    noClass: "no class",
    mapOld: "The items have changed since this map was computed.",
    mapNote: "Items close to each other are similar. Distances between groups mean little.",
  },
  zh: {
    skip: "跳到搜索结果",
    placeholder: "输入文字或粘贴图片",
    searchLabel: "搜索关键词",
    choosePhoto: "以图搜索",
    search: "搜索",
    settings: "视图与设置",
    views: "视图",
    results: "结果",
    map: "分布图",
    theme: "切换浅色/深色",
    dropHere: "松开鼠标，用这张图片搜索",
    filters: "筛选",
    filtersOn: "筛选（{n}）",
    activeFilters: "已选筛选条件",
    removeFilter: "移除筛选条件 {filter}",
    clearFilters: "清空",
    showResults: "查看结果",
    findValue: "查找选项",
    findIn: "在“{name}”中查找",
    allValues: "展开其余 {n} 项",
    searchIn: "搜索范围",
    resultsFor: "搜索结果：{query}",
    everything: "全部",
    image: "图片",
    text: "文本",
    oneImage: "图片",
    oneText: "文本",
    sortBy: "排序",
    bestMatch: "匹配度",
    ascending: "{name}：从低到高",
    descending: "{name}：从高到低",
    weightLabel: "匹配方式：从同类到同款",
    category: "同类",
    exact: "同款",
    weights: ["同类", "偏同类", "均衡", "偏同款", "同款"],
    options: "选项",
    without: "不含词语",
    withoutExample: "皮革",
    mix: "文字与图片",
    mixWords: "文字",
    mixLabel: "文字在查询中的权重",
    variety: "排列方式",
    varietyNone: "匹配优先",
    varietyFull: "多样",
    varietyLabel: "结果的多样程度",
    varieties: ["匹配优先", "略多样", "多样", "非常多样"],
    group: "近似重复只显示一次",
    removeOption: "移除选项 {option}",
    withoutChip: "不含：{words}",
    mixChip: "文字 {percent}",
    varietyChip: "排列：{amount}",
    groupChip: "近似重复只显示一次",
    alike: "另有 {n} 个近似",
    label: "标注",
    labels: "该条目的类别",
    labelNext: "待标注条目",
    labelWhy: "这些条目的类别最不确定，且彼此不同。标注它们对下一次训练帮助最大。",
    labelDoubt: "所有条目都有类别。以下条目的类别与其他条目最不一致，请确认或更正。",
    labelCounts: "已由人工标注或确认 {people} 项，尚无类别 {unlabeled} 项",
    labelDone: "没有需要标注的条目。",
    labelMore: "下一批",
    labelInstead: "可能是：",
    labelOther: "其他类别",
    labelSave: "保存",
    labelConfirm: "确认",
    labelStored: "已保存",
    labelUnsaved: "尚未保存",
    labelConfirmed: "已由人工确认",
    labelOpen: "来自数据，未经确认",
    labelNone: "尚无类别",
    labelNow: "当前",
    labelGiven: "已保存：{labels}",
    removeLabel: "移除类别 {name}",
    class: "类别",
    from: "最小",
    to: "最大",
    rangeFrom: "{name}，最小值",
    rangeTo: "{name}，最大值",
    yes: "是",
    no: "否",
    more: "查找相似",
    less: "减少此类",
    unlikeChip: "减少类似：{title}",
    rightOne: "这是您要找的吗？",
    thanks: "谢谢",
    moreOf: "查找相似：{title}",
    showMore: "加载更多",
    likeAsked: "相似条目",
    photoAsked: "图片",
    removePhoto: "移除图片",
    removeLike: "移除该条目",
    relevance: "与搜索内容同类的概率为 {percent}",
    score: "得分 {score}",
    sure: "非常匹配",
    likely: "比较匹配",
    open: "不确定",
    unlikely: "不太匹配",
    searching: "正在搜索…",
    foundOne: "共 {total} 项，显示 {n} 项（{seconds} 秒）",
    found: "共 {total} 项，显示最匹配的 {n} 项（{seconds} 秒）",
    noneTitle: "没有找到匹配的结果",
    none: "最佳结果的匹配概率只有 {percent}，以下是最接近的条目。可以换个说法、换张图片，或者试试：",
    unlike: "该查询与本搜索所学的内容都不相似，以下是最接近的条目。可以换个说法、换张图片，或者试试：",
    noneHere: "没有符合筛选条件的条目，可以移除部分条件：",
    withoutFilters: "不使用筛选条件",
    everywhere: "搜索全部",
    startTitle: "输入文字、上传图片，或两者结合搜索",
    startText: "输入文字搜索",
    startPhoto: "查找相似条目",
    start: "共 {items} 个条目，{classes} 个类别",
    recent: "最近搜索",
    forget: "清除",
    browse: "浏览",
    keys: "快捷键：/ 搜索，方向键切换结果，Enter 打开，Esc 关闭。",
    notPhoto: "无法读取该文件，请使用 JPEG、PNG 或 WebP 图片。",
    photoCut: "图片文件不完整，请重新选择。",
    photoLarge: "图片过大，请使用较小的图片。",
    unreachable: "无法连接服务，请检查网络后重试。",
    busy: "服务繁忙，请稍后重试。",
    forbidden: "没有权限执行此操作。",
    key: "请输入密钥后再搜索。密钥仅保存在当前标签页，关闭后失效。",
    keyLabel: "密钥",
    keyUse: "继续",
    wrong: "操作失败，请重试或修改搜索条件。",
    gone: "该条目已不存在。",
    again: "重试",
    close: "关闭",
    previous: "上一个结果",
    next: "下一个结果",
    place: "第 {n} 个，共 {total} 个",
    enlarge: "放大或还原图片",
    visit: "访问页面",
    readMore: "展开全文",
    readLess: "收起",
    posterior: "可能的类别（依据{modality}）",
    neighbors: "相似条目",
    noPhoto: "暂无图片",
    mapMaking: "正在生成分布图",
    mapMakingMore: "大约需要一两分钟，完成后会自动显示。",
    mapNone: "暂无分布图",
    mapNoneMore: "可由服务管理员生成。",
    mapLabel: "包含 {n} 个点的分布图。方向键移动，加减号缩放，0 显示全部。内容见旁边的列表。",
    mapLoading: "正在加载分布图…",
    fit: "显示全部",
    zoomIn: "放大",
    zoomOut: "缩小",
    lasso: "套索选择",
    inView: "列出可见条目",
    classes: "类别",
    isolate: "选择类别，仅显示所选内容",
    allClasses: "显示全部类别",
    selected: "已选 {n} 项",
    exportCsv: "导出 CSV",
    andMore: "另有 {n} 项，完整内容见 CSV 文件",
    nothingSelected: "所选区域内没有内容。",
    star: "搜索内容在结果中的位置",
    starNone: "搜索结果不在此分布图上",
    noClass: "无类别",
    mapOld: "生成此图后，条目已有变化。",
    mapNote: "距离近的条目彼此相似，不同群组之间的距离没有太大意义。",
  },
};

const LANGUAGE = "commonspace.language";
let current = stored() ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");

function stored() {
  try {
    const name = localStorage.getItem(LANGUAGE);
    return name in WORDS ? name : null;
  } catch {
    return null; // storage may be forbidden
  }
}

/** Return "en" or "zh". */
export const language = () => current;

/** Change the language, also for later visits. */
export function setLanguage(name) {
  current = name;
  try {
    localStorage.setItem(LANGUAGE, name);
  } catch {
    // storage may be forbidden: the language then lasts for this visit
  }
}

/**
 * Return a text in the language of the page.
 * @param {string} key
 * @param {Object<string, string|number>} values of the {names} in it
 */
export function t(key, values = {}) {
  return WORDS[current][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** Return the words for an instance weight from 0 to 1. */
export function weightName(weight) {
  const names = WORDS[current].weights;
  return names[Math.round(weight * (names.length - 1))];
}

/** Return the words for a variety from 0 to 1. */
export function varietyName(variety) {
  const names = WORDS[current].varieties;
  return names[Math.ceil(variety * (names.length - 1))];
}

/** Return the name of a modality. */
export const modalityName = (name) => (name === "image" || name === "text" ? t(name) : name);

/** Return the name of one item of a modality. */
export const singularName = (name) => ({ image: t("oneImage"), text: t("oneText") })[name] ?? name;

/** Return a probability in words. */
export const certainty = (p) => t(p >= 0.9 ? "sure" : p >= 0.5 ? "likely" : p >= 0.2 ? "open" : "unlikely");

/** Return a number in the form of the language. */
export const number = (value, most = 0, least = 0) => value.toLocaleString(current, { maximumFractionDigits: most, minimumFractionDigits: least });

/** Return a probability in percent; an uncertain one is never 0% or 100%. */
export function percent(p) {
  const text = p > 0.994 && p < 1 ? "> 99" : p < 0.006 && p > 0 ? "< 1" : String(Math.round(p * 100));
  return `${text}%`;
}

/** Set the texts of all elements that name one. */
export function translate(root = document) {
  if (root === document) document.documentElement.lang = current === "zh" ? "zh-Hans" : "en";
  for (const element of root.querySelectorAll("[data-words]")) element.textContent = t(element.dataset.words);
  for (const [data, attribute] of [
    ["words-label", "aria-label"],
    ["words-title", "title"],
    ["words-placeholder", "placeholder"],
  ]) {
    for (const element of root.querySelectorAll(`[data-${data}]`)) element.setAttribute(attribute, t(element.getAttribute(`data-${data}`)));
  }
}
