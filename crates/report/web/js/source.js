/**
 * Where the data come from: the server of `sweep dashboard`, or the snapshot inside an offline report. All addresses are relative
 * to the page, so that it also works behind a proxy that adds a path.
 */
const source = (() => {
  const inside = document.getElementById("snapshot");
  /** The contents of an offline report, or null on the live page. */
  const snapshot = inside ? JSON.parse(inside.textContent) : null;

  /** An address with its query; null and empty parameters are left out. */
  function address(path, parameters) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(parameters)) if (value !== null && value !== undefined && value !== "") query.set(name, value);
    const text = query.toString();
    return text ? `${path}?${text}` : path;
  }

  /** What a report has in place of an answer; null if it does not contain it. */
  function fromSnapshot(url) {
    const [path, query] = url.split("?");
    const curve = new URLSearchParams(query).get("metric") || "valid";
    const overview = snapshot.overview;
    switch (path) {
      case "api/sweep": return overview;
      case "api/trials": return snapshot.trials;
      case "api/curves": return snapshot.curves?.[curve] || null;
      case "api/stages": return snapshot.stages || null;
      case "api/sweeps": return { store: null, version: overview.generated_by, sweeps: [{ sweep: overview.sweep }] };
      default: return null;
    }
  }

  /** The answer of the server as an object. An error has the server's sentence, and `status` 0 if there was no answer. */
  async function get(url) {
    if (snapshot) return fromSnapshot(url);
    let answer;
    try {
      answer = await fetch(url, { headers: { Accept: "application/json" } });
    } catch {
      throw Object.assign(new Error("The server does not answer."), { status: 0 });
    }
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) throw Object.assign(new Error(body.error || `The server answered ${answer.status}.`), { status: answer.status });
    return body;
  }

  /**
   * The stream of changes of one sweep. The browser reconnects by itself after most errors and sends the id of the last event;
   * where it gives up, a new stream is opened with growing pauses.
   * @param {string} url
   * @param {{open: function, lost: function, event: function(string, Object)}} handlers
   * @returns {function} closes the stream
   */
  function stream(url, handlers) {
    let events = null, timer = 0, pause = 1000;
    const open = () => {
      events = new EventSource(url);
      events.onopen = () => { pause = 1000; handlers.open(); };
      events.onerror = () => {
        handlers.lost();
        if (events.readyState !== EventSource.CLOSED) return;
        timer = setTimeout(open, pause);
        pause = Math.min(2 * pause, 10000);
      };
      for (const name of ["progress", "trials", "changed"]) {
        events.addEventListener(name, (event) => handlers.event(name, JSON.parse(event.data)));
      }
    };
    open();
    return () => { clearTimeout(timer); events.close(); };
  }

  return { snapshot, address, get, stream };
})();
