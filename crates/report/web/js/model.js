/**
 * What the page knows and what is selected. Views read it and call `model.set`; nothing else changes the selection. Data are
 * fetched when a view needs them, and again when the stream says that they changed.
 */
const model = (() => {
  /** Addresses of the data by name, for a selection. */
  const ADDRESSES = {
    sweeps: () => "api/sweeps",
    overview: (s) => source.address("api/sweep", { sweep: s.sweep, metric: s.metric, budget: s.budget }),
    trials: (s) => source.address("api/trials", { sweep: s.sweep }),
    valid: (s) => source.address("api/curves", { sweep: s.sweep, metric: "valid", points: 400, budget: s.budget }),
    train: (s) => source.address("api/curves", { sweep: s.sweep, metric: "train", points: 400, budget: s.budget }),
    other_curve: (s) => source.address("api/curves", { sweep: s.sweep, metric: s.curve || entries.overview?.value?.curve_metric, points: 400, budget: s.budget }),
    stages: (s) => source.address("api/stages", { sweep: s.sweep }),
    other: (s) => source.address("api/sweep", { sweep: s.compare }),
  };
  /** Milliseconds between two requests for the same data. */
  const PAUSES = { overview: 2000, valid: 5000, train: 5000, other_curve: 5000, stages: 3000, sweeps: 3000, trials: 3000, other: 5000 };
  /** Which data an event `changed` names. */
  const CHANGES = { overview: ["overview"], curves: ["valid", "train", "other_curve"], stages: ["stages"], sweeps: ["sweeps", "other"], trials: ["trials"] };

  let state = link.empty();
  let draw = () => {};
  const entries = {};
  const extra = new Map();
  const live = { word: source.snapshot ? "snapshot" : "connecting", close: null, sweep: null, lostAt: 0 };
  let rowAt = null;
  let hiddenAt = 0;

  // --- the selection -------------------------------------------------------------------------------------------------

  /** Writes the selection into the address. In a frame without an address, as in a notebook, the browser refuses that. */
  function remember(hash, replace) {
    try {
      history[replace ? "replaceState" : "pushState"](null, "", hash);
    } catch {
      // The view changes all the same.
    }
  }

  /** Changes the selection. `replace` keeps the place in the history, as for each letter of a search. */
  function set(changes, replace = false) {
    state = { ...state, ...changes };
    const hash = "#" + link.write(state);
    if (hash !== location.hash) remember(hash, replace);
    afterChange();
  }

  /** Adds an item to a list of the selection, or removes it. */
  function toggle(list, item, replace = false) {
    const items = state[list];
    set({ [list]: items.includes(item) ? items.filter((x) => x !== item) : [...items, item] }, replace);
  }

  /** Whether a detail is switched on. */
  const has = (name) => state.show.includes(name);

  function setFilter(changes, replace = false) {
    set({ filter: { ...state.filter, ...changes } }, replace);
  }

  /** Opens another sweep: what was selected in the last one means nothing there. */
  function open(sweep, view = "verdict") {
    set({ ...link.empty(), sweep, view });
  }

  function readUrl() {
    const hash = location.hash.length > 1 ? location.hash : location.search;
    state = link.read(hash);
    if (source.snapshot) state.sweep = source.snapshot.overview.sweep;
    afterChange();
  }

  function afterChange() {
    listen();
    draw();
  }

  // --- data ----------------------------------------------------------------------------------------------------------

  /**
   * The data of a name for the present selection, or null until they have arrived. Starts the request if needed.
   */
  function get(name) {
    if (name !== "sweeps" && (name === "other" ? !state.compare : state.sweep === null)) return null;
    const url = ADDRESSES[name](state);
    let entry = entries[name];
    const owner = name === "other" ? state.compare : name === "sweeps" ? "" : state.sweep;
    if (!entry || entry.owner !== owner) entry = entries[name] = { owner, value: null, url: null, error: null, at: 0, stale: true };
    if (entry.url !== url) Object.assign(entry, { url, stale: true, at: 0, error: null });
    if (entry.stale) load(name, entry);
    return entry.value;
  }

  /** The last error of the data of a name, or null. */
  const error = (name) => entries[name]?.error || null;

  const isLoading = (name) => Boolean(entries[name]?.loading);

  function load(name, entry) {
    if (entry.loading === entry.url || entry.timer || document.hidden && entry.value) return;
    const wait = entry.at + PAUSES[name] - Date.now();
    if (entry.at && wait > 0) {
      entry.timer = setTimeout(() => { entry.timer = 0; if (entries[name] === entry) get(name); }, wait);
      return;
    }
    const url = entry.loading = entry.url;
    Object.assign(entry, { at: Date.now(), stale: false });
    source.get(url).then(
      (value) => received(name, entry, url, value),
      (failure) => {
        if (entry.url === url) Object.assign(entry, { loading: null, error: failure });
        // The server may come back, and a sweep that starts now may appear.
        if (failure.status === 0 || failure.status === 404) setTimeout(() => { entry.stale = true; draw(); }, 2500);
        draw();
      },
    );
  }

  function received(name, entry, url, value) {
    if (entry.loading === url) entry.loading = null;
    if (entry.url !== url) return draw();
    Object.assign(entry, { value, error: null });
    if (name === "trials") rowAt = value ? merge.index(value) : null;
    if (name === "sweeps") {
      chooseSweep(value.sweeps);
      if (!value.sweeps.length) setTimeout(() => markStale(["sweeps"]), 2500);
    }
    if (name === "overview") listen();
    draw();
  }

  /** Without a sweep in the URL, opens the one that trains, or the one that was updated last. */
  function chooseSweep(sweeps) {
    if (state.sweep !== null || !sweeps.length) return;
    const order = sweeps.slice().sort((a, b) => (b.state === "running") - (a.state === "running") || (b.updated_at || 0) - (a.updated_at || 0));
    set({ sweep: order[0].sweep }, true);
  }

  /** Marks data as old; those on the screen are fetched again. */
  function markStale(names) {
    for (const name of names) if (entries[name]) entries[name].stale = true;
    if (names.includes("valid")) for (const entry of extra.values()) if (entry.grows) entry.stale = true;
    draw();
  }

  /** One run with its curve, or the log of a trial: {value, error}. */
  function detail(kind, trial) {
    const url = source.address(`api/${kind}`, { trial, points: kind === "run" ? 2000 : null });
    let entry = extra.get(url);
    if (!entry) extra.set(url, entry = { value: null, error: null, stale: true });
    if (entry.stale && !entry.loading) {
      Object.assign(entry, { loading: true, stale: false });
      source.get(url).then(
        (value) => Object.assign(entry, { value, error: null, grows: kind === "logs" || value?.trial?.status === "running" }),
        (failure) => Object.assign(entry, { error: failure }),
      ).finally(() => { entry.loading = false; draw(); });
    }
    return entry;
  }

  // --- the stream ----------------------------------------------------------------------------------------------------

  /** Opens the stream of the selected sweep, once the server knows that sweep. */
  function listen() {
    const { overview } = entries;
    const sweep = overview?.value && overview.owner === state.sweep ? state.sweep : null;
    if (source.snapshot || live.sweep === sweep) return;
    live.close?.();
    live.sweep = sweep;
    if (sweep === null) return;
    live.close = source.stream(source.address("api/events", { sweep }), {
      open: () => {
        const wasLost = live.word === "reconnecting";
        live.word = "live";
        // The stream does not contain changes from before it was open.
        if (wasLost || entries.overview?.value?.state === "running") markStale(Object.keys(entries));
        draw();
      },
      lost: () => {
        if (live.word !== "reconnecting") live.lostAt = Date.now();
        live.word = "reconnecting";
        draw();
      },
      event: onEvent,
    });
  }

  function onEvent(name, event) {
    const overview = entries.overview?.value;
    if (name === "progress" && overview) {
      entries.overview.value = {
        ...overview, now: event.now ?? Date.now(), progress: event.progress, state: event.state ?? overview.state,
        verdict: { ...overview.verdict, ...event.verdict },
      };
      // A result of the ranking is never shown together with a progress that belongs to another moment.
      if (event.verdict && event.verdict.complete !== overview.verdict.complete) markStale(["overview"]);
    }
    if (name === "trials" && entries.trials?.value) {
      const known = merge.rows(entries.trials.value, event, rowAt);
      if (!known) markStale(["trials"]);
      else entries.trials.value = { ...entries.trials.value };
    }
    if (name === "changed") markStale((event.what || []).flatMap((what) => CHANGES[what] || []));
    draw();
  }

  /** A tab that was hidden for a while fetches what it shows again: the browser may have dropped its stream. */
  function onVisible() {
    if (document.hidden) hiddenAt = Date.now();
    else if (hiddenAt && Date.now() - hiddenAt > 30000) markStale(Object.keys(entries));
    else draw();
  }

  function start(drawPage) {
    draw = drawPage;
    window.addEventListener("popstate", readUrl);
    window.addEventListener("hashchange", readUrl);
    document.addEventListener("visibilitychange", onVisible);
    readUrl();
  }

  return {
    get state() { return state; },
    get live() { return live; },
    isOffline: Boolean(source.snapshot),
    set, toggle, has, setFilter, open, get, error, isLoading, detail, start, redraw: () => draw(),
  };
})();
