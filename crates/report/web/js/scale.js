/**
 * Scales, ticks and ranges of charts, and curves on one x axis. Numbers in, numbers out; no DOM.
 */
const scale = (() => {
  const finite = (values) => values.filter((x) => Number.isFinite(x));
  const sorted = (values) => finite(values).sort((a, b) => a - b);

  /** The value below which the share `q` of sorted numbers lies. */
  function quantile(sorted, q) {
    if (!sorted.length) return NaN;
    const at = (sorted.length - 1) * q;
    const low = Math.floor(at);
    return sorted[low] + (sorted[Math.ceil(at)] - sorted[low]) * (at - low);
  }

  const median = (values) => quantile(sorted(values), 0.5);

  /**
   * A range for curves that diverging runs cannot ruin. A value counts as out of range if it is far above what curves usually
   * start at; all values below it are in range.
   * @param {number[][]} curves values of each curve, in the order of steps; null where a run has no value
   * @returns {{low: number, high: number, least: number, cut: number}|null} `least`: smallest positive value; `cut`: number of
   *   curves that leave the range at the top
   */
  function robustRange(curves) {
    const starts = [], ends = [], peaks = [];
    let low = Infinity, least = Infinity;
    for (const values of curves) {
      let start = NaN, end = NaN, peak = -Infinity;
      for (const y of values) {
        if (y === null || !Number.isFinite(y)) continue;
        if (Number.isNaN(start)) start = y;
        end = y;
        if (y > peak) peak = y;
        if (y < low) low = y;
        if (y > 0 && y < least) least = y;
      }
      if (Number.isNaN(start)) continue;
      starts.push(start); ends.push(end); peaks.push(peak);
    }
    if (!starts.length) return null;
    const start = median(starts);
    const usual = Math.max(start, Math.min(median(ends), 4 * Math.abs(start)));
    const limit = usual + 0.5 * Math.max(Math.abs(usual), usual - low);
    const inside = peaks.filter((x) => x <= limit);
    const cut = peaks.length - inside.length;
    const high = cut ? Math.min(limit, Math.max(usual, ...inside)) : Math.max(...inside);
    return { low, high: Math.max(high, low), least, cut };
  }

  /**
   * A range of losses that shows the differences near the optimum: from the best value to well above the typical best of a
   * group. The rest is drawn at the edge, with an arrow.
   * @param {number[][]} groups losses of each schedule, over its lrs
   */
  function optimumRange(groups) {
    const best = sorted(groups.map((values) => Math.min(...finite(values))));
    if (!best.length) return null;
    const all = sorted(groups.flat());
    const spread = quantile(best, 0.9) - best[0];
    const reach = Math.max(2.5 * spread, 0.25 * Math.abs(best[0]), 1e-9);
    return { low: best[0], high: Math.min(all[all.length - 1], best[0] + reach), full: all[all.length - 1] };
  }

  /**
   * The range of the seeds of a ranking: the best value, and of the better half of the groups all but a few bad ones. Values beyond it
   * are drawn at the edge, with an arrow.
   * @param {number[][]} groups values of each schedule, the best schedule first
   */
  function seedRange(groups, lowerIsBetter) {
    const known = groups.map(sorted).filter((values) => values.length);
    if (!known.length) return null;
    const all = known.flat(), better = known.slice(0, Math.max(2, known.length / 2));
    const ends = (q) => better.map((values) => quantile(values, q));
    return lowerIsBetter
      ? { low: Math.min(...all), high: Math.max(...ends(0.95)) }
      : { low: Math.min(...ends(0.05)), high: Math.max(...all) };
  }

  /** A range with a margin at both ends; never empty. */
  function padded(low, high, share = 0.06) {
    const span = high - low || Math.abs(high) * 0.1 || 1;
    return [low - span * share, high + span * share];
  }

  /** Round numbers between two numbers, about `count` of them. */
  function ticks(low, high, count = 6) {
    if (!(high > low)) return [low];
    const rough = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].find((m) => m * power >= rough) * power;
    const out = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) out.push(Number((i * step).toPrecision(12)));
    return out;
  }

  /** Ticks of a logarithmic axis: 1, 2 and 5 times powers of ten, or powers of ten only where there are many. */
  function logTicks(low, high, most = 9) {
    for (const steps of [[1, 2, 5], [1, 3], [1]]) {
      const out = [];
      for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
        for (const m of steps) {
          const x = Number((m * 10 ** e).toPrecision(12));
          if (x >= low * 0.999 && x <= high * 1.001) out.push(x);
        }
      }
      if (out.length <= most || steps.length === 1) return out.length > 1 ? out : ticks(low, high, 4);
    }
    return [];
  }

  /** A function from data to pixels. */
  const linear = (low, high, from, to) => (x) => from + (to - from) * (high === low ? 0.5 : (x - low) / (high - low));
  const log = (low, high, from, to) => {
    const inner = linear(Math.log(low), Math.log(high), from, to);
    return (x) => inner(Math.log(x));
  };

  /** The value of a curve at x by linear interpolation; null outside of it and next to missing values. */
  function valueAt(xs, ys, x) {
    if (!xs.length || x < xs[0] || x > xs[xs.length - 1]) return null;
    let low = 0, high = xs.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (xs[middle] <= x) low = middle; else high = middle;
    }
    if (xs[high] === x) low = high;
    if (xs[low] === x || low === high) return ys[low] ?? null;
    if (ys[low] == null || ys[high] == null) return null;
    return ys[low] + (ys[high] - ys[low]) * (x - xs[low]) / (xs[high] - xs[low]);
  }

  /** The sorted union of lists of x; at most `most` of them, evenly picked. */
  function union(lists, most = 4000) {
    const set = new Set();
    for (const xs of lists) for (const x of xs) set.add(x);
    const all = Float64Array.from(set).sort();
    if (all.length <= most) return Array.from(all);
    const picked = [];
    for (let i = 0; i < most; i++) picked.push(all[Math.round(i * (all.length - 1) / (most - 1))]);
    return picked;
  }

  /** The values of a curve at each x of a common axis: its own points, or interpolated ones if `between`. */
  function onto(common, xs, ys, between) {
    if (xs.length === common.length && xs[0] === common[0] && xs[xs.length - 1] === common[common.length - 1]) return ys;
    if (between) return common.map((x) => valueAt(xs, ys, x));
    const out = new Array(common.length).fill(null);
    let at = 0;
    for (let i = 0; i < common.length && at < xs.length; i++) {
      while (at < xs.length && xs[at] < common[i]) at++;
      if (xs[at] === common[i]) out[i] = ys[at];
    }
    return out;
  }

  return { finite, quantile, median, robustRange, optimumRange, seedRange, padded, ticks, logTicks, linear, log, valueAt, union, onto };
})();
