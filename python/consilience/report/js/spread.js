// Courses over k, and the intrinsic dimension by type and by model.
drawers.locality = (view) => {
  const { table, more } = view.figure;
  const { narrow } = view;
  const traces = [];
  for (const [kind, look] of Object.entries(more.kinds)) {
    const rows = rowsOf(table).filter((i) => table.kind[i] === kind);
    const faint = { type: "scatter", mode: "lines", hoverinfo: "skip", showlegend: false, line: { color: look.color, width: 0.8 }, opacity: rows.length > 60 ? 0.16 : 0.35 };
    traces.push(Object.assign({}, faint, { x: rows.flatMap(() => [...more.ks, null]), y: rows.flatMap((i) => [...more.ks.map((k) => table["k=" + k][i]), null]) }));
  }
  for (const [kind, look] of Object.entries(more.kinds)) {
    const name = look.name + " (" + table.kind.filter((one) => one === kind).length + ")";
    traces.push({ type: "scatter", mode: "lines+markers", name, x: more.ks, y: more.medians[kind], line: { color: look.color, width: 3 }, marker: { size: 7, color: look.color }, hovertemplate: "median, " + look.name + "<br>k = %{x}: <b>%{y:.3f}</b><extra></extra>" });
  }
  const layout = base(view, tall(view, 460, 560), { l: 62, r: 16, t: 12, b: 56 });
  const split = more.ranks ? 0.3 : 0;
  layout.xaxis = axis("k, number of neighbours", { type: "log", tickmode: "array", tickvals: more.ks, ticktext: more.ks.map(String), anchor: more.ranks ? "y2" : "y", tickangle: 0, tickfont: { size: narrow ? 10 : 12, color: color("muted") } });
  layout.yaxis = axis(more.title, { domain: [split ? split + 0.06 : 0, 1] });
  if (more.ranks) {
    traces.push({ type: "scatter", mode: "lines+markers", yaxis: "y2", showlegend: false, x: more.ks, y: more.ranks, line: { color: color("ink"), width: 1.6 }, marker: { size: 7, color: color("ink") }, hovertemplate: "k = %{x}: ranking correlates <b>%{y:.3f}</b><extra></extra>" });
    layout.yaxis2 = axis("ranking", { domain: [0, split - 0.06] });
  }
  layout.showlegend = true;
  layout.legend = legend(view);
  return { traces, layout };
};

drawers.violins = (view) => {
  const { table, more } = view.figure;
  const traces = more.order.map((kind) => {
    const rows = rowsOf(table).filter((i) => table.embedding[i] === kind && table[more.title][i] !== null);
    const look = more.looks[kind];
    return {
      type: "violin", name: escaped(kind), x: rows.map(() => kind), y: rows.map((i) => table[more.title][i]), points: "all", pointpos: 0, jitter: 0.35, scalemode: "width", width: 0.7,
      line: { color: rows.length < 5 ? "rgba(0,0,0,0)" : look.color, width: 1.2 }, fillcolor: rows.length < 5 ? "rgba(0,0,0,0)" : look.color + "33", marker: Object.assign(markOf(look, 10), { opacity: 1 }), meanline: { visible: false }, spanmode: "hard",
      hoveron: "points", text: rows.map((i) => lines([bold(table.model[i]), "dimension <b>" + number(table[more.title][i]) + "</b>", "width " + (table.width[i] === null ? "–" : table.width[i].toLocaleString("en"))])), hovertemplate: "%{text}<extra></extra>",
    };
  });
  const layout = base(view, tall(view, 380, 460), { l: 62, r: 16, t: 12, b: 44 });
  layout.xaxis = axis("", { tickfont: { size: view.narrow ? 11 : 13, color: color("ink") }, type: "category" });
  layout.yaxis = axis("intrinsic dimension, " + more.title, { rangemode: "tozero" });
  return { traces, layout };
};

drawers.dots = (view) => {
  const { table, more } = view.figure;
  const { narrow } = view;
  const rows = rowsOf(table);
  const most = narrow ? 15 : 34;
  const labels = rows.map((i) => escaped(shortened(table.model[i], most)) + (table.width[i] === null ? "" : "  <span style='color:" + color("muted") + "'>" + table.width[i].toLocaleString("en") + "</span>"));
  const plain = rows.map((i) => shortened(table.model[i], most) + "  " + (table.width[i] === null ? "" : table.width[i].toLocaleString("en")));
  const size = narrow ? 11 : 13;
  const layout = base(view, 110 + rows.length * (narrow ? 22 : 24), { l: widest(plain, size) + 16, r: 20, t: 40, b: 56 });
  const traces = [];
  if (more.titles.length > 1) {
    traces.push({ type: "scatter", mode: "lines", hoverinfo: "skip", showlegend: false, line: { color: color("rule"), width: 3 }, x: rows.flatMap((i) => [...span(more.titles.map((one) => table[one][i])), null]), y: rows.flatMap((i) => [i, i, null]) });
  }
  const looks = [["one", "circle"], ["two", "diamond"], ["three", "square"], ["one", "triangle-up"], ["two", "x"], ["three", "star"]];
  more.titles.forEach((title, place) => {
    const [paint, symbol] = looks[place % looks.length];
    traces.push({
      type: "scatter", mode: "markers", name: escaped(title), x: table[title], y: rows, marker: markOf({ color: color(paint), symbol }, 10),
      customdata: rows.map((i) => lines([bold(table.model[i]), escaped(title) + " <b>" + number(table[title][i]) + "</b>", escaped(table.embedding[i])])), hovertemplate: "%{customdata}<extra></extra>",
    });
  });
  const all = more.titles.flatMap((title) => table[title]).filter((one) => one !== null);
  const isLog = Math.min(...all) > 0 && Math.max(...all) / Math.min(...all) > 12;
  layout.xaxis = axis(isLog ? "intrinsic dimension, log scale" : "intrinsic dimension", isLog ? { type: "log", dtick: "D2" } : { rangemode: "tozero" });
  layout.yaxis = axis("", { tickmode: "array", tickvals: rows, ticktext: labels, range: [rows.length - 0.4, -0.6], tickfont: { size, color: color("ink") } });
  layout.showlegend = true;
  layout.legend = legend(view);
  return { traces, layout };
};
