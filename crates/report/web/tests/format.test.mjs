import assert from "node:assert/strict";
import test from "node:test";
import { page } from "./load.mjs";

const { format } = page;

test("numbers have significant digits and no tail of zeros", () => {
  assert.equal(format.number(0.0813), "0.0813");
  assert.equal(format.number(0.081300001), "0.0813");
  assert.equal(format.number(1860), "1860");
  assert.equal(format.number(2.302585), "2.303");
  assert.equal(format.number(0.1), "0.1");
  assert.equal(format.number(0), "0");
  assert.equal(format.number(-0.5), "-0.5");
  assert.equal(format.number(1e-7), "1e-7");
  assert.equal(format.number(12345678), "1.235e7");
  assert.equal(format.number(100), "100");
});

test("what is no number is a dash", () => {
  for (const x of [null, undefined, NaN, Infinity, "1"]) assert.equal(format.number(x), "–");
  assert.equal(format.duration(null), "–");
  assert.equal(format.pValue(null), "–");
});

test("a column has one number of decimals", () => {
  const text = format.column([0.0813, 0.1, null, 0.09]);
  assert.deepEqual([0.0813, 0.1, 0.09].map(text), ["0.0813", "0.1000", "0.0900"]);
  assert.equal(text(null), "–");
  const signed = format.signedColumn([0.0123, -0.004]);
  assert.deepEqual([0.0123, -0.004, 0].map(signed), ["+0.0123", "−0.0040", "0.0000"]);
});

test("p-values, counts, times", () => {
  assert.equal(format.pValue(0.00001), "< 0.0001");
  assert.equal(format.pValue(0.0123), "0.012");
  assert.equal(format.pValue(0.0042), "0.0042");
  assert.equal(format.pValue(1), "1");
  assert.equal(format.count(1234567), "1,234,567");
  assert.equal(format.plural(1, "run"), "1 run");
  assert.equal(format.plural(2, "run"), "2 runs");
  assert.equal(format.duration(41230), "41 s");
  assert.equal(format.duration(3 * 3600e3 + 20 * 60e3), "3 h 20 min");
  assert.equal(format.duration(50 * 3600e3), "2 d 2 h");
  assert.equal(format.ago(1000, 2500), "just now");
});

test("long names are cut between letters", () => {
  assert.equal(format.short("日本語🚀🚀", 4), "日本語…");
  assert.equal(format.short("cosine", 6), "cosine");
});
