/**
 * Numbers, times and counts as text. No DOM.
 */
const format = (() => {
  /** What is shown where there is no number. */
  const NONE = "–";

  const isNumber = (x) => typeof x === "number" && Number.isFinite(x);

  /** A number with `digits` significant digits, without a tail of zeros: 0.08130 is "0.0813". */
  function number(x, digits = 4) {
    if (!isNumber(x)) return NONE;
    if (x === 0) return "0";
    const size = Math.abs(x);
    if (size >= 1e6 || size < 1e-4) {
      return x.toExponential(Math.min(digits - 1, 3)).replace(/\.?0+e/, "e").replace("e+", "e");
    }
    const places = Math.max(0, Math.min(10, digits - 1 - Math.floor(Math.log10(size))));
    const text = x.toFixed(places);
    return places ? text.replace(/\.?0+$/, "") : text;
  }

  /** A number with exactly five digits, for columns whose values have the same size. */
  const exact = (x) => !isNumber(x) ? NONE : Math.abs(x) < 1e-4 || Math.abs(x) >= 1e5 ? number(x, 5) : x.toPrecision(5);

  /** Numbers of one column with the same number of decimals, so that the points are below each other. */
  function column(values, digits = 4) {
    const sizes = values.filter(isNumber).map(Math.abs).filter((x) => x > 0);
    if (!sizes.length) return () => NONE;
    const largest = Math.max(...sizes);
    if (largest >= 1e6 || largest < 1e-4) return (x) => number(x, digits);
    const places = Math.max(0, Math.min(8, digits - 1 - Math.floor(Math.log10(largest))));
    return (x) => !isNumber(x) ? NONE : Math.abs(x) >= 1e6 ? number(x, digits) : x.toFixed(places);
  }

  /** A difference with its sign. */
  const signed = (x, digits = 3) => !isNumber(x) ? NONE : (x > 0 ? "+" : x < 0 ? "−" : "") + number(Math.abs(x), digits);

  /** Differences of one column with their signs and the same number of decimals. */
  function signedColumn(values) {
    const text = column(values, 3);
    return (x) => !isNumber(x) ? NONE : (x > 0 ? "+" : x < 0 ? "−" : "") + text(Math.abs(x));
  }

  /** A count with separators: 18,600. */
  const count = (x) => isNumber(x) ? String(Math.round(x)).replace(/\B(?=(\d{3})+$)/g, ",") : NONE;

  /** "1 run", "2 runs". */
  const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;

  /** An e-value: the evidence against equality, 1 without any. */
  const eValue = (e) => !isNumber(e) ? NONE : e >= 10000 ? "> 10000" : e.toFixed(e < 100 ? 1 : 0);

  /** A p-value. Tiny ones are bounds, because their digits say nothing. */
  const pValue = (p) => !isNumber(p) ? NONE : p < 0.0001 ? "< 0.0001" : p > 0.9995 ? "1" : p.toFixed(p < 0.01 ? 4 : 3);

  const percent = (x, places = 1) => isNumber(x) ? `${(100 * x).toFixed(places)} %` : NONE;

  /** A span of milliseconds in words: "41 s", "12 min", "3 h 20 min". */
  function duration(ms) {
    if (!isNumber(ms)) return NONE;
    if (ms < 1) return "0 s";
    if (ms < 1000) return `${Math.round(ms)} ms`;
    const seconds = ms / 1000;
    if (seconds < 10) return `${seconds.toFixed(1)} s`;
    if (seconds < 90) return `${Math.round(seconds)} s`;
    const minutes = Math.round(seconds / 60);
    if (minutes < 90) return `${minutes} min`;
    const hours = Math.floor(minutes / 60);
    if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
    return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  }

  const two = (n) => String(n).padStart(2, "0");

  /** A time of day, with the date if it is not the day of `now`. Local time. */
  function clock(ms, now = Date.now()) {
    if (!isNumber(ms)) return NONE;
    const at = new Date(ms);
    const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
    if (at.toDateString() === new Date(now).toDateString()) return time;
    return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
  }

  /** "3 min ago". */
  const ago = (ms, now) => isNumber(ms) ? (now - ms < 2000 ? "just now" : `${duration(now - ms)} ago`) : NONE;

  /** The first digits of a 32-digit id, enough for the commands. */
  const id = (text) => text ? String(text).slice(0, 8) : NONE;

  /** A name with at most `most` letters. */
  function short(name, most) {
    const letters = Array.from(name);
    return letters.length > most ? letters.slice(0, most - 1).join("") + "…" : name;
  }

  /** The first letter as a capital, for sentences that the server writes in lower case. */
  const capital = (text) => text ? text[0].toUpperCase() + text.slice(1) : "";

  /** The name of a metric in a sentence. */
  const words = (name) => name.replaceAll("_", " ");

  return { NONE, isNumber, number, exact, column, signed, signedColumn, count, plural, eValue, pValue, percent, duration, clock, ago, id, short, capital, words };
})();
