/** All sweeps of the store, and two of them side by side. */
const sweepsView = (() => {
  function render(overview, state) {
    const data = model.get("sweeps");
    if (!data) return frame.waiting("sweeps");
    const { sweeps } = data;
    const other = state.compare ? model.get("other") : null;
    return [
      h("div.heading", h("h1", "Sweeps"), h("p.count", `${format.plural(sweeps.length, "sweep")} in ${data.store}`)),
      sweeps.length ? list(sweeps, state) : h("p.empty", "This store has no sweep yet. Start one with sweep run FILE."),
      sweeps.length > 1 && overview && h("section",
        h("div.heading", h("h2", "Compare two sweeps"),
          h("label", h("span.label", `${format.short(state.sweep, 40)} with`), h("select", { value: state.compare, onchange: (event) => model.set({ compare: event.target.value }) },
            h("option", { value: "" }, "choose a sweep"), sweeps.filter((item) => item.sweep !== state.sweep).map((item) => h("option", { key: item.sweep, value: item.sweep }, item.sweep))))),
        state.compare && (other ? comparison(overview, other) : frame.waiting("other"))),
    ];
  }

  function list(sweeps, state) {
    return svg.table("Sweeps", "sweeps", ["Sweep", "State", "#Trials ended", "#Running", "#Queued", "#Diverged", "#Failed", "Updated", "Verdict"],
      sweeps.map((item) => h("tr", { key: item.sweep, class: item.sweep === state.sweep ? "on" : null },
        h("th", { scope: "row" }, h("a", { href: "#" + link.write({ ...link.empty(), sweep: item.sweep }), dir: "auto", "data-tip": item.sweep.length > 40 ? item.sweep : null }, format.short(item.sweep, 40))),
        h("td", h("span", { class: `chip ${item.state}` }, item.state)),
        h("td.number", `${format.count(item.done + item.diverged)} of ${format.count(item.trials)}`),
        [item.running, item.queued, item.diverged, item.failed].map((x) => h("td.number", x ? format.count(x) : "")),
        h("td", format.ago(item.updated_at, Date.now())), h("td.long", item.verdict || ""))));
  }

  function comparison(a, b) {
    const by = (overview) => new Map(overview.ranking.map((line) => [line.schedule, line]));
    const left = by(a), right = by(b);
    const names = Array.from(new Set([...left.keys(), ...right.keys()]));
    const number = format.column([...a.ranking, ...b.ranking].map((line) => line.mean));
    const facts = a.about.map(([name, text]) => [name, text, b.about.find(([other]) => other === name)?.[1] || ""]);
    const cells = (line) => [h("td.number", line ? number(line.mean) : ""), h("td.number", line ? format.number(line.base_lr) : "")];
    const heading = (overview) => `#${format.short(overview.sweep, 30)}: mean ${overview.metric.title}${overview.verdict.complete ? "" : " (no verdict yet)"}`;
    return [
      h("p.card.open", "This is not a test: the sweeps may differ in data, model, steps and seeds, and no p-value is computed between them. Compare schedules inside of one sweep for a verdict."),
      svg.table("Two sweeps by schedule", "", ["Schedule", heading(a), "#Base lr", heading(b), "#Base lr", "#Difference"],
        names.map((name) => {
          const l = left.get(name), r = right.get(name);
          const both = l && r && l.mean !== null && r.mean !== null;
          return h("tr", { key: name }, h("th", { scope: "row" }, format.short(name, 40)), cells(l), cells(r), h("td.number", both ? format.signed(r.mean - l.mean) : format.NONE));
        })),
      svg.behind("What the two sweeps train", ["", a.sweep, b.sweep], facts),
    ];
  }

  return { render };
})();
