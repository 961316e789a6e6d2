/**
 * The selection as a link: what the page shows is a function of the part of the URL after "#". No DOM.
 *
 * @typedef {Object} Selection
 * @property {string|null} sweep
 * @property {string} view
 * @property {string[]} schedules selected schedules
 * @property {string[]} trials    ids of selected trials
 * @property {Filter} filter
 * @property {string} metric      the metric that ranks; "" is the sweep's own
 * @property {string} curve       valid, train or the name of another metric; "" is the one that decides or that has more points
 * @property {string} scale       auto, log, linear or symlog
 * @property {number} top         how many schedules are coloured
 * @property {string} zoom        "", "fifth" or "FROM-TO" in steps
 * @property {string} budget      run length in steps, "" is the default
 * @property {string} sort        column, with "-" before it if descending
 * @property {string} compare     the second sweep
 * @property {string[]} show      switched-on details, as in "columns" or "dots"
 */
const link = (() => {
  const VIEWS = ["verdict", "curves", "lr", "differences", "stages", "budgets", "table", "sweeps"];
  const TEXTS = { view: "verdict", metric: "", curve: "", scale: "auto", zoom: "", budget: "", sort: "", compare: "" };
  const LISTS = { schedules: "s", trials: "t", show: "show" };
  const FILTERS = ["schedule", "status", "purpose", "lr", "seed", "steps", "host"];
  const TOP = 6;

  const empty = () => ({ sweep: null, ...TEXTS, top: TOP, schedules: [], trials: [], show: [], filter: { axis: {} } });

  /** The selection as text for the URL; only what differs from the default. */
  function write(state) {
    const out = new URLSearchParams();
    if (state.sweep !== null) out.append("sweep", state.sweep);
    for (const key of Object.keys(TEXTS)) if (state[key] !== TEXTS[key]) out.append(key, state[key]);
    if (state.top !== TOP) out.append("top", state.top);
    for (const [key, short] of Object.entries(LISTS)) for (const item of state[key]) out.append(short, item);
    for (const key of FILTERS) for (const item of state.filter[key] || []) out.append(`f.${key}`, item);
    for (const [axis, items] of Object.entries(state.filter.axis || {})) for (const item of items) out.append(`f.axis.${axis}`, item);
    if (state.filter.text) out.append("f.text", state.filter.text);
    return out.toString();
  }

  /** The selection in a URL; values that do not exist become the default. */
  function read(text) {
    const given = new URLSearchParams(text.replace(/^[#?]/, ""));
    const state = empty();
    if (given.has("sweep")) state.sweep = given.get("sweep");
    for (const key of Object.keys(TEXTS)) if (given.has(key)) state[key] = given.get(key);
    if (!VIEWS.includes(state.view)) state.view = TEXTS.view;
    if (!/^[A-Za-z][\w./-]{0,63}$/.test(state.curve)) state.curve = TEXTS.curve;
    if (!["auto", "log", "linear", "symlog"].includes(state.scale)) state.scale = TEXTS.scale;
    const top = given.has("top") ? Number(given.get("top")) : TOP;
    state.top = Number.isInteger(top) && top >= 0 && top <= 100 ? top : TOP;
    for (const [key, short] of Object.entries(LISTS)) state[key] = Array.from(new Set(given.getAll(short)));
    for (const key of FILTERS) if (given.has(`f.${key}`)) state.filter[key] = given.getAll(`f.${key}`);
    for (const [key, item] of given) if (key.startsWith("f.axis.")) (state.filter.axis[key.slice(7)] ||= []).push(item);
    if (given.has("f.text")) state.filter.text = given.get("f.text");
    return state;
  }

  /** The zoom in steps, or null for the whole run. */
  function zoom(text, lastStep) {
    if (text === "fifth") return lastStep > 0 ? [lastStep * 0.8, lastStep] : null;
    const [from, to] = text.split("-").map(Number);
    return Number.isFinite(from) && Number.isFinite(to) && to > from ? [from, to] : null;
  }

  return { VIEWS, TOP, empty, write, read, zoom };
})();
