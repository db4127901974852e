// The matrix of a part: every pair of models under one metric, like beside like.
const SHOWN = {
  values: { name: (metric) => metric.title, level: (metric) => metric.chanceLevel },
  z: { name: (metric) => "Standard deviations from chance, " + metric.title, level: () => 0 },
  calibrated: { name: (metric) => metric.title + ", calibrated", level: () => null },
  q: { name: (metric) => "False discovery rate q, " + metric.title, level: () => null },
};
const MOST_Q = 0.2;

function matrixOf(part, panel, pair) {
  const section = panel.querySelector(".matrix");
  const role = (name) => panel.querySelector('[data-role="' + name + '"]');
  const box = role("heat");
  const byLabel = new Map(part.metrics.map((metric) => [metric.label, metric]));
  const headline = byLabel.get(part.headline) || part.metrics[0];
  let shown = null;  // {metric, order, what}
  let cursor = null;  // [row, column] of the keyboard

  function ordered(metric) {
    const all = part.names.map((_, i) => i);
    const choice = role("order").value;
    if (choice === "given") return { order: all, tree: [], told: "Models as given." };
    if (choice === "modality") {
      const rank = new Map(headline.order.map((i, p) => [i, p]));
      const kinds = Object.keys(part.looks);
      return { order: all.sort((a, b) => kinds.indexOf(part.modality[a]) - kinds.indexOf(part.modality[b]) || rank.get(a) - rank.get(b)), tree: [], told: "Models by modality." };
    }
    if (choice === "mean") {
      const mean = (i) => all.reduce((sum, j) => sum + (i === j ? 0 : read(part, metric, "values", i, j) + read(part, metric, "values", j, i)), 0);
      const means = all.map(mean);
      return { order: all.sort((a, b) => (metric.lower ? means[a] - means[b] : means[b] - means[a])), tree: [], told: "Models by mean agreement with all others, the highest first." };
    }
    const source = choice === "own" ? metric : headline;
    return { order: source.order, tree: source.tree, told: "Models clustered by " + source.title + (source === metric ? "." : ", the same for every metric.") };
  }
  function colorRange(metric, what, cells) {
    if (what === "q") return [0, MOST_Q];
    if (what === "calibrated") return role("range").value === "fit" ? span(cells.flat()) : [0, 1];
    const fitted = span(cells.flat());
    if (what === "z" || role("range").value === "fit") return fitted;
    const [low, high] = metric.bounds;
    // correlations could reach −1 but alignments do not: half an empty scale shows nothing
    const floor = low !== null && low < 0 && fitted[0] > -0.05 ? Math.min(0, fitted[0]) : low;
    return [floor === null ? fitted[0] : floor, high === null ? fitted[1] : high];
  }
  function hover(metric, a, b) {
    return lines([bold(pairName(part, metric, a, b)), escaped(metric.title) + " <b>" + number(read(part, metric, "values", a, b)) + "</b>", ...evidence(part, metric, a, b), "n = " + part.n.toLocaleString("en")]);
  }

  function draw() {
    const variant = role("variant");
    const metric = byLabel.get((variant && variant.value) || section.querySelector('[data-role="metric"] input:checked').value);
    section.classList.toggle("by-variant", Boolean(variant && variant.value));
    const show = role("show");
    for (const option of show.options) option.disabled = metric[option.value] === null;
    if (metric[show.value] === null) show.value = "values";
    const what = show.value;
    const { order, tree, told } = ordered(metric);
    shown = { metric, order, what };
    const view = { width: widthOf(box) };
    view.narrow = view.width < 560;
    const cells = order.map((a) => order.map((b) => read(part, metric, what, a, b)));
    const { traces, layout, step } = heatMap(part, metric, what, order, tree, cells, colorRange(metric, what, cells), view, hover);
    Plotly.react(box, traces, layout, config);
    box.dataset.metric = metric.label;
    box.dataset.show = what;
    role("caption").replaceChildren(...caption(part, metric, what, told, step));
    drawCard(metric);
    pair.show(metric);
    mark();
  }
  function drawCard(metric) {
    // the methods section has said it already
    const article = Array.from(document.querySelectorAll("#methods article")).find((one) => JSON.parse(one.dataset.labels).includes(metric.label));
    role("card").replaceChildren(...Array.from(article.childNodes, (node) => node.cloneNode(true)));
  }
  function mark() {
    if (!shown) return;
    const rects = (box.layout.shapes || []).filter((one) => one.name !== "cursor");
    if (cursor) {
      const [row, column] = cursor;
      const [a, b] = [shown.order[row], shown.order[column]];
      rects.push({ name: "cursor", type: "rect", x0: column - 0.5, x1: column + 0.5, y0: row - 0.5, y1: row + 0.5, line: { color: color("two"), width: 3 } });
      role("cursor").textContent = a === b ? part.names[a] + " with itself" : [pairName(part, shown.metric, a, b), number(read(part, shown.metric, "values", a, b)), ...evidence(part, shown.metric, a, b)].join(" · ");
    } else role("cursor").textContent = "";
    Plotly.relayout(box, { shapes: rects });
  }
  const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  box.addEventListener("keydown", (event) => {
    const last = part.names.length - 1;
    if (STEPS[event.key]) {
      const [down, right] = STEPS[event.key];
      const [row, column] = cursor || [0, 0];
      cursor = cursor ? [Math.max(0, Math.min(last, row + down)), Math.max(0, Math.min(last, column + right))] : [0, 1];
      mark();
      event.preventDefault();
    } else if (event.key === "Enter" && cursor) {
      pair.choose(shown.order[cursor[0]], shown.order[cursor[1]], true);
      event.preventDefault();
    } else if (event.key === "Escape") { cursor = null; mark(); }
  });
  box.addEventListener("blur", () => { if (cursor) { cursor = null; mark(); } });
  section.querySelectorAll("input, select").forEach((one) => one.addEventListener("change", () => {
    if (one.type === "radio" && role("variant")) role("variant").value = "";
    cursor = null;
    draw();
  }));
  listenToLinks(section, box, () => ({ name: part.name + "-matrix-" + shown.metric.label.replace(/[^\w=.]+/g, "-") + (shown.what === "values" ? "" : "-" + shown.what), table: tableOf(part, shown.metric) }));
  let ready = false;
  return () => {
    draw();
    if (ready) return;
    ready = true;
    box.on("plotly_click", (event) => {
      const point = event.points[0];
      if (point && point.curveNumber === 0) pair.choose(shown.order[point.y], shown.order[point.x], true);
    });
  };
}

function heatMap(part, metric, what, order, tree, cells, range, view, hover) {
  const count = order.length;
  const { width: total, narrow } = view;
  const names = order.map((i) => shortened(part.names[i], narrow ? 13 : 26));
  const letters = narrow ? 10.5 : count > 18 ? 12 : 13;
  const longest = widest(names, letters);
  const kinds = Object.keys(part.looks).length > 1;
  const left = longest + 12 + (metric.symmetric ? 0 : 24);
  const right = narrow ? 8 : 92;
  const size = Math.max(4, Math.min(64, (total - left - right) / (count + 0.7), Math.max(20, 820 / count)));
  const strip = kinds ? Math.max(0.3, 9 / size) : 0;
  const side = size * (count + strip);
  const crown = tree.length ? (narrow ? 34 : 56) : 0;
  const below = Math.round(longest * 0.8) + 22 + (metric.symmetric ? 0 : 24);
  const above = narrow ? 62 : 10;
  const layout = base(view, above + crown + side + below, { l: left, r: Math.max(right, total - left - side), t: above, b: below, autoexpand: false });
  const heat = {
    type: "heatmap", z: cells, customdata: order.map((a) => order.map((b) => (a === b ? "" : hover(metric, a, b)))),
    hovertemplate: "%{customdata}<extra></extra>", hoverongaps: false, xgap: size > 14 ? 1.5 : 0, ygap: size > 14 ? 1.5 : 0, colorscale: "Cividis",
    reversescale: what === "q" || (metric.lower && what !== "calibrated"), zmin: range[0], zmax: range[1], colorbar: colorBar(range, SHOWN[what].level(metric), narrow),
  };
  if (size >= 27) {
    heat.text = order.map((a, i) => order.map((b, j) => (a === b || cells[i][j] === null ? "" : (what === "z" ? Math.round(cells[i][j]).toString().replace("-", "−") : cellText(cells[i][j])) + (byChance(part, metric, a, b) ? "°" : ""))));
    heat.texttemplate = "%{text}";
    heat.textfont = { size: size >= 44 ? 13 : 10 };
  }
  const step = Math.max(1, Math.ceil((letters + 1) / size));  // labels must not overlap
  const named = order.map((_, i) => i).filter((i) => i % step === 0);
  const ticks = { tickmode: "array", tickvals: named, ticktext: named.map((i) => escaped(names[i])), showgrid: false, ticks: "", showline: false, tickfont: { size: letters, color: color("ink") } };
  layout.xaxis = axis(metric.symmetric ? "" : "to", Object.assign({ tickangle: -50, range: [-0.5 - strip, count - 0.5] }, ticks));
  layout.yaxis = axis(metric.symmetric ? "" : "from", Object.assign({ range: [count - 0.5 + strip, -0.5], domain: [0, side / (side + crown)] }, ticks));
  layout.shapes = kinds ? order.flatMap((i, p) => {
    const paint = { type: "rect", fillcolor: part.looks[part.modality[i]].color, line: { width: 0 }, layer: "above" };
    const inset = Math.min(0.06, 1 / size);
    return [
      Object.assign({}, paint, { x0: -0.5 - strip, x1: -0.5 - strip * 0.3, y0: p - 0.5 + inset, y1: p + 0.5 - inset }),
      Object.assign({}, paint, { y0: count - 0.5 + strip * 0.3, y1: count - 0.5 + strip, x0: p - 0.5 + inset, x1: p + 0.5 - inset }),
    ];
  }) : [];
  const traces = [heat];
  if (tree.length) {
    const top = Math.max(...tree.flatMap((link) => link[1]));
    layout.yaxis2 = { domain: [side / (side + crown) + 0.005, 1], visible: false, range: [0, top * 1.04], fixedrange: true };
    traces.push({ type: "scatter", mode: "lines", yaxis: "y2", hoverinfo: "skip", line: { color: color("muted"), width: 1.2 }, x: tree.flatMap((link) => [...link[0], null]), y: tree.flatMap((link) => [...link[1], null]) });
  }
  return { traces, layout, step };
}
function cellText(value) {
  const text = value.toFixed(2).replace(/^-0\.00$/, "0.00");
  return text.replace(/^(-?)0\./, "$1.").replace("-", "−");
}
function caption(part, metric, what, told, step) {
  const said = [SHOWN[what].name(metric) + "."];
  if (!metric.symmetric) said.push("Read from the row to the column.");
  said.push(what === "q" ? "Light is the more certain; " + MOST_Q + " and more is darkest." : metric.lower && what === "values" ? "Lower is more alike; light is more alike." : "Light is more alike.");
  said.push(told);
  if (metric.z !== null) said.push("° lies within 3 standard deviations of chance, or on its far side.");
  if (step > 1) said.push("One label in " + step + " is shown.");
  said.push("Point at a cell for its interval and null; select it, or walk with the arrow keys and press Enter, to see the pair under every metric.");
  const kinds = Object.keys(part.looks);
  if (kinds.length < 2) return [said.join(" ")];
  const key = element("span", undefined, "key");
  key.append("Modality: ", ...kinds.map((kind) => {
    const one = element("span", kind);
    one.style.setProperty("--mark", part.looks[kind].color);
    return one;
  }));
  return [key, said.join(" ")];
}
function tableOf(part, metric) {
  const keys = [["score", "values"], ["low", "low"], ["high", "high"], ["null_mean", "nullMean"], ["null_std", "nullStd"], ["z", "z"], ["p", "p"], ["q", "q"], ["calibrated", "calibrated"]].filter(([, key]) => metric[key] !== null);
  const table = { model_a: [], model_b: [] };
  for (const [name] of keys) table[name] = [];
  const n = part.names.length;
  for (let a = 0; a < n; a++) for (let b = metric.symmetric ? a + 1 : 0; b < n; b++) {
    if (a === b) continue;
    table.model_a.push(part.names[a]);
    table.model_b.push(part.names[b]);
    for (const [name, key] of keys) table[name].push(read(part, metric, key, a, b));
  }
  return table;
}
