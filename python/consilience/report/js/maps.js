// Samples as each model sees them, in one panel a model, and the models themselves.
options.samples = (figure) => (figure.more.models.length > 1 ? [{ id: "model", label: "Model", values: [["", "all models"], ...figure.more.models.map((name, i) => [String(i), name])] }] : []);
drawers.samples = (view) => {
  const { table, more } = view.figure;
  const { narrow, width } = view;
  const chosen = view.choices.model ? [Number(view.choices.model)] : more.models.map((_, i) => i);
  const single = chosen.length === 1;
  const across = single ? 1 : Math.max(2, Math.min(chosen.length, Math.floor(width / (narrow ? 150 : 185))));
  const down = Math.ceil(chosen.length / across);
  const right = !more.looks && more.by && !narrow ? 96 : 4;
  const above = more.looks ? 46 : narrow && more.by ? 62 : 6;
  const side = single ? Math.min(width - right, narrow ? 340 : 560) : (width - right) / across;
  const high = single ? side : side * 0.94 + 18;
  const layout = base(view, above + down * high + 6, { l: 4, r: single ? width - side - 4 : right, t: above, b: 6, autoexpand: false });
  layout.annotations = [];
  const range = span(table.color.map((one) => (typeof one === "number" ? one : null)));
  const traces = [];
  const rows = more.models.map(() => []);
  const place = new Map(more.models.map((name, i) => [name, i]));
  table.model.forEach((name, i) => rows[place.get(name)].push(i));
  chosen.forEach((which, p) => {
    const suffix = p ? String(p + 1) : "";
    const [column, row] = [p % across, Math.floor(p / across)];
    const domainX = [column / across + 0.006, (column + 1) / across - 0.006];
    const domainY = [1 - (row + 1) / down + 0.006, 1 - row / down - 20 / (down * high)];
    const frame = { showgrid: false, zeroline: false, showticklabels: false, ticks: "", fixedrange: true, showline: true, mirror: true, linecolor: color("rule") };
    layout["xaxis" + suffix] = Object.assign({ domain: domainX, anchor: "y" + suffix }, frame);
    layout["yaxis" + suffix] = Object.assign({ domain: domainY, anchor: "x" + suffix }, frame);
    const name = more.models[which];
    const room = Math.floor((side - 8) / 6.2);
    layout.annotations.push(note(domainX[0], domainY[1], escaped(shortened(name, single ? 60 : room)), { xref: "paper", yref: "paper", xanchor: "left", yanchor: "bottom", font: { size: single ? 13 : 11, color: color("ink") } }));
    const size = single ? 6 : 3.5;
    const shared = { type: "scatter", mode: "markers", xaxis: "x" + suffix, yaxis: "y" + suffix };
    const told = (list) => list.map((i) => lines([escaped(table.id[i] === null ? "" : table.id[i]), more.by ? escaped(more.by) + " <b>" + (typeof table.color[i] === "number" ? number(table.color[i]) : escaped(table.color[i])) + "</b>" : ""]));
    if (more.looks) {
      for (const [kind, look] of Object.entries(more.looks)) {
        const list = rows[which].filter((i) => String(table.color[i] === null ? "unknown" : table.color[i]) === kind);
        if (list.length) traces.push(Object.assign({ name: escaped(kind), showlegend: !traces.some((one) => one.name === escaped(kind)), x: list.map((i) => table.x[i]), y: list.map((i) => table.y[i]), marker: { size, color: look.color }, customdata: told(list), hovertemplate: "%{customdata}<extra></extra>" }, shared));
      }
      return;
    }
    const list = rows[which];
    const bar = p === 0 && more.by ? titled(colorBar(range, null, narrow), more.by, narrow) : undefined;
    if (bar && !narrow) Object.assign(bar, single ? {} : { len: undefined, lenmode: "pixels", y: 1, yanchor: "top" }, single ? {} : { len: Math.min(420, down * high) });
    traces.push(Object.assign({ x: list.map((i) => table.x[i]), y: list.map((i) => table.y[i]), marker: { size, color: more.by ? list.map((i) => table.color[i]) : color("one"), colorscale: "Cividis", cmin: range[0], cmax: range[1], showscale: Boolean(bar), colorbar: bar }, customdata: told(list), hovertemplate: "%{customdata}<extra></extra>", showlegend: false }, shared));
  });
  layout.showlegend = Boolean(more.looks);
  layout.legend = legend(view);
  return { traces, layout };
};

drawers.map = (view) => {
  const { table, more } = view.figure;
  const { narrow, width } = view;
  const height = tall(view, 420, 560);
  const margin = { l: 10, r: 10, t: 64, b: 10, autoexpand: false };
  const layout = base(view, height, margin);
  const frame = [width - 20, height - 74];
  let [xs, ys] = [padded(span(table.x), 0.08), padded(span(table.y), 0.08)];
  const scale = Math.min(frame[0] / (xs[1] - xs[0]), frame[1] / (ys[1] - ys[0]));
  [xs, ys] = [[xs, 0], [ys, 1]].map(([ends, i]) => {
    const spare = (frame[i] / scale - (ends[1] - ends[0])) / 2;
    return [ends[0] - spare, ends[1] + spare];
  });
  const blank = { showgrid: false, zeroline: false, showticklabels: false, ticks: "", fixedrange: true, showline: true, mirror: true, linecolor: color("rule") };
  layout.xaxis = Object.assign({ range: xs }, blank);
  layout.yaxis = Object.assign({ range: ys }, blank);
  const size = narrow ? 10 : 13;
  const traces = byCategory(more.looks, table.modality, (rows, look) => ({ x: rows.map((i) => table.x[i]), y: rows.map((i) => table.y[i]), marker: markOf(look, size), customdata: rows.map((i) => lines([bold(table.model[i]), escaped(table.modality[i])])), hovertemplate: "%{customdata}<extra></extra>" }));
  layout.annotations = labels(rowsOf(table).map((i) => ({ name: table.model[i], x: table.x[i], y: table.y[i], r: size / 2 + 1, px: (table.x[i] - xs[0]) * scale, py: (ys[1] - table.y[i]) * scale })), narrow ? 9.5 : 11.5, frame);
  layout.showlegend = true;
  layout.legend = Object.assign(legend(view), { y: 1.005 });
  return { traces, layout };
};
