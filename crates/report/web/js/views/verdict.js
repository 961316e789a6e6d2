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
      h("header", { class: "about" },
        h("h1", null, overview.sweep),
        overview.question && h("p", { class: "question" }, overview.question),
        h("dl", { class: "facts" }, overview.about.map(([name, text]) => h("div", { key: name }, h("dt", null, name), h("dd", null, text))))),
      card(overview),
      warnings(overview.warnings),
      overview.ranking.length > 0 && h("section", { "aria-labelledby": "ranking-title" },
        h("div", { class: "heading" },
          h("h2", { id: "ranking-title" }, verdict.complete ? "Ranking" : "Results so far"),
          frame.flag("columns", "All columns")),
        h("p", { class: "note" }, explain(overview)),
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
      return h("section", { class: "card verdict", "aria-label": "Verdict" }, h("p", { class: "sentence" }, verdict.sentence));
    }
    return h("section", { class: "card verdict open", "aria-label": "Verdict" },
      h("p", { class: "sentence" }, waiting(overview)),
      verdict.phase === "deciding" && meter(verdict.seeds_done, verdict.seeds, "Seeds that are complete for every schedule"),
      verdict.missing && h("p", null, h("strong", null, "Missing: "), verdict.missing, "."),
      h("p", null, when(overview)),
      h("p", { class: "note" },
        "Differences between means can still change sign. Tests, intervals and ranks appear when the last seed is done, because a test " +
        "that is read early finds differences that are not there."));
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
    return h("div", { class: "segments", role: "img", "aria-label": `${label}: ${done} of ${all}` },
      Array.from({ length: Math.min(all, 64) }, (_, i) => h("span", { class: i < done ? "full" : null })));
  }

  function warnings(list) {
    if (!list.length) return null;
    return h("section", { class: "warnings", "aria-labelledby": "warnings-title" },
      h("h2", { id: "warnings-title" }, format.plural(list.length, "warning")),
      h("ul", null, list.map((item) => h("li", { key: item.kind + item.text },
        h("span", null, `${format.capital(item.text)}.`), item.advice && h("span", { class: "advice" }, ` ${format.capital(item.advice)}.`)))));
  }

  function explain({ metric, verdict }) {
    const better = metric.lower_is_better ? "lower" : "higher";
    const what = `${format.capital(metric.title)}, ${better} is better. Each schedule is at its own best base lr; each dot is a seed.`;
    return verdict.complete ? what : `${what} Ordered by the mean so far: this order is not a ranking.`;
  }

  // --- the table -----------------------------------------------------------------------------------------------------

  /** The columns: [heading, cell of a line, class, only on demand, only when complete]. */
  function columns(overview, dots) {
    const values = (name) => format.column(overview.ranking.map((line) => line[name]));
    const mean = values("mean"), sd = values("sd"), test = values("test_loss");
    const title = overview.metric.title;
    return [
      ["Rank", (l) => l.ranks ? l.ranks.replace("-", "–") : "", "number", false, true],
      ["Schedule", nameCell, "name"],
      ["Base lr", (l) => [format.number(l.base_lr), l.edge && edge(l)], "number"],
      [overview.verdict.complete ? `Mean ${title}` : `Mean ${title} so far`, (l) => mean(l.mean), "number strong"],
      [dots.heading, dots.cell, "dots"],
      ["Runs", runs, "number"],
      ["Difference to first", (l) => format.signed(l.diff), "number", false, true],
      ["Verdict", verdictCell, "", false, true],
      ["95 % interval of the difference", (l) => interval(l.interval, format.signed), "number", true, true],
      ["p, raw", (l) => format.pValue(l.p_raw), "number", true, true],
      ["p, corrected", (l) => format.pValue(l.p), "number", true, true],
      ["Seeds won against first", (l) => l.wins ? `${l.wins[0]} of ${l.wins[1]}` : format.NONE, "number", true, true],
      ["95 % interval of the mean", (l) => interval([l.low, l.high], mean), "number", true, true],
      ["Standard deviation", (l) => sd(l.sd), "number", true],
      ["Test loss", (l) => test(l.test_loss), "number", true],
      ["Test accuracy", (l) => format.percent(l.test_accuracy, 2), "number", true],
      ["Steps", (l) => format.count(l.steps), "number", true],
      ["Wall time of a run", (l) => format.duration(l.wall_ms), "number", true],
      ["Config", (l) => h("code", null, format.id(l.config_id)), "", true],
    ].filter(([, , , demand, complete]) =>
      (!demand || model.state.show.includes("columns")) && (!complete || overview.verdict.complete));
  }

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
    if (line.failed) parts.push(`${line.failed} failed`);
    return parts.join(", ");
  }

  function nameCell(line) {
    const on = model.state.schedules.includes(line.schedule);
    return [
      h("button", {
        type: "button", class: "pick", "aria-pressed": on, onclick: () => model.toggle("schedules", line.schedule),
        "data-tip": on ? "Selected. Press to remove it from the selection." : "Press to select this schedule in all views.",
      }, look.swatch(line.schedule), h("span", { class: "text", dir: "auto" }, line.schedule)),
      line.config.length > 0 && h("small", null, line.config.map(([name, value]) => `${name} ${value}`).join(", ")),
    ];
  }

  function table(overview, state) {
    const list = columns(overview, dotsOf(overview));
    const groups = [];
    for (const line of overview.ranking) {
      const id = overview.verdict.complete ? line.tie_group ?? "none" : "all";
      if (groups[groups.length - 1]?.id !== id) groups.push({ id, lines: [] });
      groups[groups.length - 1].lines.push(line);
    }
    const title = (id) => id === "all" ? null : id === "none" ? "No result to rank"
      : id === 1 ? "Tie group 1: not significantly different from the best mean" : `Tie group ${id}`;
    return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Ranking" },
      h("table", { class: "ranking" },
        h("thead", null, h("tr", null, list.map(([heading, , type]) => h("th", { scope: "col", class: type }, heading)))),
        groups.map((group) => h("tbody", { key: group.id, class: group.id === 1 ? "leads" : null },
          title(group.id) && h("tr", { class: "group" }, h("th", { colspan: list.length, scope: "rowgroup" }, h("span", null, title(group.id)))),
          group.lines.map((line) => h("tr", { key: line.schedule, class: state.schedules.includes(line.schedule) ? "on" : null },
            list.map(([, cell, type]) => h(type === "name" ? "th" : "td", { class: type || null, scope: type === "name" ? "row" : null }, cell(line)))))))));
  }

  /** The column of dots: all rows on one scale that shows the differences between the good schedules. */
  function dotsOf(overview) {
    const number = format.column(overview.ranking.map((line) => line.mean));
    const range = scale.optimumRange(overview.ranking.map((line) => line.seeds.map((seed) => seed.value).filter((x) => x !== null)));
    if (!range) return { heading: "Seeds", cell: () => format.NONE };
    const [low, high] = scale.padded(range.low, range.high, 0.02);
    const at = scale.linear(low, high, 8, DOTS - 8);
    return {
      heading: [h("span", null, "Seeds"), h("span", { class: "ends", "aria-hidden": true }, h("span", null, number(low)), h("span", null, number(high)))],
      cell: (line) => dots(line, at, high, number, overview.verdict.complete),
    };
  }

  function dots(line, at, high, number, complete) {
    const known = line.seeds.filter((seed) => seed.value !== null);
    const label = known.length ? known.map((seed) => `seed ${seed.seed}: ${number(seed.value)}`).join(", ") : "no seed has a result";
    const missing = line.seeds.filter((seed) => seed.state === "missing").length;
    return h("svg", { class: `dots ${look.colourClass(line.schedule)}`, width: DOTS, height: 22, role: "img", "aria-label": label },
      h("line", { class: "base", x1: 8, x2: DOTS - 8, y1: 11, y2: 11 }),
      complete && line.low !== null && line.low < high && h("line", { class: "interval", x1: at(line.low), x2: at(Math.min(line.high, high)), y1: 11, y2: 11 }),
      known.map((seed) => seed.value > high
        ? h("path", { class: "clipped", d: `M${DOTS - 8} 7l6 4-6 4z`, "data-tip": `seed ${seed.seed}: ${number(seed.value)} (beyond the scale)` })
        : h("circle", { cx: at(seed.value), cy: 11, r: 3.5, "data-tip": `seed ${seed.seed}: ${number(seed.value)}`, onclick: () => model.toggle("trials", seed.trial_id) })),
      line.mean !== null && line.mean <= high && h("line", { class: "mean", x1: at(line.mean), x2: at(line.mean), y1: 3, y2: 19 }),
      missing > 0 && !known.length && h("text", { x: 8, y: 15 }, `${missing} missing`));
  }

  // --- the end of the page -------------------------------------------------------------------------------------------

  function appendix(overview) {
    const fold = (title, ...content) => h("details", { class: "fold", key: title }, h("summary", null, h("h2", null, title)), ...content);
    return h("div", { class: "appendix", key: "appendix" },
      overview.commands.length > 0 && fold("Reproduce it", overview.commands.map(([text, what]) => h("div", { class: "command" }, h("p", null, what), copyable(text, "command")))),
      overview.method.length > 0 && fold("How it was computed", h("ul", null, overview.method.map((text) => h("li", null, text)))),
      overview.environment.length > 0 && fold("Where it was trained", h("dl", { class: "facts" }, overview.environment.map(([name, text]) => h("div", null, h("dt", null, name), h("dd", null, text))))),
      overview.file_text && fold("Sweep file", overview.file_name && h("p", { class: "note" }, overview.file_name), copyable(overview.file_text, "sweep file")),
      h("p", { class: "note" }, overview.generated_by));
  }

  /** What a screen reader announces when it changes: not the counters. */
  const announcement = ({ verdict }) => verdict.complete ? `Verdict: ${verdict.sentence}` : "No verdict yet.";

  return { render, announcement, waiting, WORDS };
})();
