/** Loads the parts of the page that have no DOM, as the page does: one after another in one scope. */
import { readFileSync } from "node:fs";

const PURE = ["format", "scale", "filter", "command", "link", "merge"];

const text = PURE.map((name) => readFileSync(new URL(`../js/${name}.js`, import.meta.url), "utf8")).join("\n");

/** {format, scale, filter, command, link, merge} */
export const page = new Function(`"use strict";\n${text}\nreturn { ${PURE.join(", ")} };`)();

/** Trials as the server sends them. */
export function trials(rows) {
  const names = ["trial_id", "config_id", "schedule", "base_lr", "seed", "status", "purpose", "steps", "steps_done", "final_valid_loss", "host", "error"];
  const columns = Object.fromEntries(names.map((name) => [name, rows.map((row) => row[name] ?? null)]));
  const axes = ["optimizer.momentum"];
  return {
    version: 1, schedules: ["cosine", "it's \"odd\"", "linear"], hosts: ["gpu-01", "gpu-02"], statuses: ["queued", "running", "done", "diverged", "failed", "stopped"], axes,
    columns, axis_columns: { "optimizer.momentum": rows.map((row) => row.momentum ?? null) },
  };
}
