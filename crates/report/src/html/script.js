"use strict";
(() => {
  const root = document.documentElement;
  const theme = document.getElementById("theme");
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const name = () => { theme.textContent = dark() ? "Light" : "Dark"; theme.setAttribute("aria-label", theme.textContent + " theme"); };
  theme.hidden = false;
  name();
  theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; name(); });

  // Legend: a click hides a schedule in all charts, pointing at it dims the others.
  const shapes = (s) => document.querySelectorAll(`main .scroll > svg [data-s="${s}"]`);
  const dimOthers = (s) => document.querySelectorAll("main .scroll > svg [data-s]").forEach((shape) => {
    shape.classList.toggle("dim", s !== null && shape.dataset.s !== s);
  });
  document.querySelectorAll(".legend button").forEach((button) => {
    const s = button.dataset.s;
    button.addEventListener("click", () => {
      const visible = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(visible));
      shapes(s).forEach((shape) => shape.classList.toggle("gone", !visible));
    });
    for (const [event, value] of [["pointerenter", s], ["focus", s], ["pointerleave", null], ["blur", null]]) {
      button.addEventListener(event, () => dimOthers(value));
    }
  });

  // Cursor over loss and learning rate.
  const plot = document.getElementById("plot-curves");
  if (!plot) return;
  const { curves } = JSON.parse(document.getElementById("data").textContent);
  const cursor = document.getElementById("cursor");
  const read = document.getElementById("read");
  const [left, right, last] = ["left", "right", "last"].map((key) => Number(plot.dataset[key]));
  const nearest = (steps, step) => {
    let best = 0;
    steps.forEach((at, i) => { if (Math.abs(at - step) < Math.abs(steps[best] - step)) best = i; });
    return best;
  };
  const short = (x) => (x === null || x === undefined ? "–" : x !== 0 && Math.abs(x) < 1e-3 ? x.toExponential(3) : Number(x.toPrecision(4)).toString());
  let step = last;
  const show = () => {
    const x = left + (right - left) * step / last;
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    cursor.setAttribute("visibility", "visible");
    const visible = curves.filter((curve) => curve.steps.length > 0
      && document.querySelector(`.legend button[data-s="${curve.s}"]`)?.getAttribute("aria-pressed") !== "false");
    const values = visible.map((curve) => ({
      name: curve.name,
      mean: curve.mean[nearest(curve.steps, step)],
      lr: curve.lr[nearest(curve.lr_steps, step)],
    }));
    values.sort((a, b) => a.mean - b.mean);
    read.textContent = `Step ${Math.round(step)}: ` + values.map((v) => `${v.name} ${short(v.mean)} (lr ${short(v.lr)})`).join(", ");
  };
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * plot.viewBox.baseVal.width;
    step = Math.min(last, Math.max(0, (x - left) / (right - left) * last));
    show();
  });
  plot.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -100, End: 100 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    step = Math.min(last, Math.max(0, step + by * last / 100));
    show();
  });
})();
