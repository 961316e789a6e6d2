/**
 * The winner: its trial, its schedule as YAML and as PyTorch code, its time. Only after the verdict is complete.
 */

/** Text in a box with a button that copies it. */
function copyable(text, what) {
  return h("div.copyable",
    h("pre", { tabindex: 0, role: "region", "aria-label": what }, h("code", text)),
    h("button.copy", { "aria-label": `Copy the ${what}`, onclick: () => frame.copy(text, what) }, "Copy"));
}

const winnerView = (() => {
  function render(overview) {
    const line = overview.ranking[0];
    if (!line || line.mean === null) return null;
    const tied = overview.ranking.filter((other) => other.tie_group === 1).length - 1;
    return h("section.winner", { "aria-labelledby": "winner-title" },
      h("h2", { id: "winner-title" }, tied > 0 ? "Best mean" : "Winner", ": ", h("span", { dir: "auto" }, line.schedule)),
      tied > 0 && h("p.note", `${format.plural(tied, "other schedule")} ${tied === 1 ? "is" : "are"} not significantly different from it: see tie group 1.`),
      h("dl.facts",
        fact("base lr", format.number(line.base_lr)),
        fact(`mean ${overview.metric.title}`, `${format.number(line.mean)} over ${format.plural(line.n, "run")}`),
        fact("wall time of a run", format.duration(line.wall_ms)),
        fact("steps", format.count(line.steps)),
        line.trial_id && fact("best trial", h("code.id", line.trial_id),
          h("button.copy.inline", { "aria-label": "Copy the trial id", onclick: () => frame.copy(line.trial_id, "trial id") }, "Copy"))),
      h("div.pair",
        h("div", h("h3", "Its schedule for a sweep file (YAML)"), copyable(line.yaml, "YAML")),
        h("div", h("h3", "Its schedule in PyTorch"),
          line.pytorch ? copyable(line.pytorch, "PyTorch code") : h("p.note", `No PyTorch code: ${line.pytorch_reason || "not available"}.`))));
  }

  const fact = (name, ...value) => h("div", h("dt", name), h("dd", ...value));

  return { render };
})();
