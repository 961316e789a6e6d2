/**
 * The verdict: what the sweep has shown, or what is missing until it can show something. Nothing that reads as a test, an
 * interval of a test, a tie or a rank is drawn before the verdict is complete.
 */
const verdictView = (() => {
  const WORDS = {
    first: "best mean", better: "better", worse: "significantly worse", equivalent: "equivalent", same: "the same runs",
    undecided: "no significant difference",
  };
  const DOTS = 190;

  function render(overview, state) {
    const { verdict } = overview;
    return [
      h("header.about",
        h("h1", overview.sweep),
        overview.question && h("p.question", overview.question),
        h("dl.facts", overview.about.map(([name, text]) => h("div", { key: name }, h("dt", name), h("dd", text))))),
      card(overview),
      warnings(overview.warnings),
      overview.ranking.length > 0 && h("section", { "aria-labelledby": "ranking-title" },
        h("div.heading",
          h("h2", { id: "ranking-title" }, verdict.complete ? "Ranking" : "Results so far"),
          frame.flag("columns", "All columns")),
        h("p.note", explain(overview)),
        table(overview, state)),
      verdict.complete && winnerView.render(overview),
      appendix(overview),
    ];
  }

  /** The heading of the card while there is no verdict. */
  function waiting({ verdict, state, progress }) {
    if (verdict.phase === "deciding") return `${verdict.seeds_done} of ${verdict.seeds} seeds: no verdict yet`;
    if (verdict.phase === "tuning") return "Choosing the learning rates: no verdict yet";
    return state === "empty" || !progress.trials ? "No trial yet" : "No verdict yet";
  }

  function card(overview) {
    const { verdict } = overview;
    if (verdict.complete) {
      return h("section.card.verdict", { "aria-label": "Verdict" }, h("p.sentence", verdict.sentence));
    }
    return h("section.card.verdict.open", { "aria-label": "Verdict" },
      h("p.sentence", waiting(overview)),
      verdict.phase === "deciding" && meter(verdict.seeds_done, verdict.seeds, "Seeds that are complete for every schedule"),
      verdict.missing && h("p", h("strong", "Missing: "), verdict.missing, "."),
      h("p", when(overview)),
      h("p.note",
        "Differences between means can still change sign. Tests, intervals and ranks appear when the last seed is done, because a test " +
        "that is read early finds differences that do not exist."));
  }

  /** When the verdict will be there. */
  function when({ verdict, state, now }) {
    if (state === "running" && verdict.ready_at) {
      return `The verdict will be there in about ${format.duration(Math.max(0, verdict.ready_at - now))}, at ${format.clock(verdict.ready_at, now)}.`;
    }
    if (state === "running") return "The time left is known once some steps are trained.";
    if (state === "empty") return "The sweep has no trial in this store. Start it with sweep run FILE.";
    return "No process trains this sweep now. Run the same command again: it trains only what is missing.";
  }

  function meter(done, all, label) {
    return h("div.segments", { role: "img", "aria-label": `${label}: ${done} of ${all}` },
      Array.from({ length: Math.min(all, 64) }, (_, i) => h("span", { class: i < done ? "full" : null })));
  }

  function warnings(list) {
    if (!list.length) return null;
    return h("section.warnings", { "aria-labelledby": "warnings-title" },
      h("h2", { id: "warnings-title" }, format.plural(list.length, "warning")),
      h("ul", list.map((item) => h("li", { key: item.kind + item.text },
        h("span", `${format.capital(item.text)}.`), item.advice && h("span.advice", ` ${format.capital(item.advice)}.`)))));
  }

  function explain({ metric, verdict }) {
    const better = metric.lower_is_better ? "lower" : "higher";
    const what = `${format.capital(metric.title)}, ${better} is better. Each schedule is at its own best base lr; each dot is a seed.`;
    return verdict.complete ? `${what} Tie group 1, marked: not significantly different from the best mean.` : `${what} Ordered by the mean so far: this order is not a ranking.`;
  }

  // --- the table -----------------------------------------------------------------------------------------------------

  /** The columns: [heading, cell of a line, class, only on demand, only when complete]. */
  function columns(overview, dots) {
    const values = (name) => format.column(overview.ranking.map((line) => line[name]));
    const mean = values("mean"), sd = values("sd"), test = values("test_loss");
    const diff = format.signedColumn(overview.ranking.map((line) => line.diff));
    const title = overview.metric.title, config = differing(overview);
    return [
      ["Rank", (l) => l.ranks ? l.ranks.replace("-", "–") : "", "number", false, true],
      ["Tie group", (l) => l.tie_group ?? format.NONE, "number", false, true],
      ["Schedule", (l) => nameCell(l, config(l)), "name"],
      [overview.verdict.complete ? `Mean ${title}` : `Mean ${title} so far`, (l) => mean(l.mean), "number strong"],
      [dots.heading, dots.cell, "dots"],
      ["Difference to first", (l) => diff(l.diff), "number", false, true],
      ["Verdict", verdictCell, "", false, true],
      ["Base lr", (l) => [format.number(l.base_lr), l.edge && edge(l)], "number"],
      ["Runs", runs, "number"],
      ["95 % interval of the difference", (l) => interval(l.interval, diff), "number", true, true],
      hasE(overview) ? ["e", (l) => format.eValue(l.e), "number", true, true] : ["p, raw", (l) => format.pValue(l.p_raw), "number", true, true],
      ["p, corrected", (l) => format.pValue(l.p), "number", true, true],
      ["Seeds won against first", (l) => l.wins ? `${l.wins[0]} of ${l.wins[1]}` : format.NONE, "number", true, true],
      ["95 % interval of the mean", (l) => interval([l.low, l.high], mean), "number", true, true],
      ["Standard deviation", (l) => sd(l.sd), "number", true],
      ["Test loss", (l) => test(l.test_loss), "number", true],
      ["Test accuracy", (l) => format.percent(l.test_accuracy, 2), "number", true],
      ["Steps", (l) => format.count(l.steps), "number", true],
      ["Wall time of a run", (l) => format.duration(l.wall_ms), "number", true],
      ["Config", (l) => h("code", format.id(l.config_id)), "", true],
    ].filter(([, , , demand, complete]) =>
      (!demand || model.has("columns")) && (!complete || overview.verdict.complete));
  }

  /** Whether e-values judge, which hold at any number of seeds. */
  const hasE = (overview) => overview.ranking.some((line) => format.isNumber(line.e));

  const interval = (pair, text) => pair && format.isNumber(pair[0]) && format.isNumber(pair[1]) ? `${text(pair[0])} to ${text(pair[1])}` : format.NONE;

  const edge = (line) => h("span", {
    class: "tag warn", "data-tip": `The best lr is the ${line.edge} that was tried: a better one may be outside of the grid.`,
  }, `${line.edge} tried`);

  function verdictCell(line) {
    return line.verdict ? h("span", { class: `word ${line.verdict}` }, WORDS[line.verdict] || line.verdict) : format.NONE;
  }

  function runs(line) {
    const parts = [`${line.n} of ${line.requested}`];
    if (line.diverged) parts.push(`${line.diverged} diverged`);
    if (line.unreported) parts.push(`${line.unreported} without the metric`);
    if (line.unreached) parts.push(`${line.unreached} did not reach the target`);
    if (line.failed) parts.push(`${line.failed} failed`);
    return parts.join(", ");
  }

  /** The axes of the chosen config, as far as they differ between schedules. */
  function differing(overview) {
    const seen = new Map();
    for (const line of overview.ranking) for (const [name, value] of line.config) seen.set(name, (seen.get(name) || new Set()).add(value));
    return (line) => line.config.filter(([name]) => seen.get(name).size > 1).map(([name, value]) => `${name} ${value}`).join(", ");
  }

  const nameCell = (line, config) => [look.pick(line.schedule), config && h("small", config)];

  function table(overview, state) {
    const list = columns(overview, dotsOf(overview));
    // Means do not order the tie groups: a schedule with scattered seeds may be tied with the first and come after worse ones.
    const type = (line) => [overview.verdict.complete && line.tie_group === 1 && "leads", state.schedules.includes(line.schedule) && "on"].filter(Boolean).join(" ") || null;
    return svg.table("Table of results", "ranking", list.map(([heading, , type]) => h("th", { scope: "col", class: type }, heading)),
      overview.ranking.map((line) => h("tr", { key: line.schedule, class: type(line) },
        list.map(([, cell, type]) => h(type === "name" ? "th" : "td", { class: type || null, scope: type === "name" ? "row" : null }, cell(line))))));
  }

  /** The column of dots: all rows on one scale that shows the differences between the good schedules. */
  function dotsOf(overview) {
    const number = format.column(overview.ranking.map((line) => line.mean));
    const values = overview.ranking.map((line) => line.seeds.map((seed) => seed.value).filter((x) => x !== null));
    const range = scale.seedRange(values, overview.metric.lower_is_better);
    if (!range) return { heading: "Seeds", cell: () => format.NONE };
    const [low, high] = scale.padded(range.low, range.high, 0.02);
    const at = scale.linear(low, high, 8, DOTS - 8);
    return {
      heading: [h("span", "Seeds"), h("span.ends", { "aria-hidden": true }, h("span", number(low)), h("span", number(high)))],
      cell: (line) => dots(line, at, [low, high], number, overview.verdict.complete),
    };
  }

  function dots(line, at, [low, high], number, complete) {
    const known = line.seeds.filter((seed) => seed.value !== null);
    const tip = (seed) => `seed ${seed.seed}: ${number(seed.value)}`;
    const label = known.length ? known.map(tip).join(", ") : "no seed has a result";
    const missing = line.seeds.filter((seed) => seed.state === "missing").length;
    const inside = (x) => Math.min(Math.max(x, low), high);
    const beyond = (x) => x > high ? `M${DOTS - 8} 7l6 4-6 4z` : x < low ? "M8 7l-6 4 6 4z" : null;
    return h("svg", { class: `dots ${look.colourClass(line.schedule)}`, width: DOTS, height: 22, role: "img", "aria-label": label },
      h("line.base", { x1: 8, x2: DOTS - 8, y1: 11, y2: 11 }),
      complete && line.low !== null && h("line.interval", { x1: at(inside(line.low)), x2: at(inside(line.high)), y1: 11, y2: 11 }),
      known.map((seed) => beyond(seed.value)
        ? h("path.clipped", { d: beyond(seed.value), "data-tip": `${tip(seed)} (beyond the scale)` })
        : h("circle", { class: model.state.trials.includes(seed.trial_id) ? "on" : null, cx: at(seed.value), cy: 11, r: 3.5, "data-tip": tip(seed), onclick: () => model.toggle("trials", seed.trial_id) })),
      line.mean !== null && !beyond(line.mean) && h("line.mean", { x1: at(line.mean), x2: at(line.mean), y1: 3, y2: 19 }),
      missing > 0 && !known.length && h("text", { x: 8, y: 15 }, `${missing} missing`));
  }

  // --- the end of the page -------------------------------------------------------------------------------------------

  function appendix(overview) {
    const fold = (title, ...content) => h("details.fold", { key: title }, h("summary", h("h2", title)), ...content);
    return h("div.appendix", { key: "appendix" },
      overview.commands.length > 0 && fold("Reproduce it", overview.commands.map(([text, what]) => h("div.command", h("p", what), copyable(text, "command")))),
      overview.method.length > 0 && fold("How it was computed", h("ul", overview.method.map((text) => h("li", text)))),
      overview.environment.length > 0 && fold("Where it was trained", h("dl.facts", overview.environment.map(([name, text]) => h("div", h("dt", name), h("dd", text))))),
      overview.file_text && fold("Sweep file", overview.file_name && h("p.note", overview.file_name), copyable(overview.file_text, "sweep file")),
      h("p.note", overview.generated_by));
  }

  /** What a screen reader announces when it changes: not the counters. */
  const announcement = ({ verdict }) => verdict.complete ? `Verdict: ${verdict.sentence}` : "No verdict yet.";

  return { render, announcement, waiting, hasE, WORDS };
})();
