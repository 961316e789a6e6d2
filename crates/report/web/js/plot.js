/**
 * A chart of curves over steps on a canvas, drawn by uPlot. Two of them with the same `group` share one cursor.
 *
 * @typedef {Object} Line
 * @property {string} name
 * @property {Array<number|null>} y      one value for each x of the chart
 * @property {Array<number|null>} [low]  band, together with `high`
 * @property {Array<number|null>} [high]
 * @property {string} colour
 * @property {number[]} dash
 * @property {number} width
 *
 * @typedef {Object} PlotSpec
 * @property {number} width
 * @property {number} height
 * @property {number[]} x
 * @property {Line[]} lines               the last one is on top
 * @property {[number, number]} xRange
 * @property {function(number, number): [number, number]} yRange range of y for a range of x
 * @property {"log"|"linear"|"symlog"} scale
 * @property {string} xTitle              "" hides the numbers of the x axis too
 * @property {string} yTitle
 * @property {boolean} labels             write the names of wide lines at their right end
 * @property {boolean} [labelSpace]       leave that space empty
 * @property {number} [linearPart]        the size below which a symlog scale is linear
 * @property {string} group
 * @property {function(number|null)} onCursor  index into x, or null
 * @property {function([number, number]|null)} onZoom
 */
const plot = (() => {
  const DISTRIBUTION = { linear: 1, log: 3, symlog: 4 };
  const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";
  /** Space for names at the right end, and for the numbers of the y axis; the same in all charts of a group. */
  const LABELS = 118;
  const AXIS = 58;

  /** What forces a new chart; other changes only replace data and ranges. */
  const signature = (spec) => JSON.stringify([
    spec.scale, spec.xTitle, spec.yTitle, spec.labels, look.css("--ink"),
    spec.lines.map((line) => [line.name, line.colour, line.dash, line.width, Boolean(line.low)]),
  ]);

  /** Draws a chart into an element, or changes the existing one. */
  function show(element, spec) {
    const before = element.plot;
    const mark = signature(spec);
    if (before && before.mark === mark) {
      before.spec = spec;
      if (before.chart.width !== spec.width || before.chart.height !== spec.height) before.chart.setSize(spec);
      if (before.x !== spec.x || before.lines.some((line, i) => line.y !== spec.lines[i].y)) before.chart.setData(columns(spec), false);
      Object.assign(before, { x: spec.x, lines: spec.lines });
      before.chart.setScale("x", { min: spec.xRange[0], max: spec.xRange[1] });
      return before.chart;
    }
    const at = before?.chart.cursor.left ?? -10;
    before?.chart.destroy();
    const own = element.plot = { mark, spec, x: spec.x, lines: spec.lines };
    own.chart = new uPlot(options(own), columns(spec), element);
    own.chart.setScale("x", { min: spec.xRange[0], max: spec.xRange[1] });
    if (at >= 0) own.chart.setCursor({ left: at, top: 0 });
    return own.chart;
  }

  function columns(spec) {
    const out = [spec.x];
    for (const line of spec.lines) {
      out.push(line.y);
      if (line.low) out.push(line.high, line.low);
    }
    return out;
  }

  function options(own) {
    const { spec } = own;
    const series = [{}];
    const bands = [];
    for (const line of spec.lines) {
      // A curve with a single value has no line: it is a dot.
      const points = { show: line.y.filter(format.isNumber).length === 1, size: 6, fill: line.colour };
      series.push({ label: line.name, stroke: line.colour, dash: line.dash, width: line.width, spanGaps: true, points });
      if (!line.low) continue;
      const at = series.length;
      for (let i = 0; i < 2; i++) series.push({ width: 0, spanGaps: true, points: { show: false } });
      bands.push({ series: [at, at + 1], fill: line.colour.replace(")", " / 9%)").replaceAll(",", " ") });
    }
    const distr = DISTRIBUTION[spec.scale];
    return {
      width: spec.width, height: spec.height, series, bands,
      legend: { show: false },
      padding: [10, spec.labels || spec.labelSpace ? LABELS : 14, spec.xTitle ? 0 : 6, 0],
      cursor: {
        sync: { key: spec.group, setSeries: false, scales: ["x", null] },
        drag: { x: true, y: false, setScale: false }, points: { show: false }, y: false,
        bind: { dblclick: () => () => { own.spec.onZoom(null); return null; } },
      },
      scales: {
        x: { time: false, range: () => own.spec.xRange },
        y: { distr, asinh: spec.linearPart || 1, range: () => own.spec.yRange(...own.spec.xRange) },
      },
      axes: axes(spec),
      hooks: {
        setCursor: [(u) => own.spec.onCursor(u.cursor.idx ?? null, u)],
        setSelect: [(u) => chooseZoom(u, own)],
        draw: [(u) => { if (own.spec.labels) drawLabels(u, own.spec); }],
      },
    };
  }

  function axes(spec) {
    const ink = look.css("--faint"), grid = look.css("--rule-soft");
    const common = { stroke: ink, font: FONT, labelFont: FONT, labelGap: 2, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
    const y = {
      ...common, gap: 6, size: AXIS,
      values: (u, ticks) => ticks.map((tick) => tick === null ? "" : format.number(tick, 3)),
    };
    if (spec.scale === "log") Object.assign(y, { splits: (u, i, low, high) => scale.logTicks(low, high), filter: (u, ticks) => ticks });
    const x = { ...common, size: spec.xTitle ? 28 : 0, show: true, values: (u, ticks) => ticks.map(spec.xTitle ? format.count : () => "") };
    if (spec.xTitle) Object.assign(x, { label: spec.xTitle, labelSize: 20 });
    return [x, y];
  }

  /** A range that was dragged with the mouse becomes the zoom. */
  function chooseZoom(u, own) {
    const { left, width } = u.select;
    if (width < 5) return;
    const range = [u.posToVal(left, "x"), u.posToVal(left + width, "x")];
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    own.spec.onZoom(range);
  }

  /** Names at the right end of the wide lines; names that would overlap are moved. */
  function drawLabels(u, spec) {
    const ratio = devicePixelRatio;
    const { left, top, width, height } = u.bbox;
    const places = [];
    for (const line of spec.lines) {
      if (line.width < 1.5) continue;
      const y = endOf(spec, line);
      if (y === null) continue;
      places.push({ line, at: Math.max(top, Math.min(top + height, u.valToPos(y, "y", true))) });
    }
    places.sort((a, b) => a.at - b.at);
    const gap = 14 * ratio;
    spread(places, gap, top, top + height);
    const { ctx } = u;
    ctx.save();
    ctx.font = FONT.replace("12px", `${12 * ratio}px`);
    ctx.textBaseline = "middle";
    ctx.textAlign = "left";
    for (const { line, at } of places) {
      ctx.fillStyle = line.colour;
      ctx.fillText(format.short(line.name, 17), left + width + 8 * ratio, at);
    }
    ctx.restore();
  }

  /** The last value of a line inside the range of x. */
  function endOf(spec, line) {
    for (let i = spec.x.length - 1; i >= 0; i--) {
      if (spec.x[i] <= spec.xRange[1] && Number.isFinite(line.y[i]) && line.y[i] !== null) return line.y[i];
    }
    return null;
  }

  /** Moves sorted places until they are at least `gap` from each other, inside of two limits. */
  function spread(places, gap, low, high) {
    for (let i = 1; i < places.length; i++) places[i].at = Math.max(places[i].at, places[i - 1].at + gap);
    let limit = high;
    for (let i = places.length - 1; i >= 0; i--) {
      places[i].at = Math.max(low, Math.min(places[i].at, limit));
      limit = places[i].at - gap;
    }
  }

  /** Moves the cursor to a point by index, as the arrow keys do. */
  function moveTo(element, index) {
    const { chart } = element.plot;
    const x = element.plot.x[index];
    chart.setCursor({ left: chart.valToPos(x, "x"), top: 10 }, true, true);
  }

  return { show, moveTo };
})();
