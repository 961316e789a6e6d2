/**
 * What is around the views: the bar with the sweep, its state and the menus, the links to the views, the list of schedules, help,
 * tooltips, messages, keys.
 */
const frame = (() => {
  const TITLES = {
    verdict: "Verdict", curves: "Curves", lr: "Learning rate", differences: "Differences", stages: "Shared steps", budgets: "Budgets",
    table: "Table", sweeps: "Sweeps",
  };
  const KEYS = [
    ["1 to 8", "Open a view, in the order of the links"], ["/", "Find in the table of trials"], ["s", "Move to the list of schedules"],
    ["t", "Light, dark, or the theme of the system"], ["z", "Curves: whole run or last fifth"], ["x", "Clear the selection"],
    ["?", "This help"], ["Escape", "Close a menu or this help; in the curves: reset the zoom"],
    ["Arrow keys", "In a chart: move the cursor or the point (with Shift by 10). In the table: move the row"], ["Space, Enter", "Press a button or a point; in the table: select a row, show its curve"],
    ["Alt + ←, Alt + →", "Back and forward in the selection"],
  ];

  let message = "";
  let messageTimer = 0;
  let findText = "";

  // --- the bar -------------------------------------------------------------------------------------------------------

  function bar(overview, state) {
    const sweeps = model.get("sweeps")?.sweeps || [];
    return h("header.bar",
      h("a.brand", { href: address({ view: "sweeps" }), onclick: go({ view: "sweeps" }) }, h("svg", { viewBox: "0 0 16 16", "aria-hidden": true },
        h("path.a", { d: "M1.5 13C4.5 2 6 2 7.5 4S11 12.5 14.5 12.5" }), h("path.b", { d: "M1.5 13 4.5 4.5h5.5l4 8.5" })), "sweep"),
      sweeps.length > 1 ? h("select", { "aria-label": "Sweep", value: state.sweep ?? "", onchange: (event) => model.open(event.target.value) },
        sweeps.map((item) => h("option", { key: item.sweep, value: item.sweep }, item.sweep)))
        : state.sweep !== null && h("span.current.text", { dir: "auto" }, state.sweep),
      overview && h("span", { class: `chip ${overview.state}` }, overview.state),
      connection(),
      h("span.spacer"),
      overview && saveMenu(state),
      h("button.quiet", { onclick: theme, "aria-label": `Theme: ${themeName()}. Change it` }, themeName()),
      h("button.quiet", { onclick: help, "aria-label": "Help and keys" }, "?"));
  }

  function connection() {
    const { word } = model.live;
    if (word === "snapshot") return h("span.live", { "data-tip": "This file contains the results of its date. It does not change." }, "report");
    if (word === "reconnecting") return h("span.live.lost", { role: "status" }, "reconnecting…");
    return h("span.live", { role: "status" }, word === "live" ? "live" : "");
  }

  function saveMenu(state) {
    const file = (path) => source.address(path, { sweep: state.sweep });
    return h("details.menu.save", { key: "save" }, h("summary", "Save as"),
      h("div.panel.right",
        !model.isOffline && h("a", { href: file("report.html"), download: `${state.sweep}.html` }, "Report: one file that needs no network"),
        h("button", { onclick: saveSelected }, "CSV of the selected or filtered trials"),
        !model.isOffline && h("a", { href: file("results.csv"), download: `${state.sweep}.csv` }, "CSV of all trials")));
  }

  function saveSelected() {
    const trials = model.get("trials");
    if (trials) trialsView.saveCsv(trials, model.state);
    else say("The trials are being loaded: try again in a moment.");
  }

  /** The line of progress while the sweep is not finished. */
  function progress(overview) {
    const { progress: p, state, verdict } = overview;
    if (state === "finished" || state === "empty" || !p.steps) return null;
    const share = p.steps_done / p.steps;
    const round = { tuning: "Choosing the learning rates", deciding: "Deciding seeds", all: "All runs" }[p.round] || "";
    const parts = [
      verdict.phase === "deciding" ? `${round}: ${verdict.seeds_done} of ${verdict.seeds} complete` : round,
      `${format.count(p.done + p.diverged)} of ${format.plural(p.trials, "trial")} done`,
      p.running && `${p.running} running`, p.left_over && `${p.left_over} left over`, p.failed && `${p.failed} failed`,
      p.round_left_ms !== null && p.round_left_ms !== undefined && `${format.duration(p.round_left_ms)} left in this round`,
      p.left_ms !== null && p.left_ms !== undefined && `${format.duration(p.left_ms)} left in all`,
      p.steps_per_second && `${format.count(p.steps_per_second)} steps/s`,
    ].filter(Boolean);
    return h("section.progress", { "aria-label": "Progress" },
      h("div.track", { role: "progressbar", "aria-label": "Trained steps", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.floor(100 * share) },
        h("div", { class: `fill ${state}`, style: { width: `${100 * share}%` } })),
      h("ul", h("li", { key: "share" }, h("strong", `${Math.floor(100 * share)} %`), " of the planned steps"), parts.map((text) => h("li", text))));
  }

  /** Views that say something about this sweep. */
  function views(overview) {
    return link.VIEWS.filter((view) => {
      if (view === "budgets") return !overview || overview.budgets.length > 1;
      return !model.isOffline || (view !== "sweeps" && (view !== "stages" || source.snapshot.stages));
    });
  }

  const address = (changes) => "#" + link.write({ ...model.state, ...changes });
  const go = (changes) => (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    model.set(changes);
  };

  /** Scrolls the links so that the one of a newly opened view is visible. */
  function showTab(element) {
    const isCurrent = element.hasAttribute("aria-current");
    if (isCurrent && !element.wasCurrent) requestAnimationFrame(() => element.scrollIntoView({ block: "nearest", inline: "center" }));
    element.wasCurrent = isCurrent;
  }

  function tabs(overview, state) {
    return h("nav.tabs", { "aria-label": "Views" }, h("ul", views(overview).map((view) => h("li", { key: view },
      h("a", { href: address({ view }), "aria-current": state.view === view ? "page" : null, onclick: go({ view }), update: showTab }, TITLES[view])))));
  }

  // --- the list of schedules -----------------------------------------------------------------------------------------

  function schedules(overview, state) {
    const names = look.coloured(overview, state);
    const number = format.column(overview.ranking.map((line) => line.mean));
    const find = findText.toLowerCase();
    const list = overview.ranking.filter((line) => line.schedule.toLowerCase().includes(find));
    return h("aside.schedules", { "aria-label": "Schedules" },
      h("details", { open: innerWidth >= 900, key: "list" },
        h("summary", h("h2", "Schedules"), h("small", state.schedules.length ? `${state.schedules.length} selected` : `${names.length} of ${overview.ranking.length} coloured`)),
        h("div.tools",
          h("label", "Colour the best ", h("input", {
            type: "number", min: 0, max: 100, value: state.top, onchange: (event) => model.set({ top: Math.max(0, Math.min(100, Math.round(Number(event.target.value)) || 0)) }),
          })),
          state.schedules.length > 0 && h("button.quiet", { onclick: () => model.set({ schedules: [] }) }, "Clear")),
        overview.ranking.length > 12 && h("input", { type: "search", placeholder: "Find a schedule", "aria-label": "Find a schedule", value: findText, oninput: (event) => { findText = event.target.value; model.redraw(); } }),
        h("ul", { id: "schedule-list", onkeydown: moveInList },
          list.map((line) => h("li", { key: line.schedule }, look.pick(line.schedule, h("span.number", number(line.mean)))))),
        h("p.note", overview.verdict.complete ? "In the order of the ranking." : "By the mean so far; no ranking yet.")));
  }

  function moveInList(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const buttons = Array.from(event.currentTarget.querySelectorAll("button"));
    const next = buttons[buttons.indexOf(document.activeElement) + step];
    if (next) next.focus();
    event.preventDefault();
  }

  // --- small parts that views share ----------------------------------------------------------------------------------

  /** What is shown while data are missing: loading, or the error. */
  function waiting(name) {
    const failure = model.error(name);
    if (failure) return h("p.empty", { role: "alert" }, failure.message);
    if (model.isOffline) return h("p.empty", "This report does not contain these data. Open the sweep with sweep dashboard.");
    return h("p.empty.loading", "Loading…");
  }

  /** A button that switches a detail on and off. */
  const flag = (name, text, tip) => h("button.quiet", {
    "aria-pressed": model.has(name), "data-tip": tip, onclick: () => model.toggle("show", name),
  }, text);

  /** The choice of the run length, for sweeps with several. */
  function budgetChoice(overview, state) {
    if (overview.budgets.length < 2 || model.isOffline) return null;
    return h("div.choice", h("label", h("span.label", "Run length"), h("select", {
      value: state.budget || String(overview.budget), onchange: (event) => model.set({ budget: event.target.value }),
    }, overview.budgets.map((steps) => h("option", { value: steps, key: steps }, `${format.count(steps)} steps`)))));
  }

  function say(text) {
    message = text;
    clearTimeout(messageTimer);
    messageTimer = setTimeout(() => { message = ""; model.redraw(); }, 4000);
    model.redraw();
  }

  async function copy(text, what) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      copyByHand(text);
    }
    say(`Copied the ${what}.`);
  }

  /** Copies where the clipboard of the browser is closed to the page, as over plain http. */
  function copyByHand(text) {
    const focused = document.activeElement;
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "hidden";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    focused?.focus({ preventScroll: true });
  }

  function save(name, text, type) {
    const url = URL.createObjectURL(new Blob([text], { type }));
    const anchor = document.createElement("a");
    anchor.href = url;
    anchor.download = name.replace(/[\\/:*?"<>|\u0000-\u001f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "_").slice(-120);
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  // --- theme, help, keys ---------------------------------------------------------------------------------------------

  const stored = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  const store = (name, value) => { try { localStorage.setItem(name, value); } catch { /* a file has no storage in some browsers */ } };

  const themeName = () => ({ light: "Light", dark: "Dark" })[document.documentElement.dataset.theme] || "Auto";

  function theme() {
    const next = { Auto: "light", Light: "dark", Dark: "" }[themeName()];
    if (next) document.documentElement.dataset.theme = next;
    else delete document.documentElement.dataset.theme;
    store("theme", next);
    model.redraw();
  }

  function help() {
    const dialog = document.getElementById("help");
    if (!dialog.open) dialog.showModal();
  }

  const areKeysOn = () => stored("keys") !== "off";

  function helpDialog() {
    return h("dialog", { id: "help", "aria-labelledby": "help-title" },
      h("div.heading", h("h2", { id: "help-title" }, "Keys and help"), h("button.quiet", { onclick: () => document.getElementById("help").close() }, "Close")),
      h("table", h("tbody", KEYS.map(([key, text]) => h("tr", h("th", { scope: "row" }, h("kbd", key)), h("td", text))))),
      h("label.line", h("input", { type: "checkbox", checked: areKeysOn(), onchange: (event) => store("keys", event.target.checked ? "on" : "off") }), " Keys of one letter are on"),
      h("p.note", "The address of the page contains the sweep, the view, the selection and the filter: a copied address shows the same. This page never changes the store."));
  }

  function onKey(event) {
    if (event.key === "Escape") document.querySelectorAll("details.menu[open]").forEach((menu) => { menu.open = false; menu.firstElementChild.focus(); });
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox";
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.getElementById("help").open || !areKeysOn()) return;
    const view = views(model.get("overview"))[Number(event.key) - 1];
    const actions = {
      "?": help, t: theme, x: () => model.set({ schedules: [], trials: [] }), z: () => model.set({ zoom: model.state.zoom ? "" : "fifth" }),
      s: () => document.querySelector("#schedule-list button")?.focus(),
      "/": () => { model.set({ view: "table" }); requestAnimationFrame(() => document.getElementById("find")?.focus()); },
    };
    const action = view ? () => model.set({ view }) : actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  /** A menu closes when the focus or the mouse goes elsewhere. */
  function closeMenus(event) {
    document.querySelectorAll("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  }

  // --- tooltips ------------------------------------------------------------------------------------------------------

  function showTip(event) {
    const tip = document.getElementById("tip");
    const owner = event.target.closest?.("[data-tip]");
    if (!owner || (event.type === "focusin" && !owner.matches(":focus-visible"))) {
      tip.hidden = true;
      return;
    }
    tip.textContent = owner.getAttribute("data-tip");
    tip.hidden = false;
    const at = owner.getBoundingClientRect(), own = tip.getBoundingClientRect();
    const left = Math.max(8, Math.min(innerWidth - own.width - 8, at.left + at.width / 2 - own.width / 2));
    const above = at.top - own.height - 8;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 4 ? above : at.bottom + 8}px`;
  }

  function listen() {
    const saved = stored("theme");
    if (saved === "light" || saved === "dark") document.documentElement.dataset.theme = saved;
    document.addEventListener("keydown", onKey);
    document.addEventListener("click", closeMenus);
    document.addEventListener("focusin", closeMenus);
    for (const type of ["mouseover", "focusin"]) document.addEventListener(type, showTip);
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") document.getElementById("tip").hidden = true; });
    document.addEventListener("scroll", () => { document.getElementById("tip").hidden = true; }, true);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => model.redraw());
  }

  const messageLine = () => h("div.message", { role: "status", key: "message" }, message);

  return { TITLES, bar, progress, tabs, schedules, waiting, flag, budgetChoice, say, copy, save, helpDialog, messageLine, listen, address, go };
})();
