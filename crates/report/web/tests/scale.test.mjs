import assert from "node:assert/strict";
import test from "node:test";
import { page } from "./load.mjs";

const { scale } = page;

test("diverging curves do not set the range", () => {
  const good = [2.3, 1, 0.3, 0.1], bad = [2.3, 40, 1e30, null];
  const range = scale.robustRange([good, good, bad]);
  assert.equal(range.cut, 1);
  assert.ok(range.high < 4 && range.high >= 2.3, String(range.high));
  assert.equal(range.low, 0.1);
});

test("a range exists if every curve diverges, and none without values", () => {
  const range = scale.robustRange([[2.3, 1e9, null], [2.3, 1e12, null]]);
  assert.ok(range.high < 1e10 && range.high >= 2.3);
  assert.equal(scale.robustRange([[null, null], []]), null);
});

test("negative losses have a range", () => {
  const range = scale.robustRange([[-100, -200, -300], [-90, -210, -290]]);
  assert.equal(range.low, -300);
  assert.equal(range.high, -90);
});

test("the range near the optimum leaves high losses out", () => {
  const range = scale.optimumRange([[0.5, 0.081, 2.3], [0.3, 0.085, null], [0.4, 0.09, 900]]);
  assert.equal(range.low, 0.081);
  assert.ok(range.high < 0.2, String(range.high));
  assert.equal(range.full, 900);
  assert.equal(scale.optimumRange([[null], []]), null);
});

test("the range of seeds has the better half, in both directions", () => {
  const groups = [[0.4, 0.6], [0.5, 0.9], [0.7, 50], [null, 80]];
  const lower = scale.seedRange(groups, true);
  assert.equal(lower.low, 0.4);
  assert.ok(lower.high > 0.85 && lower.high <= 0.9, String(lower.high));
  const higher = scale.seedRange([[0.9, 0.8], [0.85, 0.7], [0.1, 0.2]], false);
  assert.equal(higher.high, 0.9);
  assert.ok(higher.low >= 0.7 && higher.low < 0.72, String(higher.low));
  assert.equal(scale.seedRange([[null], []], true), null);
});

test("ticks are round and inside", () => {
  assert.deepEqual(scale.ticks(0, 1, 5), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(scale.logTicks(0.01, 1, 3), [0.01, 0.1, 1]);
  for (const tick of scale.ticks(0.081, 0.0894, 6)) assert.ok(tick >= 0.081 && tick <= 0.0894);
  assert.ok(scale.logTicks(0.081, 0.085).length > 1);
});

test("curves on one axis", () => {
  const x = scale.union([[1, 3, 5], [2, 3]]);
  assert.deepEqual(x, [1, 2, 3, 5]);
  assert.deepEqual(scale.onto(x, [2, 3], [20, 30], false), [null, 20, 30, null]);
  assert.deepEqual(scale.onto(x, [1, 3, 5], [10, 30, 50], true), [10, 20, 30, 50]);
  const many = scale.union([Array.from({ length: 10000 }, (_, i) => i)], 100);
  assert.equal(many.length, 100);
  assert.equal(many[99], 9999);
});

test("the value between two points, and none outside or beside a gap", () => {
  assert.equal(scale.valueAt([0, 10], [1, 2], 5), 1.5);
  assert.equal(scale.valueAt([0, 10], [1, 2], 11), null);
  assert.equal(scale.valueAt([0, 10, 20], [1, null, 3], 5), null);
  assert.equal(scale.valueAt([0, 10, 20], [1, 2, 3], 20), 3);
  assert.equal(scale.valueAt([], [], 1), null);
});
