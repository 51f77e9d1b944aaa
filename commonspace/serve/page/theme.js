// Sets light or dark before the first paint. Loaded in the head, not as a module, so that nothing
// flashes.
(() => {
  const stored = (() => {
    try {
      return localStorage.getItem("commonspace.theme");
    } catch {
      return null; // storage may be forbidden: the choice of the system is used
    }
  })();
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const set = (theme) => {
    document.documentElement.dataset.theme = theme;
  };
  set(stored ?? (dark.matches ? "dark" : "light"));
  if (stored === null) {
    dark.addEventListener("change", () => set(dark.matches ? "dark" : "light"));
  }
})();
