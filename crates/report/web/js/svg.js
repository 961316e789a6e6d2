/**
 * Parts of SVG charts: frame, axes, movement between points by keyboard, the table behind a chart.
 */
const svg = (() => {
  /** A chart with a name for screen readers. Its points are reached with the arrow keys. */
  function chart(label, width, height, ...children) {
    return h("svg.chart", {
            width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": label, onkeydown: move,
    }, ...children);
  }

  /** Props of a point that can have the focus. `tip` is its text for everybody: tooltip and name. */
  function point(tip, isFirst, more = {}) {
    const role = more.onclick ? "button" : "img";
    return { role, "aria-label": tip.replaceAll("\n", ", "), "data-tip": tip, "data-point": true, tabindex: isFirst ? 0 : -1, ...more };
  }

  /** Arrow keys move between the points of a chart, Home and End to its ends, Enter and Space press one. */
  function move(event) {
    const points = Array.from(event.currentTarget.querySelectorAll("[data-point]"));
    const at = points.indexOf(event.target.closest("[data-point]"));
    if (at < 0) return;
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -points.length, End: points.length };
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      points[at].onclick?.(event);
      return;
    }
    if (!(event.key in steps) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const next = points[Math.max(0, Math.min(points.length - 1, at + steps[event.key]))];
    points[at].setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  }

  /** Grid lines and numbers of a horizontal axis at the bottom. */
  function xAxis(ticks, at, box, text, title) {
    return h("g", { "aria-hidden": true, class: "axis" },
      ticks.map((x) => h("line.grid", { x1: at(x), x2: at(x), y1: box.top, y2: box.bottom })),
      ticks.map((x) => h("text", { x: at(x), y: box.bottom + 16, "text-anchor": "middle" }, text(x))),
      title && h("text.title", { x: (box.left + box.right) / 2, y: box.bottom + 34, "text-anchor": "middle" }, title));
  }

  /** Grid lines and numbers of a vertical axis at the left; its title is above it. */
  function yAxis(ticks, at, box, text, title) {
    return h("g", { "aria-hidden": true, class: "axis" },
      ticks.map((y) => h("line.grid", { x1: box.left, x2: box.right, y1: at(y), y2: at(y) })),
      ticks.map((y) => h("text", { x: box.left - 8, y: at(y) + 4, "text-anchor": "end" }, text(y))),
      title && h("text.title", { x: 2, y: box.top - 12 }, title));
  }

  /**
   * A table in a box that scrolls. A heading is a text, a text that starts with "#" for a column of numbers, or a finished cell.
   */
  function table(label, type, head, rows, caption) {
    const cell = (text) => typeof text !== "string" ? text : text[0] === "#" ? h("th.number", { scope: "col" }, text.slice(1)) : h("th", { scope: "col" }, text);
    return h("div.scroll", { tabindex: 0, role: "region", "aria-label": label },
      h("table", { class: type || null }, caption, h("thead", h("tr", head.map(cell))), h("tbody", rows)));
  }

  /** A table in `details`: the same values as text. */
  function behind(caption, head, rows) {
    return h("details.behind",
      h("summary", "Show as a table"),
      table(caption, "", head, rows.map((cells) => h("tr", cells.map((cell, i) => i ? h("td", cell) : h("th", { scope: "row" }, cell)))), h("caption", caption)));
  }

  /** The first characters of a name that fit into `pixels`; the point that it belongs to has the whole name. */
  function label(props, name, pixels) {
    return h("text", { ...props, "aria-hidden": true }, format.short(name, Math.max(4, Math.floor(pixels / 7.2))));
  }

  return { chart, point, xAxis, yAxis, table, behind, label };
})();
