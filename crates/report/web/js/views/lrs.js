/**
 * Loss against the base lr: how sensitive each schedule is, which lr was chosen, whether the best one is at an edge of the grid,
 * what is still being trained.
 */
const lrsView = (() => {
  function render(overview, state, width) {
    const lines = overview.sensitivity.map((own) => ({ ...own, points: own.points.filter((point) => point.lr > 0) }));
    const lrs = scale.union(lines.map((own) => own.points.map((point) => point.lr)));
    const range = scale.optimumRange(lines.map((own) => own.points.map((point) => point.mean)));
    const edges = lines.filter((own) => own.edge);
    return [
      h("div.heading", h("h1", "Sensitivity to the learning rate"),
        h("div.choice", frame.flag("fullrange", "Full range", "Also shows losses far above the best ones."), frame.flag("dots", "Seeds", "A small dot for each run."))),
      frame.budgetChoice(overview, state),
      h("p.note", "Means include all runs that have ended, those that choose the lr and those that judge. Large dots: the chosen lr. ",
        "Below the chart: ◆ diverged, ▶ running, ○ queued. ", overview.verdict.complete ? "" : "Still changing: no verdict yet."),
      look.legend(),
      range && lrs.length ? chart(overview, lines, lrs, range, state, width) : h("p.empty", "No run has a result. The table below counts the runs."),
      edges.length > 0 && h("p.card.edge", `At an edge of the grid: ${edges.slice(0, 8).map((own) => `${format.short(own.schedule, 30)} (${own.edge} lr)`).join(", ")}${edges.length > 8 ? ` and ${edges.length - 8} more` : ""}. A better lr may be outside of it: add lrs there.`),
      svg.behind(`Mean ${overview.metric.title} by base lr`, ["schedule", ...lrs.map((lr) => `lr ${format.number(lr)}`), "chosen", "edge"],
        lines.map((own) => [own.schedule, ...lrs.map((lr) => cell(own.points.find((point) => point.lr === lr))), format.number(own.chosen), own.edge || ""])),
    ];
  }

  const flight = (point) => [point.running && `${point.running} running`, point.queued && `${point.queued} queued`, point.diverged && `${point.diverged} diverged`].filter(Boolean).join(", ");

  const cell = (point) => point ? [format.number(point.mean), flight(point)].filter(Boolean).join(", ") : "";

  function chart(overview, lines, lrs, range, state, width) {
    const isFull = model.has("fullrange");
    const height = 440, box = { left: 62, right: width - 16, top: 34, bottom: height - 92 };
    const [low, high] = scale.padded(range.low, isFull ? range.full : range.high);
    const edge = lrs.length > 1 ? (lrs[lrs.length - 1] / lrs[0]) ** 0.04 : 2;
    const place = {
      x: scale.log(lrs[0] / edge, lrs[lrs.length - 1] * edge, box.left, box.right), y: scale.linear(low, high, box.bottom, box.top), high, top: box.top,
    };
    const ticks = width < 500 && lrs.length > 6 ? lrs.filter((_, i) => i % 2 === 0) : lrs;
    const drawn = lines.filter((own) => look.slot(own.schedule) >= 0);
    let isFirst = true;
    return svg.chart("Loss against base lr. Arrow keys move between points.", width, height,
      svg.yAxis(scale.ticks(low, high, 7), place.y, box, (y) => format.number(y, 3), `mean ${overview.metric.title}${overview.metric.name === "final" ? " after the last step" : ""}`),
      svg.xAxis(ticks, place.x, box, (x) => format.number(x, 3), "base learning rate (log scale)"),
      h("g.counts", { "aria-hidden": true }, lrs.map((lr) => counts(lines, lr, place.x(lr), box.bottom))),
      lines.filter((own) => look.slot(own.schedule) < 0).map((own) => path(own, place)),
      drawn.reverse().map((own) => h("g", { class: look.colourClass(own.schedule), key: own.schedule }, path(own, place),
        model.has("dots") && own.points.map((point) => point.seeds.map(([seed, y]) => y !== null && y <= high &&
          h("circle.seed", { cx: place.x(point.lr), cy: place.y(y), r: 2.5, "data-tip": `${own.schedule}, lr ${format.number(point.lr)}\nseed ${seed}: ${format.number(y)}` }))),
        own.points.map((point) => {
          const shape = mark(own, point, place, isFirst);
          if (shape) isFirst = false;
          return shape;
        }))));
  }

  /** What is not finished or has no loss at one lr, below the axis. */
  function counts(lines, lr, x, bottom) {
    const sum = (name) => lines.reduce((total, own) => total + (own.points.find((point) => point.lr === lr)?.[name] || 0), 0);
    const texts = [["diverged", "◆"], ["running", "▶"], ["queued", "○"]].map(([name, sign]) => sum(name) && [name, `${sign} ${sum(name)}`]).filter(Boolean);
    return texts.map(([name, text], i) => h("text", { class: name, x, y: bottom + 54 + 14 * i, "text-anchor": "middle", "data-tip": `${sum(name)} ${name} at lr ${format.number(lr)}` }, text));
  }

  /** The line of a schedule; losses above the chart stay at its top. */
  function path(own, { x, y, high }) {
    const points = own.points.filter((point) => point.mean !== null);
    const d = points.map((point, i) => `${i ? "L" : "M"}${x(point.lr).toFixed(1)} ${y(Math.min(point.mean, high)).toFixed(1)}`).join("");
    return h("path", { class: `curve ${look.colourClass(own.schedule)}`, d, "stroke-dasharray": look.dash(own.schedule).join(" ") || null });
  }

  function mark(own, point, { x, y, high, top }, isFirst) {
    const isChosen = point.lr === own.chosen;
    const at = x(point.lr);
    const tip = [own.schedule, `lr ${format.number(point.lr)}${isChosen ? ", chosen" : ""}${isChosen && own.edge ? `, the ${own.edge} that was tried` : ""}`,
      point.mean === null ? "no result" : `mean ${format.number(point.mean)} over ${format.plural(point.n, "run")}`, flight(point)].filter(Boolean).join("\n");
    const props = svg.point(tip, isFirst, { key: point.lr, onclick: () => model.toggle("schedules", own.schedule) });
    if (point.mean === null) return null;
    if (point.mean > high) return h("path", { ...props, class: "clipped", d: `M${at - 5} ${top + 2}l5 -9 5 9z` });
    return h("g", props, isChosen && own.edge && h("circle.ring", { cx: at, cy: y(point.mean), r: 9 }),
      h("circle.dot", { cx: at, cy: y(point.mean), r: isChosen ? 6 : 3.5 }));
  }

  return { render };
})();
