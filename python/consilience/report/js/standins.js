// Candidates to stand in for a model, with what they cost.
options.recommendation = (figure) => [{ id: "target", label: "Stand-ins for", values: figure.more.targets.map((name) => [name, name]) }];
drawers.recommendation = (view) => {
  const { table, more } = view.figure;
  const { narrow } = view;
  const target = view.choices.target || more.targets[0];
  const rows = rowsOf(table).filter((i) => table.target[i] === target).sort((a, b) => table.score[b] - table.score[a]);
  const names = rows.map((i) => shortened(table.candidate[i], narrow ? 16 : 36));
  const cost = (parameters, seconds) => [parameters === null ? "" : amount(parameters) + (narrow ? "" : " parameters"), seconds === null || seconds === undefined ? "" : number(seconds) + " s/1k"].filter(Boolean).join(narrow ? "<br>" : " · ");
  const costs = rows.map((i) => cost(table.parameters[i], table.seconds_per_1k[i]));
  const size = narrow ? 11 : 13;
  const right = narrow ? 66 : widest(costs, 12) + 24;
  const layout = base(view, 96 + rows.length * (narrow ? 38 : 34), { l: widest(names, size) + 16, r: right, t: 32, b: 56, autoexpand: false });
  const marks = {
    type: "scatter", mode: "markers", x: rows.map((i) => table.score[i]), y: rows.map((_, p) => p), marker: markOf({ color: color("one"), symbol: "circle" }, 11),
    error_x: { type: "data", symmetric: false, thickness: 1.6, width: 4, color: color("one"), array: rows.map((i) => (table.high[i] === null ? 0 : table.high[i] - table.score[i])), arrayminus: rows.map((i) => (table.low[i] === null ? 0 : table.score[i] - table.low[i])) },
    customdata: rows.map((i, p) => lines([bold(table.candidate[i]), escaped(more.title) + " <b>" + number(table.score[i]) + "</b>", table.low[i] === null ? "" : "95 % interval " + number(table.low[i]) + " to " + number(table.high[i]), costs[p]])), hovertemplate: "%{customdata}<extra></extra>",
  };
  const ends = padded(span(rows.flatMap((i) => [table.score[i], table.low[i], table.high[i]])), 0.08);
  layout.xaxis = axis(more.title + " with the target", { range: [Math.min(0, ends[0]), ends[1]] });
  layout.yaxis = axis("", { tickmode: "array", tickvals: rows.map((_, p) => p), ticktext: names.map(escaped), range: [rows.length - 0.5, -0.5], tickfont: { size, color: color("ink") } });
  const own = more.own[target] || {};
  const mine = cost(own.parameters === undefined ? null : own.parameters, own.seconds_per_1k).replace("<br>", " · ");
  layout.annotations = [
    ...costs.map((text, p) => note(1, p, text, { xref: "paper", xanchor: "left", yanchor: "middle", xshift: 10, align: "left", font: { size: narrow ? 10 : 12, color: color("muted") } })),
    note(0, 1, bold(shortened(target, narrow ? 28 : 60)) + (mine ? "  " + mine : ""), { xref: "paper", yref: "paper", xanchor: "left", yanchor: "bottom", yshift: 8 }),
  ];
  return { traces: [marks], layout };
};
