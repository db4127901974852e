// Drawers by the kind of a figure. Each takes a view {width, narrow, figure, part, choices} and
// returns {traces, layout}; `options` name the choices that a reader has.
const drawers = {};
const options = {};
const clicks = {};

function smallHeat(view, rows, columns, cells, hover, titles) {
  const { width: total, narrow } = view;
  const short = (list) => list.map((one) => shortened(one, narrow ? 13 : 26));
  const letters = narrow ? 10.5 : 13;
  const left = widest(short(rows), letters) + 14 + (titles[0] ? 24 : 0);
  const below = Math.round(widest(short(columns), letters) * 0.8) + 22 + (titles[1] ? 24 : 0);
  const right = narrow ? 8 : 100;
  const size = Math.max(8, Math.min(72, (total - left - right) / columns.length));
  const high = Math.min(size, 54);
  const above = narrow ? 56 : 12;
  const layout = base(view, above + high * rows.length + below, { l: left, r: Math.max(right, total - left - size * columns.length), t: above, b: below, autoexpand: false });
  const range = span(cells.flat());
  const heat = {
    type: "heatmap", z: cells, customdata: hover, hovertemplate: "%{customdata}<extra></extra>", hoverongaps: false, xgap: 1.5, ygap: 1.5,
    colorscale: "Cividis", zmin: range[0], zmax: range[1], colorbar: Object.assign(colorBar(range, null, narrow), narrow ? {} : { len: 1, y: 0.5, yanchor: "middle" }),
  };
  if (size >= 27) {
    heat.text = cells.map((row) => row.map((value) => (value === null ? "" : cellText(value))));
    heat.texttemplate = "%{text}";
    heat.textfont = { size: size >= 44 ? 13 : 10 };
  }
  const ticks = (list, more) => Object.assign({ tickmode: "array", tickvals: list.map((_, i) => i), ticktext: short(list).map(escaped), showgrid: false, ticks: "", showline: false, tickfont: { size: letters, color: color("ink") } }, more);
  layout.xaxis = axis(titles[1], ticks(columns, { tickangle: -50, range: [-0.5, columns.length - 0.5] }));
  layout.yaxis = axis(titles[0], ticks(rows, { range: [rows.length - 0.5, -0.5] }));
  return { traces: [heat], layout };
}

drawers.condensed = (view) => {
  const { table, more } = view.figure;
  const groups = more.groups;
  const cells = groups.map(() => groups.map(() => null));
  const hover = groups.map(() => groups.map(() => ""));
  for (const i of rowsOf(table)) {
    const [a, b] = [groups.indexOf(table.group_a[i]), groups.indexOf(table.group_b[i])];
    const told = lines([bold(groups[a] === groups[b] ? "within " + groups[a] : groups[a] + " and " + groups[b]), "mean " + escaped(more.title) + " <b>" + number(table.mean[i]) + "</b>",
      table.low[i] === null ? "" : "95 % interval " + number(table.low[i]) + " to " + number(table.high[i]), (table.pairs[i] || 0) + " pairs"]);
    cells[a][b] = cells[b][a] = table.mean[i];
    hover[a][b] = hover[b][a] = told;
  }
  return smallHeat(view, groups, groups, cells, hover, ["", ""]);
};

options.layers = (figure) => (figure.table.calibrated.some((one) => one !== null) ? [{ id: "show", label: "Show", values: [["score", "score"], ["calibrated", "calibrated"]] }] : []);
drawers.layers = (view) => {
  const { table, more } = view.figure;
  const shown = table[view.choices.show || "score"];
  const cells = more.rows.map((_, i) => more.columns.map((_, j) => shown[i * more.columns.length + j]));
  const hover = more.rows.map((a, i) => more.columns.map((b, j) => {
    const at = i * more.columns.length + j;
    return lines([bold(a + " and " + b), escaped(more.title) + " <b>" + number(table.score[at]) + "</b>", table.calibrated[at] === null ? "" : "calibrated " + number(table.calibrated[at])]);
  }));
  return smallHeat(view, more.rows, more.columns, cells, hover, [shortened(more.a, 30), shortened(more.b, 40)]);
};

options.convergence = () => [{ id: "by", label: "Colour by", values: [["family", "family"], ["modality", "modality"]] }];
drawers.convergence = (view) => {
  const { table, more } = view.figure;
  const { narrow } = view;
  const by = view.choices.by || "family";
  const known = table.parameters.filter(Boolean).map(Math.log10);
  const [low, high] = known.length ? span(known) : [0, 1];
  const sizes = table.parameters.map((count) => (narrow ? 0.75 : 1) * (count ? 10 + (16 * (Math.log10(count) - low)) / (high - low) : 10));
  const height = tall(view, 420, 520);
  const margin = { l: 64, r: 14, t: 12, b: 56 };
  const layout = base(view, height, margin);
  const xs = padded(span(table.performance), 0.08);
  const ys = padded(span([...table.alignment, ...table.low, ...table.high]), 0.08);
  layout.xaxis = axis(more.axis + (more.lower ? " (lower is better)" : ""), { range: xs });
  layout.yaxis = axis(narrow ? more.title + " with the best" : more.title + " with " + shortened(more.best, 30) + ", the best", { range: ys });
  layout.showlegend = true;
  layout.legend = legend(view);
  const traces = byCategory(more.looks[by], table[by], (rows, look) => ({
    x: rows.map((i) => table.performance[i]), y: rows.map((i) => table.alignment[i]), marker: Object.assign(markOf(look, rows.map((i) => sizes[i])), { opacity: 0.92 }),
    error_y: { type: "data", symmetric: false, thickness: 1.1, width: 3, color: color("muted"), array: rows.map((i) => (table.high[i] === null ? 0 : table.high[i] - table.alignment[i])), arrayminus: rows.map((i) => (table.low[i] === null ? 0 : table.alignment[i] - table.low[i])) },
    customdata: rows.map((i) => lines([bold(table.name[i]), escaped(more.axis) + " " + number(table.performance[i]), escaped(more.title) + " with " + escaped(more.best) + " <b>" + number(table.alignment[i]) + "</b>",
      table.low[i] === null ? "" : "95 % interval " + number(table.low[i]) + " to " + number(table.high[i]), amount(table.parameters[i]) + " parameters", escaped(table.family[i]) + ", " + escaped(table.modality[i])])),
    hovertemplate: "%{customdata}<extra></extra>",
  }));
  // the legend takes some of the height, so places are only nearly right, and labels keep off
  const frame = [view.width - margin.l - margin.r, height - margin.t - margin.b - (narrow ? 90 : 50)];
  const points = rowsOf(table).map((i) => ({
    name: table.name[i], x: table.performance[i], y: table.alignment[i], r: sizes[i] / 2 + 1,
    px: (frame[0] * (table.performance[i] - xs[0])) / (xs[1] - xs[0]), py: (frame[1] * (ys[1] - table.alignment[i])) / (ys[1] - ys[0]),
  }));
  layout.annotations = labels(points, narrow ? 9.5 : 11, frame);
  return { traces, layout };
};

drawers.partition = (view) => {
  const { table, more } = view.figure;
  const { narrow } = view;
  const layout = base(view, 110 + 70 * table.name.length, { l: widest(table.name, 13) + 16, r: 24, t: 40, b: 52 });
  const looks = [["alone", "share_alone", "p_alone", "#0072B2"], ["beyond the others", "share_unique", "p", "#E69F00"]];
  const traces = looks.map(([name, key, test, paint]) => ({
    type: "bar", orientation: "h", name, x: table[key], y: rowsOf(table), marker: { color: paint }, text: table[key].map(number), textposition: "outside", cliponaxis: false, textfont: { size: 12, color: color("ink") },
    customdata: rowsOf(table).map((i) => lines([bold(table.name[i]), name + " <b>" + number(table[key][i]) + "</b> of the variance", table[test][i] === null ? "" : chance(table[test][i], "p")])), hovertemplate: "%{customdata}<extra></extra>",
  }));
  layout.barmode = "group";
  layout.bargap = 0.35;
  layout.xaxis = axis(narrow ? "share of the variance" : "share of the variance of " + more.title, { rangemode: "tozero" });
  layout.yaxis = axis("", { tickmode: "array", tickvals: rowsOf(table), ticktext: table.name.map(escaped), autorange: "reversed", showgrid: false, tickfont: { size: 13, color: color("ink") } });
  layout.showlegend = true;
  layout.legend = Object.assign(legend(view), { traceorder: "normal" });
  return { traces, layout };
};

drawers.regimes = (view) => {
  const { table, more } = view.figure;
  const { narrow } = view;
  const side = Math.min(view.width, tall(view, 420, 560));
  const layout = base(view, side, { l: 62, r: Math.max(16, view.width - side - 40), t: 14, b: 58 });
  const ends = padded(span([...table.inside, ...table.outside]), 0.06);
  const points = {
    type: "scatter", mode: "markers", x: table.inside, y: table.outside, marker: markOf({ color: "#0072B2", symbol: "circle" }, narrow ? 9 : 11),
    customdata: rowsOf(table).map((i) => lines([bold(table.a[i] + " and " + table.b[i]), escaped(more.inside) + " <b>" + number(table.inside[i]) + "</b>", escaped(more.outside) + " <b>" + number(table.outside[i]) + "</b>"])),
    hovertemplate: "%{customdata}<extra></extra>",
  };
  const line = { type: "scatter", mode: "lines", x: ends, y: ends, hoverinfo: "skip", line: { color: color("rule"), dash: "dot", width: 1.5 } };
  layout.xaxis = axis(more.title + ", " + more.inside, { range: ends });
  layout.yaxis = axis(more.title + ", " + more.outside, { range: ends });
  return { traces: [line, points], layout };
};
