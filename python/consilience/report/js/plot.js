// Looks that all figures share. The bar is listed and not left to Plotly, whose own has a button
// that uploads the figure.
const config = { displaylogo: false, showSendToCloud: false, plotlyServerURL: "", responsive: false, displayModeBar: false };
const pen = document.createElement("canvas").getContext("2d");

function textWidth(text, size) {
  pen.font = size + "px " + getComputedStyle(document.body).fontFamily;
  return pen.measureText(text).width;
}
const widest = (texts, size) => Math.ceil(Math.max(0, ...texts.map((text) => textWidth(text, size))));
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const widthOf = (box) => (printing ? PAPER_WIDTH : box.clientWidth);

function base(view, height, margin) {
  const family = getComputedStyle(document.body).fontFamily;
  return {
    width: view.width, height, margin, autosize: false, showlegend: false, dragmode: false, hovermode: "closest",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family, size: 13, color: color("ink") },
    hoverlabel: { bgcolor: color("card"), bordercolor: color("muted"), align: "left", namelength: -1, font: { family, color: color("ink"), size: 13 } },
  };
}
// On paper a figure, its heading and its caption share half a page.
const tall = (view, narrow, wide) => (printing ? Math.min(wide, 320) : view.narrow ? narrow : wide);
function axis(title, more) {
  return Object.assign({
    title: { text: escaped(title), font: { size: 13, color: color("muted") }, standoff: 8 }, gridcolor: color("faint"),
    linecolor: color("rule"), zeroline: false, tickfont: { color: color("muted") }, fixedrange: true,
  }, more);
}
function legend(view) {
  return { orientation: "h", x: 0, y: 1.01, yanchor: "bottom", xanchor: "left", font: { size: view.narrow ? 11 : 13, color: color("ink") }, itemclick: false, itemdoubleclick: false, itemsizing: "constant" };
}
function note(x, y, text, more) {
  return Object.assign({ x, y, text, showarrow: false, font: { size: 12, color: color("muted") } }, more);
}

function colorBar(range, level, narrow) {
  const wide = range[1] - range[0];
  const ticks = [range[0], range[0] + wide / 2, range[1]];
  const names = ticks.map(number);
  if (level !== null && level >= range[0] && level <= range[1]) {
    for (let i = ticks.length - 1; i >= 0; i--) {
      if (Math.abs(ticks[i] - level) < (narrow ? 0.25 : 0.06) * wide) { ticks.splice(i, 1); names.splice(i, 1); }
    }
    ticks.push(level);
    names.push(number(level) + " chance");
  }
  const bar = { thickness: 12, outlinewidth: 0, tickvals: ticks, ticktext: names, tickfont: { size: 12, color: color("muted") }, ticks: "outside", ticklen: 4, tickcolor: color("rule") };
  return narrow
    ? Object.assign(bar, { orientation: "h", x: 0.5, xanchor: "center", y: 1.0, yanchor: "bottom", len: 0.9 })
    : Object.assign(bar, { len: 0.62, y: 0, yanchor: "bottom", x: 1.01 });
}
function titled(bar, text, narrow) {
  if (narrow) return bar;
  bar.title = { text: escaped(text), side: "right", font: { size: 12, color: color("muted") } };
  return Object.assign(bar, { len: 0.9, y: 0.5, yanchor: "middle" });
}

// One trace per category, so that the legend tells them apart by mark and colour.
function byCategory(looks, categories, make) {
  return Object.keys(looks).map((name) => {
    const rows = categories.flatMap((one, i) => (one === name ? [i] : []));
    return rows.length ? Object.assign({ type: "scatter", mode: "markers", name: escaped(name) }, make(rows, looks[name])) : null;
  }).filter(Boolean);
}
const markOf = (look, size) => ({ size, color: look.color, symbol: look.symbol, line: { width: 1, color: color("card") } });

// Names beside points where there is room for them; a name without room is left to the hover.
function labels(points, size, frame) {
  const taken = points.map((p) => [p.px - p.r, p.py - p.r, p.px + p.r, p.py + p.r]);
  const made = [];
  for (const p of points) {
    const text = shortened(p.name, 24);
    const wide = textWidth(text, size) + 4, high = size + 4, gap = p.r + 2;
    const spots = [[gap, -high / 2], [-gap - wide, -high / 2], [-wide / 2, gap], [-wide / 2, -gap - high], [gap * 0.7, gap * 0.7], [gap * 0.7, -gap * 0.7 - high], [-gap * 0.7 - wide, gap * 0.7], [-gap * 0.7 - wide, -gap * 0.7 - high]];
    // further out, with a line to the point
    for (const far of [gap + 16, gap + 34]) spots.push([far, -high / 2 - far * 0.6], [far, -high / 2 + far * 0.6], [-far - wide, -high / 2 - far * 0.6], [-far - wide, -high / 2 + far * 0.6], [-wide / 2, far], [-wide / 2, -far - high]);
    spots.forEach(([dx, dy], spot) => {
      if (made.at(-1) && made.at(-1).of === p) return;
      const rect = [p.px + dx, p.py + dy, p.px + dx + wide, p.py + dy + high];
      const inside = rect[0] >= 0 && rect[1] >= 0 && rect[2] <= frame[0] && rect[3] <= frame[1];
      const free = inside && taken.every((t) => rect[2] <= t[0] || rect[0] >= t[2] || rect[3] <= t[1] || rect[1] >= t[3]);
      if (!free) return;
      taken.push(rect);
      const centre = [dx + wide / 2, dy + high / 2];
      const one = { of: p, x: p.x, y: p.y, text: escaped(text), xanchor: "center", yanchor: "middle", font: { size, color: color("ink") } };
      made.push(spot < 8 ? Object.assign(one, { showarrow: false, xshift: centre[0], yshift: -centre[1] })
        : Object.assign(one, { showarrow: true, ax: centre[0], ay: centre[1], arrowhead: 0, arrowwidth: 0.8, arrowcolor: color("muted"), standoff: p.r }));
    });
  }
  return made.map(({ of, ...one }) => one);
}
function padded(range, share) {
  const more = (range[1] - range[0]) * share;
  return [range[0] - more, range[1] + more];
}
