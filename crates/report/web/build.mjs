/**
 * Makes dist/app.js and dist/app.css, which the program contains, from the parts in assets.txt: joined in that order, without
 * comments, spaces and long names. `node build.mjs` writes them (needs npm once, for esbuild); a test compares the hash of the
 * sources in their first line.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const ESBUILD = "esbuild@0.25.12";
const here = new URL(".", import.meta.url);
const read = (path) => readFileSync(new URL(path, here), "utf8");

/** The parts of one kind, "script" or "style", in order: [path, text]. */
export const parts = (kind) => read("assets.txt").split("\n").filter((line) => line.startsWith(`${kind} `)).map((line) => line.split(" ")[1]).map((path) => [path, read(path)]);

/** The first line of a made file. */
export const header = (kind) => {
  const hash = createHash("sha256");
  for (const [path, text] of parts(kind)) hash.update(`${path}\n${text}`);
  return `/* Made by build.mjs from the parts in assets.txt, sha256 ${hash.digest("hex")} */`;
};

const minify = (text, loader, more) => execFileSync("npx", ["--yes", ESBUILD, `--loader=${loader}`, "--minify", "--charset=utf8", ...more], { input: text, encoding: "utf8", stdio: ["pipe", "pipe", "inherit"] }).trimEnd();

function make(kind, name, loader, more) {
  const [vendor, own] = [true, false].map((isVendor) => parts(kind).filter(([path]) => path.startsWith("vendor/") === isVendor).map(([, text]) => text.trim()).join("\n"));
  const before = kind === "style" ? minify(vendor, loader, more) : vendor;
  writeFileSync(new URL(`dist/${name}`, here), `${header(kind)}\n${before}\n${minify(own, loader, more)}\n`);
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  mkdirSync(new URL("dist", here), { recursive: true });
  make("script", "app.js", "js", ["--format=iife"]);
  make("style", "app.css", "css", []);
}
