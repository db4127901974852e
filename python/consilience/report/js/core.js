// What every other file uses: the payload, its cells, words and elements. Model names reach the
// page only as textContent or through `escaped`, because Plotly reads a subset of HTML.
const data = JSON.parse(document.getElementById("payload").textContent);
const STANDS_OUT = 3;  // standard deviations of the null
const PAPER_WIDTH = 680;  // CSS pixels of an A4 page inside its margins
let printing = false;

const at = (id) => document.getElementById(id);
const escaped = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const bold = (text) => "<b>" + escaped(text) + "</b>";
const lines = (list) => list.filter((one) => one !== "").join("<br>");

function shortened(text, most) {
  const letters = Array.from(text);
  if (letters.length <= most) return text;
  // variants differ at the end as often as at the start
  const tail = Math.floor((most - 1) / 3);
  return letters.slice(0, most - 1 - tail).join("") + "…" + letters.slice(letters.length - tail).join("");
}

function element(tag, text, name) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
}

function number(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1000 ? Math.round(value).toLocaleString("en") : size >= 10 ? value.toFixed(1)
    : size >= 0.0995 ? value.toFixed(2) : value.toFixed(3);
  return text.replace(/^-(0\.?0*)$/, "$1").replace("-", "−");
}

function chance(p, letter) {
  if (p >= 0.001) return letter + " = " + p.toFixed(3);
  if (p < 1e-15) return letter + " < 10⁻¹⁵";
  return letter + " = " + p.toExponential(1).replace("-", "−");
}

function amount(count) {
  if (count === null || count === undefined) return "–";
  for (const [limit, unit] of [[1e9, " B"], [1e6, " M"], [1e3, " k"]]) {
    if (count >= limit) return (count / limit).toFixed(count / limit >= 100 ? 0 : 1) + unit;
  }
  return String(count);
}

// ---- cells of a metric: the off-diagonal of a matrix, or its upper half, row by row ----------
function place(part, metric, a, b) {
  const n = part.names.length;
  if (!metric.symmetric) return a * (n - 1) + (b < a ? b : b - 1);
  const [low, high] = a < b ? [a, b] : [b, a];
  return low * n - (low * (low + 1)) / 2 + high - low - 1;
}
function read(part, metric, key, a, b) {
  return metric[key] === null || a === b ? null : metric[key][place(part, metric, a, b)];
}
function byChance(part, metric, a, b) {
  const z = read(part, metric, "z", a, b);
  return z !== null && (metric.lower ? -z : z) <= STANDS_OUT;
}
function evidence(part, metric, a, b) {
  const [low, high, mean, std, z, p, q, calibrated] = ["low", "high", "nullMean", "nullStd", "z", "p", "q", "calibrated"]
    .map((key) => read(part, metric, key, a, b));
  const told = [];
  if (low !== null) told.push("95 % interval " + number(low) + " to " + number(high));
  if (mean !== null) told.push("chance " + number(mean) + (std === null ? "" : " ± " + number(std)));
  if (z !== null) told.push("z = " + (Math.abs(z) >= 10 ? z.toFixed(0).replace("-", "−") : number(z)));
  if (p !== null) told.push(chance(p, "p"));
  if (q !== null) told.push(chance(q, "q"));
  if (calibrated !== null) told.push("calibrated " + number(calibrated));
  return told;
}
function pairName(part, metric, a, b) {
  return part.names[a] + (metric.symmetric ? " and " : " → ") + part.names[b];
}

function span(numbers) {
  let low = Infinity, high = -Infinity;
  for (const value of numbers) {
    if (value === null || value === undefined) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return [0, 1];
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}
const rowsOf = (table) => Object.values(table)[0].map((_, i) => i);
