/**
 * Changed rows from the event stream put into the columns of the trials. No DOM.
 */
const merge = (() => {
  /** A run that two schedules use is a row for each of them. */
  const key = (columns, row) => `${columns.trial_id[row]}/${columns.schedule[row]}`;

  /** The rows of trials by key. */
  function index(trials) {
    const at = new Map();
    trials.columns.trial_id.forEach((_, row) => at.set(key(trials.columns, row), row));
    return at;
  }

  /** Whether the rows point to a name that the page does not know yet; then all trials are fetched again. */
  function isUnknown(trials, columns) {
    const above = (list, names) => (list || []).some((i) => i !== null && i >= names.length);
    return above(columns.schedule, trials.schedules) || above(columns.host, trials.hosts) || above(columns.status, trials.statuses);
  }

  /**
   * Writes changed and new rows into `trials`.
   * @returns {boolean} false if all trials must be fetched instead
   */
  function rows(trials, event, at) {
    if (event.reset || !event.rows) return false;
    const columns = event.rows.columns || event.rows;
    const axes = event.rows.axis_columns || event.axis_columns || {};
    for (const list of ["schedules", "hosts", "statuses"]) if (event[list] || event.rows[list]) trials[list] = event[list] || event.rows[list];
    if (!columns.trial_id || isUnknown(trials, columns)) return false;
    columns.trial_id.forEach((_, i) => {
      const name = key(columns, i);
      let row = at.get(name);
      if (row === undefined) at.set(name, row = trials.columns.trial_id.length);
      for (const [column, target] of Object.entries(trials.columns)) if (columns[column]) target[row] = columns[column][i];
      for (const [axis, target] of Object.entries(trials.axis_columns)) if (axes[axis]) target[row] = axes[axis][i];
    });
    trials.version = event.version;
    return true;
  }

  return { index, rows };
})();
