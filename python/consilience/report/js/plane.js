// Both directions of a directed metric; a pair is one point.
options.plane = (figure) => {
  const { shades, first } = figure.more;
  const values = Object.entries(shades);
  return values.length ? [{ id: "shade", label: "Colour by", values, first }] : [];
};
drawers.plane = (view) => {
  const { table, more } = view.figure;
  const { narrow, part } = view;
  const shade = view.choices.shade;
  const rows = rowsOf(table);
  const reach = Math.max(1, ...table.b_to_a, ...table.a_to_b) * 1.05;
  const size = narrow ? 8 : 10;
  const words = (value) => (typeof value === "boolean" ? (value ? "yes" : "no") : value === null ? "not known" : number(value));
  const hover = rows.map((i) => lines([bold(table.model_a[i] + " → " + table.model_b[i]) + " " + number(table.a_to_b[i]), escaped(table.model_b[i] + " → " + table.model_a[i]) + " " + number(table.b_to_a[i]),
    shade ? escaped(more.shades[shade]) + " " + words(table[shade][i]) : "", "n = " + part.n.toLocaleString("en")]));
  const trace = (chosen, marker, more) => Object.assign({ type: "scatter", mode: "markers", x: chosen.map((i) => table.a_to_b[i]), y: chosen.map((i) => table.b_to_a[i]), ids: chosen.map(String), customdata: chosen.map((i) => hover[i]), hovertemplate: "%{customdata}<extra></extra>", marker }, more);
  const symbols = (chosen) => chosen.map((i) => (table.baseline[i] ? "x" : "circle"));
  const line = { width: 0.8, color: color("card") };
  const traces = [{ type: "scatter", mode: "lines", x: [0, reach], y: [0, reach], line: { color: color("rule"), dash: "dot", width: 1.5 }, hoverinfo: "skip", showlegend: false }];
  const flagged = shade && typeof table[shade].find((one) => one !== null) === "boolean";
  if (flagged) {
    for (const [value, paint, name] of [[false, color("three"), "no"], [null, "#56B4E9", "not known"], [true, "#D55E00", "yes"]]) {
      const chosen = rows.filter((i) => table[shade][i] === value);
      if (chosen.length) traces.push(trace(chosen, { size, color: paint, symbol: symbols(chosen), line }, { name: escaped(more.shades[shade]) + ": " + name }));
    }
  } else {
    const marker = { size, symbol: symbols(rows), line, color: color("one") };
    if (shade) Object.assign(marker, { color: table[shade], colorscale: "Cividis", showscale: true, colorbar: titled(colorBar(span(table[shade]), null, narrow), more.shades[shade], narrow) });
    traces.push(trace(rows, marker, { showlegend: false }));
  }
  const side = Math.min(view.width - (narrow ? 0 : 60), tall(view, 440, 620));
  const layout = base(view, side, { l: 62, r: narrow ? 12 : Math.max(120, view.width - side - 60), t: narrow && shade && !flagged ? 70 : 16, b: 58 });
  layout.xaxis = axis(narrow ? "better direction, A → B" : more.title + ", better direction, A → B", { range: [0, reach] });
  layout.yaxis = axis(narrow ? "B → A" : "the other direction, B → A", { range: [0, reach] });
  layout.showlegend = Boolean(flagged);
  layout.legend = legend(view);
  const corner = (x, y, text, xanchor, yanchor) => note(x, y, text, { xanchor, yanchor, xref: "paper", yref: "paper" });
  layout.annotations = [corner(0.015, 0.985, narrow ? "A holds B" : "A holds more than B", "left", "top")];
  if (!narrow) layout.annotations.push(corner(0.985, 0.02, "no pair: A is the better predictor", "right", "bottom"));
  return { traces, layout };
};
clicks.plane = (point, view) => {
  const i = Number(point.id);
  return Number.isInteger(i) && point.id !== undefined ? [view.figure.table.model_a[i], view.figure.table.model_b[i]] : null;
};
