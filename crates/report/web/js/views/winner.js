/**
 * The winner: its trial, its schedule as YAML and as PyTorch code, its time. Only after the verdict is complete.
 */

/** Text in a box with a button that copies it. */
function copyable(text, what) {
  return h("div", { class: "copyable" },
    h("pre", { tabindex: 0, role: "region", "aria-label": what }, h("code", null, text)),
    h("button", { type: "button", class: "copy", "aria-label": `Copy the ${what}`, onclick: () => frame.copy(text, what) }, "Copy"));
}

const winnerView = (() => {
  function render(overview) {
    const line = overview.ranking[0];
    if (!line || line.mean === null) return null;
    const tied = overview.ranking.filter((other) => other.tie_group === 1).length - 1;
    return h("section", { class: "winner", "aria-labelledby": "winner-title" },
      h("h2", { id: "winner-title" }, tied > 0 ? "Best mean" : "Winner", ": ", h("span", { dir: "auto" }, line.schedule)),
      tied > 0 && h("p", { class: "note" }, `${format.plural(tied, "schedule")} in tie group 1 ${tied === 1 ? "is" : "are"} as good a choice: the difference is not significant.`),
      h("dl", { class: "facts" },
        fact("base lr", format.number(line.base_lr)),
        fact(`mean ${overview.metric.title}`, `${format.number(line.mean)} over ${format.plural(line.n, "run")}`),
        fact("wall time of a run", format.duration(line.wall_ms)),
        fact("steps", format.count(line.steps)),
        line.trial_id && fact("best trial", h("code", { class: "id" }, line.trial_id),
          h("button", { type: "button", class: "copy inline", "aria-label": "Copy the trial id", onclick: () => frame.copy(line.trial_id, "trial id") }, "Copy"))),
      h("div", { class: "pair" },
        h("div", null, h("h3", null, "Its schedule for a sweep file (YAML)"), copyable(line.yaml, "YAML")),
        h("div", null, h("h3", null, "Its schedule in PyTorch"),
          line.pytorch ? copyable(line.pytorch, "PyTorch code") : h("p", { class: "note" }, `No PyTorch code: ${line.pytorch_reason || "not available"}.`))));
  }

  const fact = (name, ...value) => h("div", null, h("dt", null, name), h("dd", null, ...value));

  return { render };
})();
