import assert from "node:assert/strict";
import test from "node:test";
import { page, trials } from "./load.mjs";

const { filter, command, merge } = page;

const few = () => trials([
  { trial_id: "aa01", schedule: 0, base_lr: 0.1, seed: 0, status: 2, purpose: "tune", final_valid_loss: 0.3, host: 0, momentum: "0.9" },
  { trial_id: "bb02", schedule: 1, base_lr: 0.03, seed: 1, status: 3, purpose: "decide", host: null, momentum: "0" },
  { trial_id: "cc03", schedule: 2, base_lr: 0.1, seed: 10, status: 4, purpose: "decide", final_valid_loss: 0.1, host: 1, error: "Out of memory", momentum: "0.9" },
]);

test("filters by each kind", () => {
  const data = few();
  const keep = (wanted) => filter.rows(data, { axis: {}, ...wanted });
  assert.deepEqual(keep({}), [0, 1, 2]);
  assert.deepEqual(keep({ schedule: ["linear"] }), [2]);
  assert.deepEqual(keep({ status: ["done", "failed"] }), [0, 2]);
  assert.deepEqual(keep({ lr: ["0.1"], seed: ["10"] }), [2]);
  assert.deepEqual(keep({ host: ["gpu-01"] }), [0]);
  assert.deepEqual(keep({ purpose: ["decide"] }), [1, 2]);
  assert.deepEqual(keep({ axis: { "optimizer.momentum": ["0.9"] } }), [0, 2]);
  assert.deepEqual(keep({ axis: { "no.such.axis": ["1"] } }), []);
  assert.deepEqual(keep({ text: "MEMORY" }), [2]);
  assert.deepEqual(keep({ text: "bb" }), [1]);
  assert.equal(filter.conditions({ lr: ["0.1"], text: "x", axis: { a: ["1"], b: [] } }), 3);
});

test("sorts by a column, missing values last", () => {
  const data = few();
  assert.deepEqual(filter.sort(data, [0, 1, 2], "final_valid_loss", false), [2, 0, 1]);
  assert.deepEqual(filter.sort(data, [0, 1, 2], "final_valid_loss", true), [0, 2, 1]);
  assert.deepEqual(filter.sort(data, [0, 1, 2], "seed", true), [2, 1, 0]);
  assert.deepEqual(filter.choices(data, "seed"), [["0", 1], ["1", 1], ["10", 1]]);
});

test("20,000 trials are filtered and sorted within 100 ms", () => {
  const data = trials(Array.from({ length: 20000 }, (_, i) => ({
    trial_id: i.toString(16).padStart(32, "0"), schedule: i % 3, base_lr: 0.1, seed: i % 8, status: 2, final_valid_loss: Math.sin(i), host: i % 2, momentum: "0.9",
  })));
  const start = performance.now();
  const rows = filter.rows(data, { schedule: ["cosine", "linear"], text: "gpu", axis: { "optimizer.momentum": ["0.9"] } });
  filter.sort(data, rows, "final_valid_loss", true);
  assert.ok(performance.now() - start < 100);
  assert.equal(rows.length, 13333);
});

test("SQL quotes every name", () => {
  const text = command.sql("it's", { schedule: ["a'; drop table trials; --"], status: ["done", "failed"], lr: ["0.1"], seed: ["3"], axis: {} }, false);
  assert.equal(text, "select trial_id, schedule, base_lr, seed, status, final_valid_loss from runs where sweep = 'it''s' and " +
    "schedule = 'a''; drop table trials; --' and status in ('done', 'failed') and base_lr = 0.1 and seed = 3 order by position");
});

test("conditions on hosts and axes look into the trials", () => {
  const wanted = { host: ["gpu-01"], axis: { "optimizer.momentum": ["0.9"], "model.kind": ["mlp"] } };
  assert.match(command.sql("s", wanted, false), /trial_id in \(select trial_id from trials where host = 'gpu-01' and axes -> '\$\."optimizer\.momentum"' = '0\.9' and axes -> '\$\."model\.kind"' = '"mlp"'\)/);
  assert.match(command.sql("s", wanted, true), /axes::json ->> 'optimizer\.momentum' = '0\.9' and axes::json ->> 'model\.kind' = 'mlp'/);
});

test("a text is found as in the table, with its wildcards quoted", () => {
  assert.match(command.sql("s", { text: "50%_a", axis: {} }, false), /lower\(schedule\) like '%50\\%\\_a%' escape '\\'/);
});

test("shell words", () => {
  assert.equal(command.shell("abc123"), "abc123");
  assert.equal(command.shell("select 'x'"), '"select \'x\'"');
  assert.equal(command.shell('a"b`c$d\\e'), '"a\\"b\\`c\\$d\\\\e"');
  assert.equal(command.shell("it's new!"), "'it'\\''s new!'");
  assert.equal(command.shell(""), '""');
});

test("CSV quotes fields and keeps spreadsheets from running them", () => {
  const data = few();
  data.schedules[0] = "=1+1";
  const lines = command.csv(data, [0, 1], ["trial_id", "schedule", "final_valid_loss", "axis:optimizer.momentum"]).split("\n");
  assert.equal(lines[0], "trial_id,schedule,final_valid_loss,optimizer.momentum");
  assert.equal(lines[1], "aa01,'=1+1,0.3,0.9");
  assert.equal(lines[2], 'bb02,"it\'s ""odd""",,0');
});

test("changed and new rows are merged", () => {
  const data = few();
  const at = merge.index(data);
  const event = { version: 2, reset: false, rows: { trial_id: ["bb02", "dd04"], schedule: [1, 1], status: [2, 0], final_valid_loss: [0.2, null], seed: [1, 5] } };
  assert.equal(merge.rows(data, event, at), true);
  assert.equal(data.columns.trial_id.length, 4);
  assert.equal(filter.value(data, "status", 1), "done");
  assert.equal(filter.value(data, "seed", 3), 5);
  assert.equal(data.columns.base_lr[1], 0.03);
  assert.equal(merge.rows(data, { version: 3, reset: true }, at), false);
  assert.equal(merge.rows(data, { version: 3, rows: { trial_id: ["ee"], schedule: [9] } }, at), false);
});
