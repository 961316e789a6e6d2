/** All sweeps of the store, and two of them side by side. */
const sweepsView = (() => {
  function render(overview, state) {
    const data = model.get("sweeps");
    if (!data) return frame.waiting("sweeps");
    const { sweeps } = data;
    const other = state.compare ? model.get("other") : null;
    return [
      h("div", { class: "heading" }, h("h1", null, "Sweeps"), h("p", { class: "count" }, `${format.plural(sweeps.length, "sweep")} in ${data.store}`)),
      sweeps.length ? list(sweeps, state) : h("p", { class: "empty" }, "This store has no sweep yet. Start one with sweep run FILE."),
      sweeps.length > 1 && overview && h("section", null,
        h("div", { class: "heading" }, h("h2", null, "Compare two sweeps"),
          h("label", null, h("span", { class: "label" }, `${plot.short(state.sweep, 40)} with`), h("select", { value: state.compare, onchange: (event) => model.set({ compare: event.target.value }) },
            h("option", { value: "" }, "choose a sweep"), sweeps.filter((item) => item.sweep !== state.sweep).map((item) => h("option", { key: item.sweep, value: item.sweep }, item.sweep))))),
        state.compare && (other ? comparison(overview, other) : frame.waiting("other"))),
    ];
  }

  function list(sweeps, state) {
    return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Sweeps" }, h("table", { class: "sweeps" },
      h("thead", null, h("tr", null, ["Sweep", "State", "Trials ended", "Running", "Queued", "Diverged", "Failed", "Updated", "Verdict"].map((name, i) => h("th", { scope: "col", class: i > 1 && i < 7 ? "number" : null }, name)))),
      h("tbody", null, sweeps.map((item) => h("tr", { key: item.sweep, class: item.sweep === state.sweep ? "on" : null },
        h("th", { scope: "row" }, h("a", { href: "#" + link.write({ ...link.empty(), sweep: item.sweep }), dir: "auto", "data-tip": item.sweep.length > 40 ? item.sweep : null }, plot.short(item.sweep, 40))),
        h("td", null, h("span", { class: `chip ${item.state}` }, item.state)),
        h("td", { class: "number" }, `${format.count(item.done + item.diverged)} of ${format.count(item.trials)}`),
        [item.running, item.queued, item.diverged, item.failed].map((x) => h("td", { class: "number" }, x ? format.count(x) : "")),
        h("td", null, format.ago(item.updated_at, Date.now())), h("td", { class: "long" }, item.verdict || ""))))));
  }

  function comparison(a, b) {
    const by = (overview) => new Map(overview.ranking.map((line) => [line.schedule, line]));
    const left = by(a), right = by(b);
    const names = Array.from(new Set([...left.keys(), ...right.keys()]));
    const number = format.column([...a.ranking, ...b.ranking].map((line) => line.mean));
    const facts = a.about.map(([name, text]) => [name, text, b.about.find(([other]) => other === name)?.[1] || ""]);
    const cells = (line) => [h("td", { class: "number" }, line ? number(line.mean) : ""), h("td", { class: "number" }, line ? format.number(line.base_lr) : "")];
    const heading = (overview) => h("th", { scope: "colgroup", colspan: 2 }, plot.short(overview.sweep, 30), overview.verdict.complete ? "" : " (no verdict yet)");
    return [
      h("p", { class: "card open" }, "This is no test: the sweeps may differ in data, model, steps and seeds, and no p-value is computed between them. Compare schedules inside of one sweep for a verdict."),
      h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Two sweeps by schedule" }, h("table", null,
        h("thead", null, h("tr", null, h("td"), heading(a), heading(b), h("td")), h("tr", null, ["Schedule", `Mean ${a.metric.title}`, "Base lr", `Mean ${b.metric.title}`, "Base lr", "Difference"].map((name, i) => h("th", { scope: "col", class: i ? "number" : null }, name)))),
        h("tbody", null, names.map((name) => {
          const l = left.get(name), r = right.get(name);
          const both = l && r && l.mean !== null && r.mean !== null;
          return h("tr", { key: name }, h("th", { scope: "row" }, plot.short(name, 40)), cells(l), cells(r), h("td", { class: "number" }, both ? format.signed(r.mean - l.mean) : format.NONE));
        })))),
      svg.behind("What the two sweeps train", ["", a.sweep, b.sweep], facts),
    ];
  }

  return { render };
})();
