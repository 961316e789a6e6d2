/**
 * The table of every trial: filters, order, selection, commands. Only the visible rows are elements, so that 20,000 trials cost no
 * more than 20.
 */
const trialsView = (() => {
  const ROW = 30;
  const HEIGHT = 560;
  /** [column, heading, text of a value, is a number]. */
  const COLUMNS = [
    ["trial_id", "Trial", (x) => x.slice(0, 8)],
    ["schedule", "Schedule", (x) => x],
    ["base_lr", "Base lr", (x) => format.number(x), true],
    ["seed", "Seed", (x) => String(x), true],
    ["status", "Status", (x) => x],
    ["purpose", "Purpose", (x) => x],
    ["final_valid_loss", "Validation loss", format.exact, true],
    ["final_train_loss", "Training loss", format.exact, true],
    ["test_loss", "Test loss", format.exact, true],
    ["test_accuracy", "Test accuracy", (x) => format.percent(x, 2), true],
    ["steps_done", "Steps done", (x) => format.count(x), true],
    ["steps", "Run length", (x) => format.count(x), true],
    ["diverged_at", "Diverged at step", (x) => format.count(x), true],
    ["host", "Host", (x) => x],
    ["started_at", "Started", (x) => format.clock(x)],
    ["finished_at", "Finished", (x) => format.clock(x)],
    ["attempts", "Attempts", (x) => String(x), true],
    ["error", "Error", (x) => x],
  ];
  const PURPOSES = { tune: "chooses the lr", decide: "judges", all: "chooses and judges" };

  let scrollTop = 0;
  let focusRow = 0;
  /** The filter whose list is open; the others have no elements. */
  let openMenu = null;

  const filtered = curvesView.memo((trials, wanted) => filter.rows(trials, wanted));
  const ordered = curvesView.memo((trials, rows, sort) => sort ? filter.sort(trials, rows, sort.replace(/^-/, ""), sort.startsWith("-")) : rows);
  const choices = curvesView.memo((trials) => {
    const all = filter.KINDS.map(([key, column, label]) => ({ key, label, list: filter.choices(trials, column) }));
    const axes = trials.axes.map((axis) => ({ axis, label: axis, list: filter.choices(trials, `axis:${axis}`) }));
    return [...all, ...axes];
  });

  /** The rows that the filter keeps, in the order of the table. */
  const visible = (trials, state) => ordered(trials, filtered(trials, state.filter), state.sort);

  const allColumns = (trials) => [...COLUMNS, ...trials.axes.map((axis) => [`axis:${axis}`, axis, (x) => String(x)])];

  function render(overview, state) {
    const trials = model.get("trials");
    if (!trials) return frame.waiting("trials");
    const rows = visible(trials, state);
    return [
      h("div.heading", h("h1", "Trials"),
        h("p.count", { role: "status" }, `${format.count(rows.length)} of ${format.plural(filter.length(trials), "trial")}`,
          state.trials.length > 0 && `, ${state.trials.length} selected`)),
      filters(trials, state),
      actions(trials, rows, state),
      !filter.length(trials) ? h("p.empty", "The sweep has no trial yet.")
        : !rows.length ? h("p.empty", "No trial fits the filter.") : table(trials, rows, state),
    ];
  }

  // --- filters -------------------------------------------------------------------------------------------------------

  const chosen = (state, item) => item.axis !== undefined ? state.filter.axis[item.axis] || [] : state.filter[item.key] || [];

  function setChosen(state, item, values) {
    if (item.axis !== undefined) model.setFilter({ axis: { ...state.filter.axis, [item.axis]: values } });
    else model.setFilter({ [item.key]: values });
  }

  function filters(trials, state) {
    return h("div.filters", { role: "search" },
      h("input", {
        type: "search", id: "find", placeholder: "Find a schedule, id, host or error", "aria-label": "Find a schedule, trial id, host or error",
        value: state.filter.text || "", oninput: (event) => model.setFilter({ text: event.target.value }, true),
      }),
      choices(trials).filter((item) => item.list.length > 1 || chosen(state, item).length).map((item) => choice(item, state)),
      filter.conditions(state.filter) > 0 && h("button.quiet", { onclick: () => model.set({ filter: { axis: {} } }) }, "Clear filter"));
  }

  /** A filter of one column: a list of boxes that opens below its button. */
  function choice(item, state) {
    const on = chosen(state, item);
    const toggle = (text) => setChosen(state, item, on.includes(text) ? on.filter((x) => x !== text) : [...on, text]);
    const key = item.axis !== undefined ? `axis:${item.axis}` : item.key;
    return h("details.menu", { key, ontoggle: (event) => { openMenu = event.currentTarget.open ? key : openMenu === key ? null : openMenu; model.redraw(); } },
      h("summary", { class: on.length ? "on" : null }, h("span.text", on.length ? `${item.label}: ${on.length === 1 ? on[0] : on.length}` : item.label)),
      openMenu === key && h("div.panel", { role: "group", "aria-label": item.label },
        item.list.slice(0, 500).map(([text, count]) => h("label", { key: text },
          h("input", { type: "checkbox", checked: on.includes(text), onchange: () => toggle(text) }),
          h("span.text", { dir: "auto" }, item.key === "purpose" ? `${text}: ${PURPOSES[text] || ""}` : text), h("small", format.count(count)))),
        on.length > 0 && h("button.quiet", { onclick: () => setChosen(state, item, []) }, "All")));
  }

  function actions(trials, rows, state) {
    const postgres = /^postgres/.test(model.get("sweeps")?.store || "");
    const picked = state.trials;
    const one = picked[picked.length - 1];
    const copy = (text, label) => h("button.quiet", { "data-tip": text, onclick: () => frame.copy(text, "command") }, label);
    return h("div.toolbar",
      h("div.choice", { role: "group", "aria-label": "Copy as a command" }, h("span.label", "Copy as a command"),
        copy(command.query(state.sweep, state.filter, postgres), "query of the filter"),
        one && [copy(`sweep show ${one}`, "show"), copy(`sweep reproduce ${one}`, "reproduce"), copy(`sweep logs ${one}`, "logs")]),
      h("button.quiet", { onclick: () => saveCsv(trials, state) }, picked.length ? "CSV of the selected trials" : "CSV of the filtered trials"),
      picked.length > 0 && [
        h("button.quiet", { onclick: () => model.set({ view: "curves" }) }, "Show their curves"),
        h("button.quiet", { onclick: () => model.set({ trials: [] }) }, "Clear selection")]);
  }

  /** Saves the selected trials, or those that the filter keeps. */
  function saveCsv(trials, state) {
    let rows = visible(trials, state);
    if (state.trials.length) {
      const ids = new Set(state.trials);
      rows = trials.columns.trial_id.map((_, row) => row).filter((row) => ids.has(trials.columns.trial_id[row]));
    }
    const names = ["config_id", ...COLUMNS.map(([column]) => column), ...trials.axes.map((axis) => `axis:${axis}`)];
    frame.save(`${state.sweep}.csv`, command.csv(trials, rows, names), "text/csv");
  }

  // --- the table -----------------------------------------------------------------------------------------------------

  function sortBy(state, column) {
    model.set({ sort: state.sort === column ? `-${column}` : state.sort === `-${column}` ? "" : column });
  }

  function heading([column, text, , isNumber], state) {
    const sorted = state.sort.replace(/^-/, "") === column;
    const down = state.sort.startsWith("-");
    return h("th", { key: column, role: "columnheader", scope: "col", class: isNumber ? "number" : null, "aria-sort": sorted ? (down ? "descending" : "ascending") : null },
      h("button", { onclick: () => sortBy(state, column) }, text, h("span", { "aria-hidden": true }, sorted ? (down ? " ↓" : " ↑") : "")));
  }

  function table(trials, rows, state) {
    const columns = allColumns(trials).filter(([column]) => !EMPTY_HIDDEN.has(column) || hasValues(trials, column));
    const height = Math.min(HEIGHT, rows.length * ROW + 44);
    scrollTop = Math.min(scrollTop, Math.max(0, rows.length * ROW - height + 44));
    focusRow = Math.min(focusRow, rows.length - 1);
    const first = Math.max(0, Math.floor(scrollTop / ROW) - 3);
    const last = Math.min(rows.length, first + Math.ceil(height / ROW) + 6);
    const ids = new Set(state.trials);
    return h("div.scroll.trials", {
            tabindex: 0, role: "region", "aria-label": "Trials, arrow keys move, Space selects", style: { height: `${height}px` },
      onscroll: (event) => onScroll(event.currentTarget), onkeydown: (event) => onKey(event, trials, rows, state),
    },
    h("table", { "aria-rowcount": rows.length + 1 },
      h("thead", h("tr", h("th", { scope: "col", class: "check" }, h("span.hidden", "Selected")), columns.map((column) => heading(column, state)))),
      h("tbody",
        h("tr", { key: "above", class: "space", "aria-hidden": true }, h("td", { colspan: columns.length + 1, style: { height: `${first * ROW}px` } })),
        rows.slice(first, last).map((row, i) => line(trials, row, first + i, columns, ids)),
        h("tr", { key: "below", class: "space", "aria-hidden": true }, h("td", { colspan: columns.length + 1, style: { height: `${(rows.length - last) * ROW}px` } })))));
  }

  /** Columns that are left out while no trial has a value there. */
  const EMPTY_HIDDEN = new Set(["error", "diverged_at", "test_loss", "test_accuracy", "host"]);
  const hasValues = (trials, column) => trials.columns[column].some((x) => x !== null && x !== undefined);

  function line(trials, row, index, columns, ids) {
    const id = trials.columns.trial_id[row];
    return h("tr", { key: index % 64, "aria-rowindex": index + 2, class: `${ids.has(id) ? "on" : ""}${index === focusRow ? " at" : ""}`, onclick: (event) => onClick(event, id, index) },
      h("td.check", h("input", { type: "checkbox", tabindex: -1, checked: ids.has(id), "aria-label": `Select trial ${id.slice(0, 8)}`, onchange: () => { focusRow = index; model.toggle("trials", id); } })),
      columns.map(([column, , text, isNumber]) => {
        const value = filter.value(trials, column, row);
        const shown = value === null || value === undefined ? "" : text(value);
        if (column === "status") return h("td", { key: column }, h("span", { class: `status ${value}` }, shown));
        return h("td", { key: column, class: isNumber ? "number" : column === "trial_id" ? "id" : null, dir: column === "schedule" ? "auto" : null }, shown);
      }));
  }

  function onClick(event, id, index) {
    if (event.target.tagName === "INPUT" || String(getSelection())) return;
    focusRow = index;
    model.toggle("trials", id);
  }

  function onScroll(element) {
    const before = Math.floor(scrollTop / ROW);
    scrollTop = element.scrollTop;
    if (Math.abs(Math.floor(scrollTop / ROW) - before) >= 1) model.redraw();
  }

  /** Arrow keys move the marked row, Space selects it, Enter opens its curve. */
  function onKey(event, trials, rows, state) {
    if (event.target !== event.currentTarget) return;
    const page = Math.floor(HEIGHT / ROW) - 2;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const id = trials.columns.trial_id[rows[focusRow]];
    if (event.key === " ") model.toggle("trials", id);
    else if (event.key === "Enter") model.set({ trials: state.trials.includes(id) ? state.trials : [...state.trials, id], view: "curves" });
    else if (event.key in steps) focusRow = Math.max(0, Math.min(rows.length - 1, focusRow + steps[event.key]));
    else return;
    event.preventDefault();
    const element = event.currentTarget;
    const top = focusRow * ROW;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top > element.scrollTop + element.clientHeight - 2 * ROW - 10) element.scrollTop = top - element.clientHeight + 2 * ROW + 10;
    scrollTop = element.scrollTop;
    model.redraw();
  }

  return { render, saveCsv };
})();
