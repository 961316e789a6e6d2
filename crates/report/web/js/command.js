/**
 * What the page copies and saves: commands for a shell, SQL, CSV. Every name is quoted here. No DOM.
 */
const command = (() => {
  /** Text as an SQL literal. */
  const sqlText = (text) => `'${String(text).replaceAll("'", "''")}'`;

  /**
   * One word for a POSIX shell. SQL has many single quotes, so the word is in double quotes unless it contains "!", which an
   * interactive bash replaces there.
   */
  function shell(text) {
    const word = String(text);
    if (/^[A-Za-z0-9_./:=@%+-]+$/.test(word)) return word;
    if (word.includes("!")) return `'${word.replaceAll("'", "'\\''")}'`;
    return `"${word.replace(/[\\"$`]/g, "\\$&")}"`;
  }

  /** `column in (...)` or `column = value`. */
  const among = (column, values) => values.length === 1 ? `${column} = ${values[0]}` : `${column} in (${values.join(", ")})`;

  /** A number as text for SQL; anything else as quoted text. */
  const sqlNumber = (text) => /^-?[0-9.]+(e[-+]?[0-9]+)?$/i.test(String(text)) ? String(text) : sqlText(text);

  /** The condition on one axis. The column `axes` is a JSON object as text. */
  function axisCondition(axis, values, postgres) {
    if (postgres) return among(`axes::json ->> ${sqlText(axis)}`, values.map(sqlText));
    const path = sqlText(`$.${JSON.stringify(axis)}`);
    return among(`axes -> ${path}`, values.map((text) => sqlText(isJson(text) ? text : JSON.stringify(text))));
  }

  function isJson(text) {
    try { JSON.parse(text); return true; } catch { return false; }
  }

  /**
   * The SQL for the trials that a filter keeps. `runs` has no host and no axes: these conditions look into `trials`.
   * @param {string} sweep
   * @param {Filter} wanted
   * @param {boolean} postgres whether the store is a PostgreSQL database
   */
  function sql(sweep, wanted, postgres) {
    const own = [`sweep = ${sqlText(sweep)}`];
    const outer = [];
    const add = (list, key, column, quote) => { if (wanted[key]?.length) list.push(among(column, wanted[key].map(quote))); };
    add(own, "schedule", "schedule", sqlText);
    add(own, "status", "status", sqlText);
    add(own, "purpose", "purpose", sqlText);
    add(own, "lr", "base_lr", sqlNumber);
    add(own, "seed", "seed", sqlNumber);
    add(own, "steps", "steps", sqlNumber);
    add(outer, "host", "host", sqlText);
    for (const [axis, values] of Object.entries(wanted.axis || {})) if (values.length) outer.push(axisCondition(axis, values, postgres));
    if (wanted.text?.trim()) own.push(textCondition(wanted.text.trim().toLowerCase()));
    if (outer.length) own.push(`trial_id in (select trial_id from trials where ${outer.join(" and ")})`);
    return `select trial_id, schedule, base_lr, seed, status, final_valid_loss from runs where ${own.join(" and ")} order by position`;
  }

  /** The find box as SQL: a part of the schedule, host or error, or the first digits of the id. */
  function textCondition(text) {
    const pattern = (before) => sqlText(`${before}${text.replace(/[\\%_]/g, "\\$&")}%`) + " escape '\\'";
    const part = (column) => `lower(${column}) like ${pattern("%")}`;
    return `(${part("schedule")} or trial_id like ${pattern("")} or trial_id in (select trial_id from trials where ${part("host")} or ${part("error")}))`;
  }

  const query = (sweep, wanted, postgres) => `sweep query ${shell(sql(sweep, wanted, postgres))}`;

  /** A field of a CSV file. A leading =, +, - or @ of a text gets a quote mark before it: spreadsheets run such cells. */
  function csvField(x) {
    if (x === null || x === undefined) return "";
    let text = String(x);
    if (typeof x === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  /** CSV of rows of trials. `columns` are names as `filter.value` takes them. */
  function csv(trials, rows, columns) {
    const lines = [columns.map((name) => csvField(name.replace(/^axis:/, ""))).join(",")];
    for (const row of rows) lines.push(columns.map((name) => csvField(filter.value(trials, name, row))).join(","));
    return lines.join("\n") + "\n";
  }

  return { sqlText, shell, sql, query, csv };
})();
