/**
 * Differences to the schedule with the best mean, on the same seeds: with intervals once the verdict is complete, and before that
 * seed by seed without a test.
 */
const differencesView = (() => {
  const ROW = 26;

  function render(overview, state, width) {
    const [leader, ...others] = overview.ranking;
    const lines = others.filter((line) => line.differences.length);
    const { complete } = overview.verdict;
    const text = format.signedColumn(lines.map((line) => line.diff));
    if (!lines.length) return [h("h1", "Differences"), h("p.empty", "No two schedules have a result on the same seed yet.")];
    return [
      h("div.heading", h("h1", "Differences to ", h("span", { dir: "auto" }, leader.schedule)), frame.flag("fullrange", "Full range", "Also shows differences far away from 0.")),
      complete
        ? h("p.note", `Mean difference with its 95 % interval; small dots are seeds. Right of 0: ${overview.metric.lower_is_better ? "worse" : "better"} than ${leader.schedule}. Faint intervals: not significant.`)
        : h("p.card.open", h("strong", `${verdictView.waiting(overview)}. `), `Each dot is a seed and shows its difference to the best mean so far. Tests and intervals appear when all seeds are done.`),
      forest(lines, overview, state, width, text),
      h("section", h("h2", "Seed by seed"), seeds(lines.filter((line) => look.slot(line.schedule) >= 0).slice(0, 30), overview, text)),
      svg.behind("Differences to the first schedule", ["schedule", "mean difference", "seeds", ...complete ? ["95 % interval", verdictView.hasE(overview) ? "e" : "p, raw", "p, corrected", "seeds won", "verdict"] : []],
        lines.map((line) => [line.schedule, text(line.diff), String(line.differences.length), ...complete
          ? [interval(line, text), verdictView.hasE(overview) ? format.eValue(line.e) : format.pValue(line.p_raw), format.pValue(line.p), line.wins ? `${line.wins[0]} of ${line.wins[1]}` : "", line.verdict || ""] : []])),
    ];
  }

  const interval = (line, text) => line.interval ? `${text(line.interval[0])} to ${text(line.interval[1])}` : format.NONE;
  const values = (line) => line.differences.map((item) => item.value).filter(format.isNumber);

  /** The range of x: everything, or what lies within a few times the usual difference. */
  function rangeOf(lines, complete, isFull) {
    const all = lines.flatMap((line) => [...values(line), ...complete && line.interval || []]);
    const limit = isFull ? Infinity : 4 * scale.median(all.map(Math.abs)) || Infinity;
    const inside = all.filter((x) => Math.abs(x) <= limit);
    return scale.padded(Math.min(0, ...inside), Math.max(0, ...inside));
  }

  function forest(lines, overview, state, width, text) {
    const { complete } = overview.verdict;
    const names = Math.min(170, width * 0.3), numbers = width > 640 ? 190 : 8;
    const box = { left: names + 12, right: width - numbers, top: 6, bottom: 6 + lines.length * ROW };
    const [low, high] = rangeOf(lines, complete, model.has("fullrange"));
    const x = scale.linear(low, high, box.left, box.right);
    return svg.chart("Differences to the first schedule. Arrow keys move between schedules.", width, box.bottom + 42,
      svg.xAxis(scale.ticks(low, high, width > 640 ? 7 : 4), x, box, (v) => format.signed(v, 2), `difference in ${overview.metric.title} to the first schedule`),
      h("line.zero", { x1: x(0), x2: x(0), y1: box.top, y2: box.bottom }),
      lines.map((line, i) => row(line, { x, low, high, y: box.top + (i + 0.5) * ROW, names, numbers, width, complete, number: text }, i === 0)));
  }

  function row(line, at, isFirst) {
    const { x, low, high, y, complete } = at;
    const clip = (v) => Math.max(low, Math.min(high, v));
    const text = `${at.number(line.diff)}${complete && line.interval ? ` (${interval(line, at.number)})` : ""}`;
    const tip = [line.schedule, `${text}: mean difference`, complete && line.verdict && verdictView.WORDS[line.verdict], `${line.differences.length} seeds`].filter(Boolean).join("\n");
    const tied = complete && line.interval && !["better", "worse"].includes(line.verdict);
    const shapes = h("g", {
      class: `${look.slot(line.schedule) < 0 ? "k-plain" : look.colourClass(line.schedule)}${tied ? " tied" : ""}`,
      ...svg.point(tip, isFirst, { onclick: () => model.toggle("schedules", line.schedule) }),
    },
    h("rect", { class: `hit${model.state.schedules.includes(line.schedule) ? " on" : ""}`, x: 0, y: y - ROW / 2, width: at.width, height: ROW }),
    values(line).map((v) => v >= low && v <= high && h("circle.seed", { cx: x(v), cy: y, r: 2.5 })),
    complete && line.interval && h("line.whisker", { x1: x(clip(line.interval[0])), x2: x(clip(line.interval[1])), y1: y, y2: y }),
    line.diff > high || line.diff < low ? h("path.clipped", { d: line.diff > high ? `M${x(high) - 8} ${y - 5}l9 5 -9 5z` : `M${x(low) + 8} ${y - 5}l-9 5 9 5z` })
      : complete ? h("circle.dot", { cx: x(clip(line.diff)), cy: y, r: 5 })
        : h("line.whisker", { x1: x(clip(line.diff)), x2: x(clip(line.diff)), y1: y - 7, y2: y + 7 }));
    return h("g", { key: line.schedule }, shapes, svg.label({ x: at.names, y: y + 4, "text-anchor": "end" }, line.schedule, at.names),
      at.numbers > 50 && h("text", { x: at.width, y: y + 4, "text-anchor": "end", "aria-hidden": true }, text));
  }

  /** The differences as numbers, a column for each seed. */
  function seeds(lines, overview, text) {
    if (!lines.length) return h("p.note", "Select schedules in the list.");
    const names = Array.from(new Set(lines.flatMap((line) => line.differences.map((item) => item.seed))));
    const good = overview.metric.lower_is_better ? -1 : 1;
    return svg.table("Differences seed by seed", "", ["schedule", ...names.map((seed) => `#seed ${seed}`)],
      lines.map((line) => {
        const by = new Map(line.differences.map((item) => [item.seed, item.value]));
        return h("tr", { key: line.schedule }, h("th", { scope: "row" }, look.swatch(line.schedule), " ", format.short(line.schedule, 30)),
          names.map((seed) => h("td", { class: `number${by.get(seed) * good > 0 ? " won" : ""}` }, text(by.get(seed)))));
      }));
  }

  return { render };
})();
