/**
 * Colours and line styles of schedules. Few schedules are coloured at a time: the best ones and the selected ones. A schedule keeps
 * its colour while the ranking changes. The colours are those of Okabe and Ito, adapted to each theme in page.css; the line style
 * says the same without colour.
 */
const look = (() => {
  const COLOURS = 8;
  const DASHES = [[], [7, 3], [2, 2.5], [9, 3, 2, 3]];
  /** Schedule → slot, of the sweep in `owner`. */
  let slots = new Map();
  let owner = null;

  /** The coloured schedules, in the order of the ranking. */
  function coloured(overview, state) {
    const order = overview.ranking.map((line) => line.schedule);
    const chosen = new Set([...order.slice(0, state.top), ...state.schedules]);
    const names = order.filter((name) => chosen.has(name));
    if (owner !== overview.sweep) {
      owner = overview.sweep;
      slots = new Map();
    }
    for (const name of Array.from(slots.keys())) if (!chosen.has(name)) slots.delete(name);
    const used = new Set(slots.values());
    let next = 0;
    for (const name of names) {
      if (slots.has(name)) continue;
      while (used.has(next)) next++;
      used.add(next);
      slots.set(name, next);
    }
    return names;
  }

  /** The slot of a schedule, or -1 if it is drawn faint. */
  const slot = (schedule) => slots.has(schedule) ? slots.get(schedule) : -1;

  /** The class of its colour in page.css. */
  const colourClass = (schedule) => slot(schedule) < 0 ? "k-none" : `k${slot(schedule) % COLOURS}`;

  const dash = (schedule) => slot(schedule) < 0 ? [] : DASHES[(slot(schedule) + Math.floor(slot(schedule) / COLOURS)) % DASHES.length];

  /** The value of a colour of page.css as "rgb(...)", for the canvas. */
  function css(name) {
    const probe = document.documentElement;
    probe.style.setProperty("outline-color", `var(${name})`);
    return getComputedStyle(probe).outlineColor;
  }

  const colour = (schedule) => css(slot(schedule) < 0 ? "--faint-line" : `--k${slot(schedule) % COLOURS}`);

  /** A button that selects a schedule in all views; `more` follows its name. */
  const pick = (schedule, ...more) => h("button.pick", {
    "aria-pressed": model.state.schedules.includes(schedule), onclick: () => model.toggle("schedules", schedule), "data-tip": schedule.length > 22 ? schedule : null,
  }, swatch(schedule), h("span.text", { dir: "auto" }, schedule), more);

  /** Names and line styles of the coloured schedules, shown where the list is not next to the chart. */
  const legend = () => h("ul.legend", Array.from(slots.keys(), (name) => h("li", { key: name }, swatch(name), h("span.text", { dir: "auto" }, name))));

  /** A short line in the style of a schedule. */
  function swatch(schedule) {
    return h("svg", { class: `swatch ${colourClass(schedule)}`, viewBox: "0 0 24 10", "aria-hidden": true },
      h("path", { d: "M1 5H23", "stroke-dasharray": dash(schedule).join(" ") || null }));
  }

  return { coloured, slot, colourClass, colour, dash, css, swatch, pick, legend };
})();
