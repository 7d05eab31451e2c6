// Takes over the theme of Airflow's page around this one; without one, the browser's preference counts.
(() => {
  "use strict";
  const choose = () => {
    let dark = null;
    try {
      const around = window.parent !== window ? window.parent.document.documentElement.classList : null;
      if (around?.contains("dark")) dark = true;
      else if (around?.contains("light")) dark = false;
      else if (localStorage.getItem("theme") === "dark") dark = true;
      else if (localStorage.getItem("theme") === "light") dark = false;
    } catch { /* another site's frame: the browser's preference counts */ }
    if (dark === null) document.documentElement.removeAttribute("data-theme");
    else document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  choose();
  try {
    if (window.parent !== window) {
      new MutationObserver(choose).observe(window.parent.document.documentElement, { attributeFilter: ["class"] });
    }
  } catch { /* as above */ }
})();
