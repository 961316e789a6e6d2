/**
 * Which trials a filter keeps and in which order. Works on columns (one array for each column), so that 20,000 trials take
 * milliseconds. No DOM.
 *
 * @typedef {Object} Filter
 * @property {string[]} [schedule] names; empty or absent: all
 * @property {string[]} [status]
 * @property {string[]} [purpose]
 * @property {string[]} [host]
 * @property {string[]} [seed]   as text
 * @property {string[]} [lr]     base lrs as text
 * @property {string[]} [steps]  run lengths as text
 * @property {Object<string, string[]>} [axis] values by the name of the axis
 * @property {string} [text]     part of a trial id, schedule, host or error
 */
const filter = (() => {
  /** The filters with a fixed list of values, in the order of the form: [key, column, label]. */
  const KINDS = [
    ["schedule", "schedule", "schedule"], ["status", "status", "status"], ["purpose", "purpose", "purpose"], ["lr", "base_lr", "base lr"],
    ["seed", "seed", "seed"], ["steps", "steps", "run length"], ["host", "host", "host"],
  ];

  /** The list that a column's numbers point into; null for plain columns. */
  const names = (trials, column) =>
    column === "schedule" ? trials.schedules : column === "status" ? trials.statuses : column === "host" ? trials.hosts : null;

  const length = (trials) => trials ? trials.columns.trial_id.length : 0;

  /** The value of a trial in a column, as shown: indexes become names. */
  function value(trials, column, row) {
    if (column.startsWith("axis:")) return trials.axis_columns[column.slice(5)]?.[row] ?? null;
    const raw = trials.columns[column]?.[row] ?? null;
    const list = names(trials, column);
    return list && raw !== null ? list[raw] : raw;
  }

  /** The test of one column as a function of the row, or null if the filter does not limit it. */
  function columnTest(trials, column, wanted) {
    if (!wanted || !wanted.length) return null;
    const data = column.startsWith("axis:") ? trials.axis_columns[column.slice(5)] || [] : trials.columns[column];
    const list = names(trials, column);
    if (list) {
      const keep = list.map((name) => wanted.includes(name));
      return (row) => data[row] !== null && keep[data[row]];
    }
    const set = new Set(wanted);
    return (row) => set.has(String(data[row]));
  }

  function textTest(trials, text) {
    const find = (text || "").trim().toLowerCase();
    if (!find) return null;
    const hit = (list) => list.map((name) => name.toLowerCase().includes(find));
    const schedules = hit(trials.schedules), hosts = hit(trials.hosts);
    const { trial_id: ids, schedule, host, error } = trials.columns;
    return (row) => schedules[schedule[row]] || (host[row] !== null && hosts[host[row]]) || ids[row].startsWith(find) ||
      (error[row] !== null && error[row] !== undefined && error[row].toLowerCase().includes(find));
  }

  /** The rows that a filter keeps, in the order of the data. */
  function rows(trials, wanted) {
    const tests = KINDS.map(([key, column]) => columnTest(trials, column, wanted[key]));
    for (const [axis, values] of Object.entries(wanted.axis || {})) tests.push(columnTest(trials, `axis:${axis}`, values));
    tests.push(textTest(trials, wanted.text));
    const active = tests.filter(Boolean);
    const out = [];
    const n = length(trials);
    for (let row = 0; row < n; row++) {
      let keep = true;
      for (let i = 0; i < active.length && keep; i++) keep = active[i](row);
      if (keep) out.push(row);
    }
    return out;
  }

  /** Rows in the order of a column; rows without a value are last in both directions. Equal values keep their order. */
  function sort(trials, list, column, descending) {
    const keys = new Map(list.map((row) => [row, value(trials, column, row)]));
    const sign = descending ? -1 : 1;
    return list.slice().sort((a, b) => {
      const x = keys.get(a), y = keys.get(b);
      if (x === null || y === null) return x === y ? a - b : x === null ? 1 : -1;
      return x < y ? -sign : x > y ? sign : a - b;
    });
  }

  /** The different values of a column with their counts: [[text, count]...], numbers in order of size. */
  function choices(trials, column) {
    const counts = new Map();
    const n = length(trials);
    for (let row = 0; row < n; row++) {
      const x = value(trials, column, row);
      if (x !== null) counts.set(x, (counts.get(x) || 0) + 1);
    }
    const order = names(trials, column);
    const at = (x) => order ? order.indexOf(x) : Number(x);
    return Array.from(counts).sort(([a], [b]) => at(a) - at(b) || (String(a) < String(b) ? -1 : 1)).map(([x, k]) => [String(x), k]);
  }

  /** The number of conditions in a filter. */
  const conditions = (wanted) => KINDS.filter(([key]) => wanted[key]?.length).length +
    Object.values(wanted.axis || {}).filter((list) => list.length).length + (wanted.text?.trim() ? 1 : 0);

  return { KINDS, length, value, rows, sort, choices, conditions };
})();
