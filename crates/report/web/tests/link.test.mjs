import assert from "node:assert/strict";
import test from "node:test";
import { page } from "./load.mjs";

const { link } = page;

test("a selection survives its URL", () => {
  const state = {
    ...link.empty(), sweep: "</script>'\" &#=%", view: "table", schedules: ["a,b", "日本", "x&y=z"], trials: ["ab12"], top: 3, zoom: "fifth", scale: "symlog", sort: "-seed", show: ["dots"],
    filter: { axis: { "optimizer.momentum": ["0.9", "0"], "a=b&c": ["1"] }, schedule: ["cosine"], text: "gpu 1" },
  };
  assert.deepEqual(link.read("#" + link.write(state)), state);
});

test("defaults are not written", () => {
  assert.equal(link.write({ ...link.empty(), sweep: "mnist" }), "sweep=mnist");
  assert.deepEqual(link.read(""), link.empty());
});

test("values that do not exist become defaults", () => {
  const state = link.read("#view=nothing&curve=3x&scale=y&top=-4&s=a&s=a");
  assert.equal(state.view, "verdict");
  assert.equal(state.curve, "");
  assert.equal(state.scale, "auto");
  assert.equal(state.top, 6);
  assert.deepEqual(state.schedules, ["a"]);
});

test("the zoom in steps", () => {
  assert.deepEqual(link.zoom("fifth", 1000), [800, 1000]);
  assert.deepEqual(link.zoom("10-20", 1000), [10, 20]);
  assert.equal(link.zoom("", 1000), null);
  assert.equal(link.zoom("20-10", 1000), null);
  assert.equal(link.zoom("abc", 1000), null);
});
