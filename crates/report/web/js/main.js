/**
 * Draws the page: the frame and the view that is selected. All changes go through `model`, and each change draws the page once in
 * the next frame.
 */
(() => {
  /** The views: what they draw, and whether the list of schedules is next to them. */
  const VIEWS = {
    verdict: { view: verdictView, wide: true },
    curves: { view: curvesView },
    lr: { view: lrsView },
    differences: { view: differencesView },
    stages: { view: stagesView, wide: true },
    budgets: { view: budgetsView },
    table: { view: trialsView, wide: true },
    sweeps: { view: sweepsView, wide: true },
  };
  const root = document.getElementById("app");
  let queued = false;
  let width = 0;
  let announced = "";

  function drawSoon() {
    if (queued) return;
    queued = true;
    requestAnimationFrame(() => { queued = false; draw(); });
  }

  /** The width that a chart can have in the main part. */
  function mainWidth(hasList) {
    const style = matchMedia("(min-width: 900px)").matches;
    const page = Math.min(document.documentElement.clientWidth, 1680);
    return Math.floor(page - (style ? 48 : 32) - (hasList && style ? 256 : 0));
  }

  function draw() {
    const { state } = model;
    const sweeps = model.get("sweeps");
    const overview = state.view === "sweeps" && state.sweep === null ? null : model.get("overview");
    if (overview) look.coloured(overview, state);
    const entry = VIEWS[state.view];
    const hasList = Boolean(overview && !entry.wide && overview.ranking.length);
    width = mainWidth(hasList);
    document.title = overview ? `${overview.sweep}: ${frame.TITLES[state.view].toLowerCase()} – sweep` : "sweep";
    dom.patch(root, [
      h("a.skip", { href: "#main", onclick: (event) => { event.preventDefault(); document.getElementById("main").focus(); } }, "Skip to the content"),
      frame.bar(overview, state),
      frame.tabs(overview, state),
      overview && h("div", { key: "progress" }, frame.progress(overview)),
      h("div", { class: `body${hasList ? " listed" : ""}`, key: "body" },
        hasList && frame.schedules(overview, state),
        h("main", { id: "main", tabindex: -1, key: "main" }, h("div", { key: `${state.view} ${state.sweep}`, class: `view of-${state.view}` }, content(entry.view, overview, sweeps, state)))),
      h("div", { key: "announce", class: "hidden", "aria-live": "polite" }, announce(overview)),
      h("div", { key: "tip", id: "tip", hidden: true, "aria-hidden": true, opaque: true }),
      frame.messageLine(), frame.helpDialog(),
    ]);
  }

  function content(view, overview, sweeps, state) {
    if (state.view === "sweeps") return view.render(overview, state, width);
    if (state.sweep === null) return noSweep(sweeps);
    if (!overview) return model.error("overview") ? notFound(state) : frame.waiting("overview");
    return view.render(overview, state, width);
  }

  function noSweep(sweeps) {
    if (!sweeps) return frame.waiting("sweeps");
    return h("div.empty", h("h1", "This store has no sweep yet"),
      h("p", "Start one; it appears here by itself:"), copyable("sweep run FILE.yaml", "command"));
  }

  const notFound = (state) => h("div.empty", { role: "alert" }, h("h1", `The sweep ${state.sweep} cannot be shown`),
    h("p", model.error("overview").message), h("p", h("a", { href: frame.address({ view: "sweeps", sweep: null }) }, "Show all sweeps")));

  /** The text for screen readers; it changes with the verdict only. */
  function announce(overview) {
    if (overview) announced = verdictView.announcement(overview);
    return announced;
  }

  frame.listen();
  window.addEventListener("resize", drawSoon);
  model.start(drawSoon);
})();
