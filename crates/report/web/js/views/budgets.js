/** Which schedule is good at which run length: a table with shaded cells. */
const budgetsView = (() => {
  function render(overview) {
    const map = overview.budget_map;
    if (map.length === 0) return [h("h1", "Run lengths"), h("p.empty", "The sweep has one run length.")];
    const order = overview.ranking.map((line) => line.schedule);
    const rows = map.slice().sort((a, b) => order.indexOf(a.schedule) - order.indexOf(b.schedule));
    const columns = overview.budgets.map((steps) => columnOf(rows, steps, overview.metric.lower_is_better));
    return [
      h("h1", "Run lengths"),
      overview.over_budgets && overview.verdict.complete && h("p.card", overview.over_budgets),
      h("p.note", `Mean ${overview.metric.title} of each schedule at its best lr for that run length. Darker: closer to the lowest mean of the column. `,
        "Press a run length to see all views for it.", overview.verdict.complete ? "" : " Still changing: no verdict yet."),
      svg.table("Means by schedule and run length", "heat", ["schedule", ...overview.budgets.map((steps) => h("th.number", { scope: "col" },
        h("button", { disabled: model.isOffline, "aria-pressed": steps === overview.budget, onclick: () => model.set({ budget: String(steps) }) }, `${format.count(steps)} steps`)))],
        rows.map((own) => h("tr", { key: own.schedule, class: model.state.schedules.includes(own.schedule) ? "on" : null },
          h("th", { scope: "row" }, look.swatch(own.schedule), " ", format.short(own.schedule, 40)),
          columns.map((column) => cell(column, own))))),
    ];
  }

  /** The values of one run length, and how near each of them is to the best: 1 is the best, 0 is far. */
  function columnOf(rows, steps, isLower) {
    const points = new Map(rows.map((own) => [own.schedule, own.points.find((point) => point.steps === steps)]));
    const sign = isLower ? 1 : -1;
    const sorted = scale.finite(Array.from(points.values(), (point) => point?.mean ?? NaN)).map((x) => x * sign).sort((a, b) => a - b);
    const span = scale.quantile(sorted, 0.8) - sorted[0] || 1;
    return { points, near: (x) => Math.max(0, 1 - (x * sign - sorted[0]) / span), text: format.column(sorted) };
  }

  function cell(column, own) {
    const point = column.points.get(own.schedule);
    if (!point || point.mean === null) return h("td.number", point ? "no result" : format.NONE);
    const share = Math.round(column.near(point.mean) * 42);
    return h("td.number", { style: { background: `color-mix(in srgb, var(--accent) ${share}%, transparent)` } }, column.text(point.mean), h("small", `lr ${format.number(point.lr)}`));
  }

  return { render };
})();
