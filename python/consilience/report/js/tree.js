// An unrooted tree: names stand outward along their branches, and the scale is the largest at
// which all of them fit.
drawers.tree = (view) => {
  const { table, more } = view.figure;
  const { narrow, width } = view;
  const size = narrow ? 9 : 11.5;
  const height = printing ? 560 : narrow ? Math.min(560, width * 1.25) : 680;
  const most = narrow ? 14 : 28;
  const gap = narrow ? 7 : 9;
  const leaves = more.leaves.map((leaf) => {
    const turn = (leaf.angle * Math.PI) / 180;
    const reach = textWidth(shortened(leaf.name, most), size) + gap + 4;
    return Object.assign({ cos: Math.cos(turn), sin: Math.sin(turn), reach }, leaf);
  });
  const frame = [width - 12, height - 70];  // the legend stands above
  const extent = (scale) => ["x", "y"].map((key, i) => {
    const out = i ? "sin" : "cos";
    const inner = [...table[key + "0"], ...table[key + "1"]].map((one) => one * scale);
    const ends = leaves.map((leaf) => leaf[key] * scale + leaf.reach * leaf[out]);
    return span([...inner, ...ends]);
  });
  let [low, high] = [0, 1e6];
  for (let i = 0; i < 60; i++) {
    const scale = (low + high) / 2;
    const [xs, ys] = extent(scale);
    if (xs[1] - xs[0] <= frame[0] && ys[1] - ys[0] <= frame[1]) low = scale; else high = scale;
  }
  const scale = low || 1;
  const [xs, ys] = extent(scale).map(([from, to], i) => {
    const spare = (frame[i] - (to - from)) / 2;
    return [(from - spare) / scale, (to + spare) / scale];
  });
  const layout = base(view, height, { l: 6, r: 6, t: 64, b: 6, autoexpand: false });
  layout.xaxis = { range: xs, visible: false, fixedrange: true };
  layout.yaxis = { range: ys, visible: false, fixedrange: true };
  const branches = { type: "scatter", mode: "lines", hoverinfo: "skip", showlegend: false, line: { color: color("muted"), width: 1.4 }, x: rowsOf(table).flatMap((i) => [table.x0[i], table.x1[i], null]), y: rowsOf(table).flatMap((i) => [table.y0[i], table.y1[i], null]) };
  const marks = byCategory(more.looks, leaves.map((leaf) => leaf.modality), (rows, look) => ({
    x: rows.map((i) => leaves[i].x), y: rows.map((i) => leaves[i].y), marker: markOf(look, narrow ? 9 : 11), customdata: rows.map((i) => lines([bold(leaves[i].name), escaped(leaves[i].modality)])), hovertemplate: "%{customdata}<extra></extra>",
  }));
  layout.annotations = leaves.map((leaf) => {
    const text = shortened(leaf.name, most);
    const far = textWidth(text, size) / 2 + gap;
    const flipped = Math.abs(leaf.angle) > 90;
    return { x: leaf.x, y: leaf.y, text: escaped(text), showarrow: false, xanchor: "center", yanchor: "middle", xshift: far * leaf.cos, yshift: far * leaf.sin, textangle: flipped ? 180 - leaf.angle : -leaf.angle, font: { size, color: color("ink") } };
  });
  layout.showlegend = true;
  layout.legend = Object.assign(legend(view), { y: 1.005 });
  return { traces: [branches, ...marks], layout };
};
