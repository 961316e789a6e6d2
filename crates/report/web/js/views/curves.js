/**
 * Loss over steps with the learning rate below it: mean and band of each schedule, single runs on demand, small multiples.
 */
const curvesView = (() => {
  const GROUP = "steps";
  const MOST_RUNS = 40;
  /** The curves that are losses; the others are metrics by their names. */
  const LOSSES = ["valid", "train"];
  /** Where the cursor is, in steps; null without a cursor. */
  let cursor = null;

  /** Calls `make` only if one of the inputs changed. */
  function memo(make) {
    let last = null, value = null;
    return (...inputs) => {
      if (!last || inputs.some((x, i) => x !== last[i])) value = make(...inputs);
      last = inputs;
      return value;
    };
  }

  function render(overview, selection, width) {
    const state = { ...selection, curve: selection.curve || overview.curve_metric };
    const isLoss = LOSSES.includes(state.curve), data = isLoss ? state.curve : "other_curve";
    const curves = model.get(data);
    return [
      h("div.heading", h("h1", `${isLoss ? "Loss" : format.capital(format.words(state.curve))} and learning rate over the run`)),
      toolbar(state, overview),
      !curves ? frame.waiting(data) : !curves.schedules.length ? h("p.empty",
        state.curve !== "train" ? "No run has been evaluated yet. The training loss may be there already." : "No run has trained a step yet.")
        : model.has("multiples") ? multiples(curves, overview, state, width) : charts(curves, overview, state, width),
    ];
  }

  function toolbar(state, overview) {
    const one = (key, value, text) => h("button", {
      "aria-pressed": state[key] === value, onclick: () => model.set({ [key]: value }),
    }, text);
    const group = (label, ...buttons) => h("div.choice", { role: "group", "aria-label": label }, h("span.label", label), ...buttons);
    return h("div.toolbar",
      group("Loss", one("curve", "valid", "Validation"), one("curve", "train", "Training")),
      overview.curves.length > 0 && group("Metric", ...overview.curves.map((name) => one("curve", name, format.words(name)))),
      group("Scale", one("scale", "auto", "Auto"), one("scale", "log", "Log"), one("scale", "linear", "Linear"), one("scale", "symlog", "Symlog")),
      group("Steps", one("zoom", "", "Whole run"), one("zoom", "fifth", "Last fifth"),
        state.zoom && state.zoom !== "fifth" && h("button", { "aria-pressed": true, onclick: () => model.set({ zoom: "" }) }, "Zoomed: reset")),
      frame.budgetChoice(overview, state),
      h("div.choice",
        frame.flag("nobands", "Hide bands", "The band is one standard deviation over the seeds on each side of the mean."),
        frame.flag("runs", "Single runs", "Also draws every judged run of the selected schedules."),
        frame.flag("full", "Full range", "Also shows values far above the start, of diverging runs."),
        frame.flag("multiples", "One chart each", "A small chart for each schedule.")));
  }

  // --- lines ---------------------------------------------------------------------------------------------------------

  /** Ids of the runs that are drawn one by one. */
  function runIds(overview, state) {
    const ids = new Set(state.trials);
    if (model.has("runs")) {
      const names = state.schedules.length ? state.schedules : overview.ranking.slice(0, 1).map((line) => line.schedule);
      for (const line of overview.ranking) {
        if (names.includes(line.schedule)) for (const seed of line.seeds) if (seed.trial_id && seed.state !== "missing") ids.add(seed.trial_id);
      }
    }
    return Array.from(ids).slice(0, MOST_RUNS);
  }

  /** Single runs as {name, schedule, x, y}. */
  function runLines(overview, state) {
    if (model.isOffline || !LOSSES.includes(state.curve)) return [];
    const valid = state.curve === "valid";
    return runIds(overview, state).map((id) => model.detail("run", id).value).filter(Boolean).map((run) => ({
      name: `${run.trial.schedule}, lr ${format.number(run.trial.base_lr)}, seed ${run.trial.seed}`, schedule: run.trial.schedule, run,
      x: valid ? run.valid_x : run.x, y: valid ? run.valid : run.train,
    }));
  }

  /** Everything that the chart of the loss draws, on one x axis. Faint lines first, the best schedule last. */
  const lossLines = memo((curves, names, runText, runs, bands) => {
    const order = names.split("\n");
    const all = [...curves.schedules.map((curve) => curve.x), ...runs.map((run) => run.x)];
    const x = scale.union(all);
    const between = x.length >= 4000;
    const rank = (curve) => order.indexOf(curve.schedule);
    const sorted = curves.schedules.slice().sort((a, b) => (rank(a) < 0 ? 1e9 : rank(a)) < (rank(b) < 0 ? 1e9 : rank(b)) ? 1 : -1);
    const lines = sorted.map((curve) => {
      const wide = rank(curve) >= 0;
      const on = (y) => scale.onto(x, curve.x, y, between);
      const line = { name: curve.schedule, curve, y: on(curve.mean), colour: look.colour(curve.schedule), dash: look.dash(curve.schedule), width: wide ? 2 : sorted.length > 40 ? 0.5 : 1 };
      return wide && bands && curve.runs[0] > 1 ? { ...line, low: on(curve.low), high: on(curve.high) } : line;
    });
    for (const run of runs) {
      lines.push({ name: run.name, y: scale.onto(x, run.x, run.y, between), colour: look.colour(run.schedule), dash: [2, 2], width: 1, isRun: true });
    }
    return { x, lines };
  });

  const lrLines = memo((curves, names) => {
    const order = names.split("\n");
    const x = scale.union(curves.schedules.map((curve) => curve.lr_x));
    const between = x.length >= 4000;
    const lines = curves.schedules.slice().reverse().flatMap((curve) => [curve.lr, ...otherLrs(curve)].map((lr, i) => ({
      name: curve.schedule, y: scale.onto(x, curve.lr_x, lr, between), colour: look.colour(curve.schedule), dash: i ? [1, 2 + 2 * i] : look.dash(curve.schedule),
      width: order.includes(curve.schedule) ? 1.5 : 0.75,
    }))).sort((a, b) => a.width - b.width);
    return { x, lines };
  });

  /** The lrs of the parameter groups after the first one. */
  const otherGroups = (curve) => (curve.groups || []).slice(1);
  const otherLrs = (curve) => otherGroups(curve).map(({ lr }) => lr || curve.lr.map(() => null));

  /** The range of y for a range of x: of wide lines if there are any. */
  function rangeOf(data, kind, full) {
    const wide = data.lines.filter((line) => line.width >= 2 || line.isRun);
    const lines = wide.length ? wide : data.lines;
    return (from, to) => {
      const inside = (list) => list.filter((_, i) => data.x[i] >= from && data.x[i] <= to);
      const range = scale.robustRange(lines.map((line) => inside(line.y)));
      if (!range) return kind === "log" ? [0.1, 1] : [0, 1];
      let high = range.high;
      if (full) for (const line of lines) for (const y of inside(line.y)) if (y !== null && y > high) high = y;
      if (kind === "symlog" && range.low > 0) return [range.low / 1.1, high * 1.1];
      if (kind !== "log") return scale.padded(range.low, high);
      const low = Number.isFinite(range.least) ? range.least : 0.1;
      const margin = Math.max((high / low) ** 0.05, 1.005);
      return [low / margin, Math.max(high, low) * margin];
    };
  }

  /** "auto" is a log scale if all losses are positive and span a factor of 3. */
  function kindOf(wanted, lines) {
    if (wanted !== "auto") return wanted;
    const range = scale.robustRange(lines.map((line) => line.y));
    return range && range.low > 0 && range.high > 3 * range.low ? "log" : "linear";
  }

  // --- charts --------------------------------------------------------------------------------------------------------

  function charts(curves, overview, state, width) {
    const names = look.coloured(overview, state);
    const runs = runLines(overview, state);
    const theme = look.css("--ink");
    const key = names.map((name) => `${name}`).join("\n");
    const data = lossLines(curves, key, runs.map((run) => run.name + run.x.length).join() + theme, runs.length ? runs : NO_RUNS, !model.has("nobands"));
    const kind = kindOf(state.scale, data.lines);
    const last = curves.last_step || data.x[data.x.length - 1] || 1;
    const xRange = link.zoom(state.zoom, last) || [0, last];
    const narrow = width < 620;
    const side = width >= 900 ? 248 : 0;
    const spec = {
      width: Math.max(240, width - side), height: narrow ? 280 : 400, ...data, xRange, scale: kind, group: GROUP, xTitle: "", labels: !narrow && names.length <= 14,
      yRange: rangeOf(data, kind, model.has("full")), yTitle: "", linearPart: linearPart(data.lines),
      onCursor: (index) => showCursor(curves, index === null ? null : data.x[index]), onZoom: zoomTo,
    };
    const strip = stripSpec(lrLines(curves, key + theme), spec, xRange);
    return [
      h("div.curves",
        h("div.plots",
          h("p.axis-title", `${lossTitle(curves, overview)}${kind === "linear" ? "" : `, ${kind} scale`}`),
          h("div", slider(curves, data.x, xRange, last),
            plotNode("loss", spec),
            h("p.axis-title", "learning rate"),
            plotNode("lr", strip)),
          h("p.note", notes(curves, overview, state, data, xRange))),
        readout(curves, names, overview)),
      behind(curves, overview),
    ];
  }

  const NO_RUNS = [];

  const plotNode = (key, spec) => h("div.plot", { key, opaque: true, update: (element) => plot.show(element, spec) });

  function stripSpec(data, spec, xRange) {
    const top = Math.max(...data.lines.flatMap((line) => line.width > 1 || data.lines.length < 3 ? scale.finite(line.y) : []), 0) || 1;
    return {
      ...spec, ...data, height: 150, xRange, scale: "linear", xTitle: "updates (steps)", labels: false, padding: spec.labels, yRange: () => [0, top * 1.06],
      labelSpace: spec.labels, onCursor: () => {},
    };
  }

  const linearPart = (lines) => {
    const size = scale.median(lines.flatMap((line) => line.y.filter((y, i) => i % 8 === 0 && y !== null).map(Math.abs)));
    return size > 0 ? size / 10 : 1;
  };

  function lossTitle(curves, overview) {
    const what = { train: "training loss", valid: "validation loss" }[curves.metric] || format.words(curves.metric);
    const most = Math.max(...curves.schedules.map((curve) => curve.runs[1]));
    return `${what} (mean over ${format.plural(most, "seed")}, band: one standard deviation)`;
  }

  function zoomTo(range) {
    if (!range) return model.set({ zoom: "" });
    model.set({ zoom: `${Math.max(0, Math.round(range[0]))}-${Math.round(range[1])}` });
  }

  /** Sentences below the chart: what it leaves out. */
  function notes(curves, overview, state, data, xRange) {
    const out = [];
    const faint = curves.schedules.filter((curve) => look.slot(curve.schedule) < 0).length;
    if (faint) out.push(`${format.plural(faint, "schedule")} in grey: select them in the list, or colour more.`);
    const diverged = curves.schedules.filter((curve) => curve.diverged);
    if (diverged.length) {
      out.push(`Runs that diverged are left out of means after they diverged: ${diverged.slice(0, 4).map((curve) => `${format.short(curve.schedule, 24)} ${curve.diverged} of ${curve.runs[1]}`).join(", ")}${diverged.length > 4 ? " and others" : ""}.`);
    }
    for (const curve of curves.schedules.filter((curve) => curve.groups)) {
      const [first, ...others] = curve.groups.map((group) => group.group + (group.lr ? "" : " (not stored)"));
      out.push(`${curve.schedule}: lr of the parameter group ${first}, dotted: ${others.join(", ")}.`);
    }
    const inside = (line) => line.y.filter((_, i) => data.x[i] >= xRange[0] && data.x[i] <= xRange[1]);
    const cut = scale.robustRange(data.lines.map(inside))?.cut;
    if (cut && !model.has("full")) out.push(`${format.plural(cut, "curve leaves", "curves leave")} the chart at the top; Full range shows all.`);
    if (!LOSSES.includes(state.curve) && model.has("runs")) out.push("Single runs are drawn for losses only.");
    else if (model.isOffline && model.has("runs")) out.push("Single runs are not part of a report: open the sweep with sweep dashboard.");
    if (runIds(overview, state).length >= MOST_RUNS) out.push(`At most ${MOST_RUNS} single runs are drawn.`);
    out.push("Drag to zoom, double-click to reset; arrow keys move the cursor.");
    return out.join(" ");
  }

  // --- the cursor ----------------------------------------------------------------------------------------------------

  /** The charts as one control for keyboard and screen reader: its value is the step under the cursor. */
  function slider(curves, x, xRange, last) {
    return {
      class: "slider", role: "slider", tabindex: 0, "aria-label": "Step under the cursor of the charts", "aria-valuemin": 0, "aria-valuemax": last,
      "aria-valuenow": cursor ?? 0, "aria-valuetext": cursor === null ? "no step" : valueText(curves, cursor),
      onkeydown: (event) => onKey(event, curves, x, xRange),
    };
  }

  const valueText = (curves, step) => `step ${format.count(step)}: ` + curves.schedules.filter((curve) => look.slot(curve.schedule) >= 0)
    .map((curve) => `${curve.schedule} ${format.number(scale.valueAt(curve.x, curve.mean, step))}`).join(", ");

  function onKey(event, curves, x, xRange) {
    const size = event.shiftKey ? 10 : 1;
    const steps = { ArrowRight: size, ArrowUp: size, ArrowLeft: -size, ArrowDown: -size, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity };
    if (event.key === "Escape") {
      model.set({ zoom: "" });
      return;
    }
    if (!(event.key in steps) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const first = x.findIndex((step) => step >= xRange[0]);
    let final = x.length - 1;
    while (final > first && x[final] > xRange[1]) final--;
    let at = cursor === null ? (steps[event.key] > 0 ? first - 1 : final + 1) : nearest(x, cursor);
    at = Math.max(first, Math.min(final, at + steps[event.key]));
    const element = event.currentTarget;
    plot.moveTo(element.querySelector(".plot"), at);
    element.setAttribute("aria-valuenow", x[at]);
    element.setAttribute("aria-valuetext", valueText(curves, x[at]));
  }

  function nearest(x, step) {
    let best = 0;
    for (let i = 1; i < x.length; i++) if (Math.abs(x[i] - step) < Math.abs(x[best] - step)) best = i;
    return best;
  }

  /** Writes the values under the cursor. Runs on every mouse move: it changes text only, nothing is drawn again. */
  function showCursor(curves, step) {
    cursor = step;
    const panel = document.querySelector(".readout");
    if (!panel) return;
    panel.querySelector(".step").textContent = step === null ? "At the last point" : `At step ${format.count(step)}`;
    const number = panel.number;
    for (const cell of panel.querySelectorAll("[data-value]")) {
      const curve = panel.curves.get(cell.dataset.value);
      if (!curve) continue;
      const loss = step === null ? lastOf(curve.mean) : scale.valueAt(curve.x, curve.mean, step);
      const at = (lr) => format.number(step === null ? lastOf(lr) : scale.valueAt(curve.lr_x, lr, step), 3);
      cell.firstChild.textContent = number(loss);
      cell.lastChild.textContent = `lr ${[curve.lr, ...otherLrs(curve)].map(at).join(", ")}`;
    }
  }

  const lastOf = (list) => {
    for (let i = list.length - 1; i >= 0; i--) if (format.isNumber(list[i])) return list[i];
    return null;
  };

  /** The legend with the values at the cursor. */
  function readout(curves, names, overview) {
    const by = new Map(curves.schedules.map((curve) => [curve.schedule, curve]));
    const shown = names.filter((name) => by.has(name));
    const number = format.column(shown.map((name) => lastOf(by.get(name).mean)));
    return h("div.readout", { update: (element) => { Object.assign(element, { curves: by, number }); showCursor(curves, cursor); } },
      h("p.step", { opaque: true, mount: (element) => element.append("At the last point") }),
      h("ul", shown.map((name) => h("li", { key: name },
        look.swatch(name), h("span.text", { dir: "auto", "data-tip": name.length > 20 ? name : null }, name),
        h("span.value", { "data-value": name, opaque: true, mount: (element) => element.append(document.createElement("b"), document.createElement("small")) })))),
      !shown.length && h("p.note", "No schedule is coloured. Select some in the list."),
      overview.verdict.complete ? null : h("p.note", "Still changing: means of the runs so far."));
  }

  function behind(curves, overview) {
    const number = (x) => format.number(x);
    const order = overview.ranking.map((line) => line.schedule);
    const rows = curves.schedules.slice().sort((a, b) => order.indexOf(a.schedule) - order.indexOf(b.schedule));
    return svg.behind(lossTitle(curves, overview), ["schedule", "base lr", "runs drawn", "first point", "middle", "last point", "highest lr", "last lr"],
      rows.flatMap((curve) => [[curve.schedule, number(curve.base_lr), `${curve.runs[0]} of ${curve.runs[1]}`, number(curve.mean.find(format.isNumber)),
        number(curve.mean[curve.mean.length >> 1]), number(lastOf(curve.mean)), number(scale.finite(curve.lr).reduce((a, b) => Math.max(a, b), 0)), number(lastOf(curve.lr))],
        ...otherGroups(curve).map(({ group, lr }) => [`${curve.schedule}: ${group}`, ...Array(5).fill(""), lr ? number(Math.max(...scale.finite(lr))) : "not stored", lr ? number(lastOf(lr)) : ""])]));
  }

  // --- small multiples -----------------------------------------------------------------------------------------------

  /** One small chart for each schedule, all on the same axes; the best schedule is faint in each of them. */
  function multiples(curves, overview, state, width) {
    look.coloured(overview, state);
    const order = overview.ranking.map((line) => line.schedule);
    const sorted = curves.schedules.slice().sort((a, b) => order.indexOf(a.schedule) - order.indexOf(b.schedule));
    const last = curves.last_step || 1;
    const [from, to] = link.zoom(state.zoom, last) || [0, last];
    const inside = (curve) => curve.mean.filter((_, i) => curve.x[i] >= from && curve.x[i] <= to);
    const range = scale.robustRange(sorted.map(inside));
    if (!range) return h("p.empty", "No curve has a value in this range.");
    const across = Math.max(1, Math.floor(width / 230));
    const box = { width: Math.floor(width / across) - 14, height: 120, left: 44, top: 8, bottom: 100 };
    const isLog = kindOf(state.scale, sorted.map((curve) => ({ y: curve.mean }))) === "log" && range.low > 0;
    const [low, high] = isLog ? [range.low / 1.05, range.high * 1.05] : scale.padded(range.low, range.high);
    const y = isLog ? scale.log(low, high, box.bottom, box.top) : scale.linear(low, high, box.bottom, box.top);
    const x = scale.linear(from, to, box.left, box.width - 4);
    const path = (curve) => pathOf(curve, x, y, from, to, low, high);
    const first = path(sorted[0]);
    return h("ul.multiples", sorted.map((curve) => h("li", { key: curve.schedule },
      look.pick(curve.schedule),
      h("svg.chart", { width: box.width, height: box.height, role: "img", "aria-label": `${curve.schedule}: ends at ${format.number(lastOf(curve.mean))}` },
        svg.yAxis(isLog ? scale.logTicks(low, high, 4) : scale.ticks(low, high, 3), y, { ...box, right: box.width - 4 }, (v) => format.number(v, 2)),
        h("text.tick", { x: box.left, y: box.height - 4 }, format.count(from)),
        h("text.tick", { x: box.width - 4, y: box.height - 4, "text-anchor": "end" }, `${format.count(to)} steps`),
        h("path.curve.k-none", { d: first }),
        h("path", { class: `curve ${look.slot(curve.schedule) < 0 ? "k-plain" : look.colourClass(curve.schedule)}`, d: path(curve) })))));
  }

  function pathOf(curve, x, y, from, to, low, high) {
    let out = "", pen = "M";
    const every = Math.max(1, Math.floor(curve.x.length / 150));
    for (let i = 0; i < curve.x.length; i++) {
      const value = curve.mean[i];
      if (curve.x[i] < from || curve.x[i] > to || (i % every && i !== curve.x.length - 1)) continue;
      if (!format.isNumber(value)) { pen = "M"; continue; }
      out += `${pen}${x(curve.x[i]).toFixed(1)} ${y(Math.max(low, Math.min(high, value))).toFixed(1)}`;
      pen = "L";
    }
    return out;
  }

  return { render, memo };
})();
