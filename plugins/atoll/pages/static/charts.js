// Charts that answer: pointing at a trial shows it in every chart and in the table; arrow keys go from mark to mark.
(() => {
  "use strict";
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.setAttribute("role", "status");
  let lit = null;

  const light = (key) => {
    if (key === lit) return;
    document.querySelectorAll(".lit").forEach((one) => one.classList.remove("lit"));
    if (key) document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`).forEach((one) => one.classList.add("lit"));
    lit = key;
  };

  const show = (mark) => {
    light(mark.dataset.key || null);
    const figure = mark.closest("figure");
    tip.textContent = mark.dataset.text;
    figure.append(tip);
    const around = figure.getBoundingClientRect(), box = mark.getBoundingClientRect();
    const left = box.left + Math.min(box.width, 60) / 2 - around.left - tip.offsetWidth / 2;
    const above = box.top - around.top - tip.offsetHeight - 8;
    tip.style.left = `${Math.max(4, Math.min(left, around.width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${above > -40 ? above : box.bottom - around.top + 8}px`;
  };
  const hide = () => { tip.remove(); light(null); };

  const follow = (mark) => {
    if (mark.dataset.href) { location.href = mark.dataset.href; return; }
    const row = mark.dataset.key && document.getElementById(mark.dataset.key);
    if (row) { row.scrollIntoView({ block: "center" }); row.focus({ preventScroll: true }); }
  };

  document.addEventListener("pointerover", (event) => {
    const mark = event.target.closest?.("[data-chart] [data-text]");
    if (mark) show(mark);
    else if (event.target.closest?.("tr[data-key]")) light(event.target.closest("tr").dataset.key);
    else hide();
  });
  document.addEventListener("click", (event) => {
    const mark = event.target.closest?.("[data-chart] [data-text]");
    if (mark) follow(mark);
  });
  document.addEventListener("focusout", (event) => { if (event.target.matches?.("[data-chart]")) hide(); });

  document.addEventListener("keydown", (event) => {
    const chart = event.target.closest?.("[data-chart]");
    if (!chart) return;
    const marks = [...chart.querySelectorAll("circle[data-text]")];
    if (!marks.length) marks.push(...chart.querySelectorAll("[data-text]"));
    if (!marks.length) return;
    const place = (mark) => { const box = mark.getBoundingClientRect(); return [box.left, box.top]; };
    marks.sort((one, other) => place(one)[0] - place(other)[0] || place(one)[1] - place(other)[1]);
    const here = marks.findIndex((mark) => mark === chart.atollMark);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) {
      chart.atollMark = marks[here < 0 ? (step > 0 ? 0 : marks.length - 1) : (here + step + marks.length) % marks.length];
      show(chart.atollMark);
      event.preventDefault();
    } else if (event.key === "Enter" && here >= 0) follow(marks[here]);
    else if (event.key === "Escape") hide();
  });
})();
