/**
 * Makes dist/app.js and dist/app.css, which the program contains, from the parts in assets.txt: joined in that order, without
 * comments, spaces and long names. `node build.mjs` writes them (needs npm once, for terser); a test compares the hash of the
 * sources in their first line.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const TERSER = "terser@5.51.4";
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

/** Properties that only our own objects have, no data and no object of the browser or of uPlot. Their names are shortened too. */
const OWN = [
  "announcement", "behind", "budgetChoice", "capital", "clock", "colour", "coloured", "colourClass", "conditions", "described", "duration", "exact", "helpDialog", "isLoading", "isNode", "isNumber",
  "isOffline", "labelSpace", "linearPart", "logTicks", "lostAt", "median", "messageLine", "onCursor", "onto", "onZoom", "optimumRange", "padded", "percent", "plural", "pValue", "quantile", "redraw", "render", "robustRange",
  "saveCsv", "setFilter", "signed", "signedColumn", "swatch", "toggle", "union", "valueAt", "waiting", "wasCurrent", "xAxis", "xRange", "xTitle", "yAxis", "yRange", "yTitle",
];

/** JavaScript without comments and long names. */
const minifyScript = (text) => execFileSync("npx", ["--yes", TERSER, "--mangle", "--mangle-props", `regex=/^(${OWN.join("|")})$/`, "--toplevel", "--ecma", "2020", "--compress", "passes=3,unsafe_arrows=true"],
  { input: `(()=>{${text}\n})();`, encoding: "utf8", stdio: ["pipe", "pipe", "inherit"] }).trim();

/** CSS without comments and spaces. The texts in it have no spaces. */
const minifyStyle = (text) => text.replace(/\/\*[^]*?\*\//g, "").replace(/\s+/g, " ").replace(/ ?([{};,>]) ?/g, "$1").replace(/: /g, ":").replaceAll(";}", "}").trim();

/** The rules of uPlot without those of its legend and title, which the page does not use. */
const withoutLegend = (css) => css.replace(/\.u-(legend|inline|series|title)[^{}]*\{[^{}]*\}/g, "");

function make(kind, name, minify) {
  const text = (isVendor) => parts(kind).filter(([path]) => path.startsWith("vendor/") === isVendor).map(([, part]) => part.trim()).join("\n");
  writeFileSync(new URL(`dist/${name}`, here), `${header(kind)}\n${kind === "style" ? withoutLegend(minify(text(true))) : text(true)}\n${minify(text(false))}\n`);
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  mkdirSync(new URL("dist", here), { recursive: true });
  make("script", "app.js", minifyScript);
  make("style", "app.css", minifyStyle);
}
