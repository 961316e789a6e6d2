import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, statSync } from "node:fs";
import test from "node:test";
import { header, parts } from "../build.mjs";

const here = new URL("..", import.meta.url);
const read = (path) => readFileSync(new URL(path, here));
const own = ["js", "js/views"].flatMap((folder) => readdirSync(new URL(folder, here)).filter((name) => name.endsWith(".js")).map((name) => `${folder}/${name}`));

test("the made files belong to the sources", () => {
  for (const [kind, name] of [["script", "dist/app.js"], ["style", "dist/app.css"]]) {
    assert.equal(read(name).toString().split("\n")[0], header(kind), `${name} is old: run node crates/report/web/build.mjs`);
  }
});

test("all assets together have at most 150 kB", () => {
  const sizes = ["dist/app.js", "dist/app.css", "shell.html", "favicon.svg"].map((name) => statSync(new URL(name, here)).size);
  const all = sizes.reduce((a, b) => a + b) + '"use strict";\n'.length;
  assert.ok(all <= 150000, `${all} bytes`);
});

test("assets.txt names every part", () => {
  const named = parts("script").map(([path]) => path).filter((path) => path.startsWith("js/"));
  assert.deepEqual(named.slice().sort(), own.slice().sort());
});

test("uPlot is the released file, with its hash", () => {
  const text = read("vendor/uPlot/README.md").toString();
  for (const name of ["uPlot.iife.min.js", "uPlot.min.css"]) {
    assert.ok(text.includes(createHash("sha256").update(read(`vendor/uPlot/${name}`)).digest("hex")), name);
  }
});

test("no name becomes HTML, no style is an attribute", () => {
  for (const path of own) {
    const text = read(path).toString();
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|setAttribute\("style"|\beval\(/, path);
  }
});
