/**
 * Steps that trials share, and who trains what: running, stuck and failed trials, processes, the tree of stages over steps, the
 * time line of trials.
 */
const stagesView = (() => {
  const ROW = 18;
  const MOST = 250;
  const WORDS = { done: "trained", training: "being trained", waiting: "waits" };

  function render(overview, state, width) {
    const data = model.get("stages");
    if (!data) return frame.waiting("stages");
    if (!data.trials_all) return [h("h1", "Shared steps"), h("p.empty", "No trial has started yet.")];
    return [
      h("h1", "Shared steps"),
      facts(overview, data.sharing),
      data.stuck.length > 0 && h("section.warnings", { role: "alert" }, h("h2", "Stuck"), h("ul", data.stuck.map((text) => h("li", text)))),
      data.failed.length > 0 && h("section", h("h2", `${format.plural(data.failed.length, "failed trial")}`), h("ul.list", data.failed.map((item) => failed(item)))),
      data.running.length > 0 && h("section", h("h2", `${format.plural(data.running.length, "trial")} in training`), h("ul.list", data.running.map((item) => running(item, overview)))),
      data.runners.length > 0 && h("section", h("h2", "Processes"), runners(data.runners, overview.now)),
      h("section", h("div.heading", h("h2", "Stages over steps"), seedChoice(data.stages, state)),
        h("p.note", "A stage is trained once for all trials that are the same run so far; it ends where their learning rates differ. ", "Filled: trained. Dashed: being trained. Outlined: waits."),
        tree(data, state, width)),
      h("section", h("h2", "Trials over time"), timeline(data, overview, width)),
    ];
  }

  /** The process with an id, by its number on its host. */
  function processName(data, id) {
    const runner = data.runners.find((item) => String(item.runner_id) === String(id));
    return runner ? `process ${runner.pid}` : "earlier";
  }

  const fact = (name, text) => text && h("div", { key: name }, h("dt", name), h("dd", text));

  function facts({ progress }, { steps_asked: asked, steps_trained: trained }) {
    return h("dl.facts",
      fact("steps of all trials", format.count(asked)), fact("steps that were trained", format.count(trained)),
      fact("saved by sharing", asked ? format.percent(Math.max(0, 1 - trained / asked)) : ""),
      fact("left in this round", format.isNumber(progress.round_left_ms) && format.duration(progress.round_left_ms)),
      fact("left in the sweep", format.isNumber(progress.left_ms) && format.duration(progress.left_ms)),
      fact("speed", progress.steps_per_second && `${format.count(progress.steps_per_second)} steps/s`));
  }

  const trialName = (item) => `${item.schedule}, lr ${format.number(item.base_lr)}, seed ${item.seed}`;

  /** A button that opens the log of a trial, and the log. */
  function log(trial) {
    const isOpen = model.has(`log ${trial}`);
    const button = h("button.quiet", { "aria-expanded": isOpen, onclick: () => model.toggle("show", `log ${trial}`) }, "Log");
    if (!isOpen) return [button];
    const { value, error } = model.detail("logs", trial);
    const text = error ? error.message : !value ? "Loading…" : value.text || value.reason || "The log is empty.";
    return [button, h("div.log", value?.truncated && h("p.note", `The end of the log. All of it: sweep logs ${trial}`), copyable(text, "log"))];
  }

  function failed(item) {
    return h("li", { key: item.trial_id }, h("span.status.failed", h("span.text", { dir: "auto" }, trialName(item))), h("small", item.error, ` (${format.plural(item.attempts, "attempt")})`), log(item.trial_id));
  }

  function running(item, { now }) {
    const share = item.steps ? item.steps_done / item.steps : 0;
    return h("li", { key: item.trial_id },
      h("span.text", { dir: "auto" }, trialName(item)),
      h("span.track", { role: "progressbar", "aria-label": `Progress of ${trialName(item)}`, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(100 * share) }, h("span.fill", { style: { width: `${100 * share}%` } })),
      h("small", `${format.count(item.steps_done)} of ${format.count(item.steps)} steps${item.started_at ? `, for ${format.duration(Math.max(0, now - item.started_at))}` : ""}${item.attempts > 1 ? `, attempt ${item.attempts}` : ""}`), log(item.trial_id));
  }

  function runners(list, now) {
    return svg.table("Processes", "", ["Host", "Process", "Job", "State", "Workers", "Trials", "Running", "Last seen"],
      list.map((item) => h("tr", { key: item.runner_id }, h("th", { scope: "row" }, item.host), h("td", String(item.pid)), h("td", item.job || ""),
        h("td", h("span", { class: `status ${{ training: "running", silent: "stopped", died: "failed" }[item.state] || "queued"}` }, item.state)),
        [item.workers, item.trials, item.running].map((x) => h("td", format.count(x))), h("td", format.ago(item.seen_at, now)))));
  }

  // --- the tree ------------------------------------------------------------------------------------------------------

  const seeds = (stages) => Array.from(new Set(stages.map((stage) => stage.seed)));

  /** The seed whose stages are drawn: the filter's, or the first one that trains. */
  const seedOf = (stages, state) => {
    const wanted = state.filter.seed?.[0];
    if (wanted !== undefined && stages.some((stage) => String(stage.seed) === wanted)) return wanted;
    return String((stages.find((stage) => stage.state === "training") || stages[0])?.seed);
  };

  function seedChoice(stages, state) {
    if (seeds(stages).length < 2) return null;
    return h("label", h("span.label", "Seed"), h("select", { value: seedOf(stages, state), onchange: (event) => model.setFilter({ seed: [event.target.value] }) },
      seeds(stages).map((seed) => h("option", { value: seed, key: seed }, String(seed)))));
  }

  /** Stages in the order of the tree: [stage, depth, row of its parent]. */
  function ordered(stages) {
    const ids = new Set(stages.map((stage) => stage.id));
    const below = new Map();
    for (const stage of stages) {
      const parent = ids.has(stage.parent) ? stage.parent : null;
      below.set(parent, [...below.get(parent) || [], stage]);
    }
    const out = [];
    const stack = (below.get(null) || []).map((stage) => [stage, -1]).reverse();
    while (stack.length) {
      const [stage, parentRow] = stack.pop();
      const row = out.push([stage, parentRow]) - 1;
      for (const child of (below.get(stage.id) || []).slice().reverse()) stack.push([child, row]);
    }
    return out;
  }

  function tree(data, state, width) {
    const { stages } = data;
    const seed = seedOf(stages, state);
    const rows = ordered(stages.filter((stage) => String(stage.seed) === seed));
    if (!rows.length) return h("p.empty", "No stage yet.");
    const shown = rows.slice(0, MOST);
    const box = { left: 8, right: width - 8, top: 4, bottom: 4 + shown.length * ROW };
    const last = Math.max(...shown.map(([stage]) => stage.end));
    const x = scale.linear(0, last, box.left, box.right);
    return [
      svg.chart("Stages over steps. Arrow keys move between stages.", width, box.bottom + 40,
        svg.xAxis(scale.ticks(0, last, width > 600 ? 8 : 4), x, box, format.count, "updates (steps)"),
        shown.map(([stage, parent], row) => bar(data, stage, parent, row, x, box.top))),
      rows.length > MOST && h("p.note", `The first ${MOST} of ${format.count(rows.length)} stages.`),
      svg.behind(`Stages of seed ${seed}`, ["schedules", "from step", "to step", "trials", "state", "trained by"],
        shown.map(([stage]) => [names(stage), format.count(stage.first), format.count(stage.end), format.count(stage.trials), stage.state, stage.runner === null ? "" : processName(data, stage.runner)])),
    ];
  }

  const names = (stage) => stage.schedules.map((name) => format.short(name, 30)).join(", ") + (stage.trials > stage.schedules.length ? ` (${format.plural(stage.trials, "trial")})` : "");

  function bar(data, stage, parent, row, x, top) {
    const y = top + row * ROW + 2, height = ROW - 4;
    const from = x(stage.first), to = Math.max(from + 2, x(stage.end));
    const trained = stage.state === "done" ? to : x(Math.min(stage.end, stage.first + stage.trained));
    const tip = `${names(stage)}\nsteps ${format.count(stage.first)} to ${format.count(stage.end)}, for ${format.plural(stage.trials, "trial")}\n${WORDS[stage.state] || stage.state}${stage.runner === null ? "" : `, ${processName(data, stage.runner)}`}`;
    const chosen = stage.schedules.some((name) => model.state.schedules.includes(name));
    const shapes = h("g", { class: `stage ${stage.state}${chosen ? " on" : ""}`, ...svg.point(tip, row === 0, { onclick: () => stage.schedules.forEach((name) => model.state.schedules.includes(name) || model.toggle("schedules", name)) }) },
      parent >= 0 && h("path.branch", { d: `M${from} ${top + parent * ROW + ROW / 2}V${y + height / 2}` }),
      h("rect", { x: from, y, width: to - from, height, rx: 3 }),
      trained > from && h("rect.trained", { x: from, y, width: trained - from, height, rx: 3 }));
    return h("g", { key: stage.id }, shapes, to - from > 60 && svg.label({ class: "inside", x: from + 5, y: y + 11 }, names(stage), to - from - 10));
  }

  // --- the time line -------------------------------------------------------------------------------------------------

  /** Puts spans of each process into as few rows as possible. */
  function pack(spans) {
    const rows = [];
    for (const span of spans.slice().sort((a, b) => (String(a.runner) === String(b.runner) ? a.started_at - b.started_at : String(a.runner) < String(b.runner) ? -1 : 1))) {
      let row = rows.find((own) => own.runner === span.runner && own.end <= span.started_at);
      if (!row) rows.push(row = { runner: span.runner, end: 0, spans: [] });
      row.spans.push(span);
      row.end = span.end;
    }
    return rows.slice(0, 80);
  }

  function timeline(data, { now }, width) {
    const spans = data.timeline.filter((item) => item.started_at).map((item) => ({ ...item, end: item.finished_at ?? now }));
    if (!spans.length) return h("p.empty", "No trial has started yet.");
    const rows = pack(spans);
    const from = Math.min(...spans.map((item) => item.started_at)), to = Math.max(from + 1000, ...spans.map((item) => item.end));
    const box = { left: 92, right: width - 8, top: 4, bottom: 4 + rows.length * 16 };
    const x = scale.linear(from, to, box.left, box.right);
    return [
      svg.chart("Trials over time. Arrow keys move between trials.", width, box.bottom + 40,
        svg.xAxis(scale.ticks(0, to - from, width > 600 ? 7 : 3), (t) => x(from + t), box, format.duration, `time since ${format.clock(from, now)}`),
        rows.map((row, i) => h("g",
          row.runner !== rows[i - 1]?.runner && h("text", { x: 0, y: box.top + i * 16 + 12, class: "tick" }, processName(data, row.runner)),
          row.spans.map((item, k) => h("rect", {
            key: item.trial_id, class: `span ${item.status}`, x: x(item.started_at), y: box.top + i * 16 + 2, width: Math.max(1.5, x(item.end) - x(item.started_at) - 1), height: 12, rx: 2,
            ...svg.point(`${trialName(item)}\n${item.status}, ${format.duration(item.end - item.started_at)}${item.host ? `, ${item.host}` : ""}`, i + k === 0, { onclick: () => model.toggle("trials", item.trial_id) }),
          }))))),
      data.trials_shown < data.trials_all && h("p.note", `${format.count(data.trials_shown)} of ${format.count(data.trials_all)} trials are drawn.`),
    ];
  }

  return { render };
})();
