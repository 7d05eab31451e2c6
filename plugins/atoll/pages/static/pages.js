// What the pages do beyond plain HTML; without it every page can still be read and every form sent.
(() => {
  "use strict";
  const each = (selector, act, root = document) => root.querySelectorAll(selector).forEach(act);

  // A picture that is not to be had says so in its place.
  document.addEventListener("error", (event) => {
    if (event.target instanceof HTMLImageElement && event.target.hasAttribute("data-picture")) {
      event.target.replaceWith("no preview");
    }
  }, true);

  // Choosing from a list of filters shows the result at once; what is left empty stays out of the address.
  document.addEventListener("change", (event) => {
    if (event.target instanceof HTMLSelectElement) event.target.closest("form[data-filters]")?.requestSubmit();
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-filters]")) return;
    each("input, select", (field) => { if (field.value === "") field.disabled = true; }, event.target);
  });
  window.addEventListener("pageshow", () => each("form[data-filters] :disabled", (field) => { field.disabled = false; }));

  // Airflow shows these pages in a frame that may neither open windows nor leave it; the page around it can do both.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-airflow], a[data-open]");
    if (!link || window.parent === window || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (link.hasAttribute("data-open")) window.parent.open(link.href);
    else {
      window.parent.history.pushState({}, "", link.href);
      window.parent.dispatchEvent(new PopStateEvent("popstate"));
    }
  });

  // Left and right go through pages and through images, as in any gallery.
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest?.("input, select, textarea, [data-chart]")) return;
    const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
    if (rel) document.querySelector(`a[rel=${rel}]`)?.click();
  });

  // Tables sort by the column whose head is chosen; numbers as numbers, a dash last.
  const prepareTables = () => each("table[data-sort]:not([data-ready]) thead th", (head) => {
    head.closest("table").dataset.ready = "";
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
  });
  const worth = (cell) => {
    const text = cell.dataset.value ?? cell.textContent.trim();
    const number = Number.parseFloat(text.replace(/[\u202f ]/g, ""));
    return Number.isNaN(number) ? text : number;
  };
  const sort = (head, downward) => {
    const body = head.closest("table").tBodies[0], column = head.cellIndex, sign = downward ? -1 : 1;
    const compare = (one, other) => {
      const [a, b] = [worth(one.cells[column]), worth(other.cells[column])];
      if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
      return sign * (typeof a === "number" ? a - b : a.localeCompare(b));
    };
    body.append(...[...body.rows].sort(compare));
    each("th", (one) => one.removeAttribute("aria-sort"), head.closest("tr"));
    head.setAttribute("aria-sort", downward ? "descending" : "ascending");
  };
  document.addEventListener("click", (event) => {
    const head = event.target.closest?.("table[data-sort] th");
    if (head) sort(head, head.getAttribute("aria-sort") === "ascending");
  });
  prepareTables();

  // A page of something that is under way follows it: its content is asked for anew, and stays where it was scrolled to.
  const content = document.getElementById("content");
  const busy = () => document.hidden || content.querySelector("details[open], .tip") ||
    content.contains(document.activeElement) && document.activeElement.matches("input, select, textarea, [data-chart]");
  const follow = async () => {
    const seconds = Number(content.dataset.live);
    if (!seconds) return;
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    try {
      if (!busy()) {
        const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("content");
        if (answer.ok && fresh && !busy()) {
          const sorted = content.querySelector("th[aria-sort]");
          const [column, downward] = [sorted?.cellIndex, sorted?.getAttribute("aria-sort") === "descending"];
          content.replaceChildren(...fresh.childNodes);
          if (fresh.dataset.live) content.dataset.live = fresh.dataset.live; else delete content.dataset.live;
          prepareTables();
          if (sorted) sort(content.querySelectorAll("table[data-sort] th")[column], downward);
        }
      }
    } catch { /* the server is away: asked again in a moment */ }
    follow();
  };
  follow();
})();
