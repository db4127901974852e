// Draws the figures of a report from the JSON in #payload. Model names reach the page only as
// textContent or through `escaped`, because Plotly reads a subset of HTML in its texts.
"use strict";
(function () {
  const data = JSON.parse(document.getElementById("payload").textContent);
  const metrics = new Map(data.metrics.map((metric) => [metric.label, metric]));
  const singles = data.metrics.filter((metric) => metric.kind === "single");
  const squares = data.metrics.filter((metric) => metric.kind !== "single");
  const count = data.names.length;
  const at = (id) => document.getElementById(id);
  // the bar is listed and not left to Plotly, whose own has a button that uploads the figure
  const config = {
    displaylogo: false, showSendToCloud: false, plotlyServerURL: "", responsive: false, modeBarButtons: [["toImage"]],
    toImageButtonOptions: { format: "svg", filename: "consilience" },
  };
  const STANDS_OUT = 3;
  const PAPER_WIDTH = 680;  // CSS pixels of an A4 page inside its margins
  let printing = false;
  let focus = [0, Math.min(1, count - 1)];

  const escaped = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const shortened = (text, most) => {
    const letters = Array.from(text);
    return letters.length > most ? letters.slice(0, most - 1).join("") + "…" : text;
  };
  const pen = document.createElement("canvas").getContext("2d");
  function widest(texts, size) {
    pen.font = size + "px " + getComputedStyle(document.body).fontFamily;
    return Math.ceil(Math.max(...texts.map((text) => pen.measureText(text).width)));
  }
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const width = (element) => (printing ? Math.min(PAPER_WIDTH, element.clientWidth || PAPER_WIDTH) : element.clientWidth);

  function number(value) {
    if (value === null || value === undefined) return "–";
    if (value === 0) return "0";
    const size = Math.abs(value);
    const text = size >= 10 ? value.toFixed(1) : size >= 0.0995 ? value.toFixed(2) : value.toFixed(3);
    return text.replace(/^-(0\.?0*)$/, "$1").replace("-", "−");
  }
  const read = (array, a, b) => (array === null ? null : b === undefined ? array[a] : array[a][b]);

  function evidence(metric, a, b) {
    const lines = [];
    const low = read(metric.low, a, b);
    const mean = read(metric.nullMean, a, b);
    const std = read(metric.nullStd, a, b);
    const z = read(metric.z, a, b);
    const p = read(metric.p, a, b);
    if (low !== null) lines.push("95 % interval " + number(low) + " to " + number(read(metric.high, a, b)));
    if (mean !== null) lines.push("chance " + number(mean) + (std === null ? "" : " ± " + number(std)));
    if (z !== null) lines.push("z = " + (Math.abs(z) >= 10 ? z.toFixed(0).replace("-", "−") : number(z)));
    if (p !== null) {
      const small = p < 1e-15 ? "< 10⁻¹⁵" : "= " + p.toExponential(1).replace("-", "−");
      lines.push("p " + (p < 0.001 ? small : "= " + p.toFixed(3)));
    }
    return lines;
  }
  function byChance(metric, a, b) {
    const z = read(metric.z, a, b);
    return z !== null && (metric.lower ? -z : z) <= STANDS_OUT;
  }
  function pairName(metric, a, b) {
    return escaped(data.names[a]) + (metric.symmetric ? " and " : " → ") + escaped(data.names[b]);
  }
  function hover(metric, a, b) {
    return ["<b>" + pairName(metric, a, b) + "</b>", escaped(metric.title) + " <b>" + number(metric.values[a][b]) + "</b>"]
      .concat(evidence(metric, a, b), "n = " + data.n.toLocaleString("en")).join("<br>");
  }

  function base(element, height, margin) {
    return {
      width: width(element), height, margin, autosize: false, showlegend: false,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: color("ink") },
      hoverlabel: { bgcolor: color("card"), bordercolor: color("muted"), align: "left", font: { family: getComputedStyle(document.body).fontFamily, color: color("ink"), size: 13 } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: color("muted"), activecolor: color("accent") },
    };
  }
  function axis(title) {
    return {
      title: { text: title, font: { size: 13, color: color("muted") }, standoff: 8 }, gridcolor: color("faint"),
      linecolor: color("rule"), zeroline: false, tickfont: { color: color("muted") }, fixedrange: true,
    };
  }
  function element(tag, text, name) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (name) made.className = name;
    return made;
  }
  function checked(name) {
    const input = document.querySelector('input[name="' + name + '"]:checked');
    return input ? metrics.get(input.value) : null;
  }

  // ---- heat map -------------------------------------------------------------------------
  function span(numbers) {
    let low = Infinity, high = -Infinity;
    for (const value of numbers) {
      if (value === null) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    if (low > high) return [0, 1];
    return low === high ? [low - 0.5, high + 0.5] : [low, high];
  }
  function colorRange(metric, isZ, cells) {
    const fitted = span(cells.flat());
    if (isZ || at("range").value === "fit") return fitted;
    const [low, high] = metric.bounds;
    // correlations could reach −1 but alignments do not: half an empty scale shows nothing
    const floor = low !== null && low < 0 && fitted[0] > -0.05 ? Math.min(0, fitted[0]) : low;
    return [floor === null ? fitted[0] : floor, high === null ? fitted[1] : high];
  }
  function colorBar(metric, isZ, range, narrow) {
    const wide = range[1] - range[0];
    const ticks = [range[0], range[0] + wide / 2, range[1]];
    const names = ticks.map(number);
    const chance = isZ ? 0 : metric.chanceLevel;
    if (chance !== null && chance >= range[0] && chance <= range[1]) {
      for (let i = ticks.length - 1; i >= 0; i--) {
        if (Math.abs(ticks[i] - chance) < (narrow ? 0.25 : 0.06) * wide) { ticks.splice(i, 1); names.splice(i, 1); }
      }
      ticks.push(chance);
      names.push(number(chance) + " chance");
    }
    const bar = { thickness: 12, outlinewidth: 0, tickvals: ticks, ticktext: names, tickfont: { size: 12, color: color("muted") }, ticks: "outside", ticklen: 4, tickcolor: color("rule") };
    return narrow
      ? Object.assign(bar, { orientation: "h", x: 0.5, xanchor: "center", y: 1.0, yanchor: "bottom", len: 0.9 })
      : Object.assign(bar, { len: 0.62, y: 0, yanchor: "bottom", x: 1.01 });
  }
  function layoutOrder(metric) {
    const choice = at("order").value;
    if (choice === "given") return { order: data.names.map((_, i) => i), tree: [], of: null };
    const source = choice === "own" ? metric : metrics.get(data.headline) || squares[0];
    return { order: source.order, tree: source.tree, of: source };
  }

  function drawHeat() {
    const metric = checked("metric");
    const box = at("heat");
    const show = at("show");
    show.options[1].disabled = metric.z === null;
    if (metric.z === null) show.value = "score";
    const isZ = show.value === "z";
    const { order, tree, of } = layoutOrder(metric);
    const source = isZ ? metric.z : metric.values;
    const cells = order.map((a) => order.map((b) => (a === b ? null : source[a][b])));
    const texts = order.map((a) => order.map((b) => (a === b ? "" : hover(metric, a, b))));

    const total = width(box);
    const narrow = total < 560;
    const most = narrow ? 13 : 24;
    const labels = order.map((i) => escaped(shortened(data.names[i], most)));
    const letters = narrow ? 11 : 13;
    const longest = widest(order.map((i) => shortened(data.names[i], most)), letters);
    const left = longest + 14 + (metric.symmetric ? 0 : 24);
    const right = narrow ? 8 : 92;
    const cell = Math.max(4, Math.min(64, (total - left - right) / count));
    const side = cell * count;
    const crown = tree.length ? (narrow ? 40 : 64) : 0;
    const below = Math.round(longest * 0.8) + 22 + (metric.symmetric ? 0 : 24);
    const above = narrow ? 62 : 10;
    const layout = base(box, above + crown + side + below, { l: left, r: Math.max(right, total - left - side), t: above, b: below });
    const range = colorRange(metric, isZ, cells);
    const heat = {
      type: "heatmap", z: cells, customdata: texts, hovertemplate: "%{customdata}<extra></extra>", hoverongaps: false,
      xgap: cell > 14 ? 2 : 0, ygap: cell > 14 ? 2 : 0, colorscale: "Cividis", reversescale: metric.lower,
      zmin: range[0], zmax: range[1], colorbar: colorBar(metric, isZ, range, narrow),
    };
    if (cell >= 30) {
      heat.text = order.map((a) => order.map((b) => (a === b ? "" : (isZ ? source[a][b] === null ? "" : Math.round(source[a][b]).toString().replace("-", "−") : cellText(source[a][b])) + (byChance(metric, a, b) ? "°" : ""))));
      heat.texttemplate = "%{text}";
      heat.textfont = { size: cell >= 44 ? 13 : 10.5 };
    }
    const step = Math.max(1, Math.ceil((letters + 1) / cell));  // labels must not overlap
    const named = order.map((_, i) => i).filter((i) => i % step === 0);
    const ticks = { tickmode: "array", tickvals: named, ticktext: named.map((i) => labels[i]), showgrid: false, ticks: "", showline: false, range: [-0.5, count - 0.5] };
    layout.xaxis = Object.assign(axis(metric.symmetric ? "" : "to"), ticks, { tickangle: -50, tickfont: { size: letters, color: color("ink") } });
    layout.yaxis = Object.assign(axis(metric.symmetric ? "" : "from"), ticks, { range: [count - 0.5, -0.5], domain: [0, side / (side + crown)], tickfont: { size: letters, color: color("ink") } });
    const traces = [heat];
    if (tree.length) {
      const top = Math.max(...tree.flatMap((link) => link[1]));
      layout.yaxis2 = { domain: [side / (side + crown) + 0.005, 1], visible: false, range: [0, top * 1.04], fixedrange: true };
      traces.push({
        type: "scatter", mode: "lines", yaxis: "y2", hoverinfo: "skip", line: { color: color("muted"), width: 1.2 },
        x: tree.flatMap((link) => [...link[0], null]), y: tree.flatMap((link) => [...link[1], null]),
      });
    }
    Plotly.react(box, traces, layout, config);
    box.dataset.metric = metric.label;
    at("heat-caption").textContent = caption(metric, isZ, of) + (step > 1 ? " One label in " + step + " is shown." : "");
    drawCard(metric);
  }
  function cellText(value) {
    const text = value.toFixed(2).replace(/^-0\.00$/, "0.00");
    return text.replace(/^(-?)0\./, "$1.").replace("-", "−");
  }
  function caption(metric, isZ, of) {
    const parts = [isZ ? "Standard deviations from chance, " + metric.title + "." : metric.title + "."];
    if (!metric.symmetric) parts.push("Read from the row to the column.");
    parts.push(metric.lower ? "Lower is more alike; light is more alike." : "Light is more alike.");
    if (of) parts.push("Models ordered by " + of.title + (of === metric ? "." : ", the same for every metric."));
    if (metric.z !== null) parts.push("° lies within 3 standard deviations of chance, or on its far side.");
    parts.push("Point at a cell for its interval and null; select it to see the pair under every metric.");
    return parts.join(" ");
  }
  function drawCard(metric) {
    // the methods section has said it already
    const article = Array.from(document.querySelectorAll("#methods article")).find((one) => one.dataset.label === metric.label);
    at("metric-card").replaceChildren(...Array.from(article.childNodes, (node) => node.cloneNode(true)));
  }

  // ---- one pair -------------------------------------------------------------------------
  function drawPair() {
    const [a, b] = focus;
    at("pair-a").value = a;
    at("pair-b").value = b;
    const tiles = (a === b ? [] : squares).map((metric) => {
      const tile = element("div");
      tile.append(element("p", metric.title, "what"));
      for (const [from, to, way] of metric.symmetric ? [[a, b, ""]] : [[a, b, "A → B "], [b, a, "B → A "]]) {
        const value = element("p", undefined, "value");
        value.append(element("span", way), number(metric.values[from][to]), element("span", byChance(metric, from, to) ? "°" : "", "chance"));
        tile.append(value, element("p", evidence(metric, from, to).join(" · "), "why"));
      }
      return tile;
    });
    at("pair-numbers").replaceChildren(...(a === b ? [element("p", "Choose two different models.")] : tiles));
    if (at("plane-plot")) drawPlane();
  }
  function setFocus(a, b) {
    if (a === b) return;
    focus = [a, b];
    drawPair();
  }

  // ---- plane of a directed metric -------------------------------------------------------
  function drawPlane() {
    const metric = checked("plane");
    const shade = at("plane-colour") ? metrics.get(at("plane-colour").value) : null;
    const points = [];
    for (let a = 0; a < count; a++) {
      for (let b = a + 1; b < count; b++) {
        const forth = metric.values[a][b] <= metric.values[b][a] === metric.lower;
        const [from, to] = forth ? [a, b] : [b, a];
        points.push({ from, to, x: metric.values[from][to], y: metric.values[to][from] });
      }
    }
    const box = at("plane-plot");
    const total = width(box);
    const narrow = total < 560;
    const reach = Math.max(1, ...points.flatMap((p) => [p.x, p.y])) * 1.14;  // room for the notes
    const floor = Math.min(0, ...points.flatMap((p) => [p.x, p.y]));
    const shades = shade ? points.map((p) => shade.values[p.from][p.to]) : null;
    const marker = { size: narrow ? 9 : 12, line: { width: 1, color: color("muted") }, color: color("one") };
    marker.symbol = points.map((p) => (data.baseline[p.from] || data.baseline[p.to] ? "diamond" : "circle"));
    if (shade) {
      const bar = colorBar(shade, false, span(shades), narrow);
      bar.title = { text: narrow ? "" : escaped(shade.title), side: "right", font: { size: 12, color: color("muted") } };
      Object.assign(bar, narrow ? {} : { len: 0.9, y: 0.5, yanchor: "middle" });
      Object.assign(marker, { color: shades, colorscale: "Cividis", reversescale: shade.lower, showscale: true, colorbar: bar });
    }
    const traces = [
      { type: "scatter", mode: "lines", x: [floor, reach], y: [floor, reach], line: { color: color("rule"), dash: "dot", width: 1.5 }, hoverinfo: "skip" },
      {
        type: "scatter", mode: "markers", x: points.map((p) => p.x), y: points.map((p) => p.y), marker,
        customdata: points.map((p, i) => "<b>" + escaped(data.names[p.from]) + " → " + escaped(data.names[p.to]) + "</b> " + number(p.x)
          + "<br>" + escaped(data.names[p.to]) + " → " + escaped(data.names[p.from]) + " " + number(p.y)
          + (shade ? "<br>" + escaped(shade.title) + " " + number(shades[i]) : "") + "<br>n = " + data.n.toLocaleString("en")),
        hovertemplate: "%{customdata}<extra></extra>",
      },
    ];
    const ringed = points.filter((p) => (p.from === focus[0] && p.to === focus[1]) || (p.from === focus[1] && p.to === focus[0]));
    traces.push({ type: "scatter", mode: "markers", hoverinfo: "skip", x: ringed.map((p) => p.x), y: ringed.map((p) => p.y), marker: { size: (narrow ? 9 : 12) + 9, color: "rgba(0,0,0,0)", line: { width: 2, color: color("two") } } });
    const height = Math.min(total, narrow ? 440 : 640);
    const layout = base(box, height, { l: 62, r: narrow ? 12 : 120, t: narrow && shade ? 70 : 16, b: 58 });
    layout.xaxis = Object.assign(axis(narrow ? "better direction, A → B" : escaped(metric.title) + ", better direction, A → B"), { range: [floor, reach] });
    layout.yaxis = Object.assign(axis(narrow ? "B → A" : "the other direction, B → A"), { range: [floor, reach] });
    if (metric.lower) {
      const note = (x, y, text, xanchor, yanchor) => ({ x, y, text, xanchor, yanchor, xref: "paper", yref: "paper", showarrow: false, font: { size: 13, color: color("muted") } });
      layout.annotations = [
        note(0.015, 0.02, "each tells all of the other", "left", "bottom"),
        note(0.015, 0.985, narrow ? "A holds B" : "A holds more than B", "left", "top"),
        note(0.985, 0.985, "unrelated", "right", "top"),
      ];
    }
    Plotly.react(box, traces, layout, config);
    if (!box.dataset.ready) {
      box.dataset.ready = "1";
      box.on("plotly_click", (event) => {
        const point = event.points.find((p) => p.curveNumber === 1);
        const now = point && box.planePoints[point.pointIndex];
        if (now) setFocus(now.from, now.to);
      });
    }
    box.planePoints = points;
    listAsymmetries(metric, points);
    at("plane-caption").textContent = "On the dotted line both directions agree; the further from it, the more the first model holds that the second lacks."
      + (data.baseline.some(Boolean) ? " Diamonds: pairs with a random baseline." : "") + " The ring marks the pair chosen above.";
  }

  function listAsymmetries(metric, points) {
    const real = points.filter((p) => !data.baseline[p.from] && !data.baseline[p.to]);
    const most = real.sort((p, q) => Math.abs(q.y - q.x) - Math.abs(p.y - p.x)).slice(0, 7);
    const table = element("table");
    const head = element("tr");
    head.append(element("th", "A → B"), element("th", "forth", "num"), element("th", "back", "num"));
    table.createTHead().append(head);
    const body = table.createTBody();
    for (const p of most) {
      const line = body.insertRow();
      line.append(element("th", data.names[p.from] + " → " + data.names[p.to]), element("td", number(p.x), "num"), element("td", number(p.y), "num"));
    }
    at("plane-list").replaceChildren(table);
  }

  // ---- dimensions -----------------------------------------------------------------------
  function drawDimensions() {
    const box = at("dimension-plot");
    const total = width(box);
    const narrow = total < 560;
    const order = data.names.map((_, i) => i).sort((a, b) => singles[0].values[a] - singles[0].values[b]);
    const most = narrow ? 13 : 28;
    const named = order.map((i) => [shortened(data.names[i], most), data.dims[i].toLocaleString("en")]);
    const labels = named.map(([name, dim]) => escaped(name) + "  <span style='color:" + color("muted") + "'>" + dim + "</span>");
    const rows = order.map((_, i) => i);
    const traces = [{
      type: "scatter", mode: "lines", hoverinfo: "skip", showlegend: false, line: { color: color("rule"), width: 3 },
      x: order.flatMap((i) => [...span(singles.map((m) => m.values[i])), null]), y: order.flatMap((_, row) => [row, row, null]),
    }];
    if (singles.length < 2) traces.pop();
    const colors = [color("one"), color("two"), color("three")];
    const symbols = ["circle", "diamond", "square", "triangle-up", "x"];
    singles.forEach((metric, place) => {
      traces.push({
        type: "scatter", mode: "markers", name: escaped(metric.title.replace("Intrinsic dimension, ", "")), showlegend: true,
        x: order.map((i) => metric.values[i]), y: rows,
        marker: { size: 11, color: colors[place % colors.length], symbol: symbols[place % symbols.length], line: { width: 1, color: color("card") } },
        error_x: metric.low === null ? undefined : {
          type: "data", symmetric: false, thickness: 1.4, width: 4, color: colors[place % colors.length],
          array: order.map((i) => (metric.high[i] === null ? 0 : metric.high[i] - metric.values[i])),
          arrayminus: order.map((i) => (metric.low[i] === null ? 0 : metric.values[i] - metric.low[i])),
        },
        customdata: order.map((i) => ["<b>" + escaped(data.names[i]) + "</b>, " + data.dims[i].toLocaleString("en") + " wide", escaped(metric.title) + " <b>" + number(metric.values[i]) + "</b>"]
          .concat(evidence(metric, i), "n = " + data.n.toLocaleString("en")).join("<br>")),
        hovertemplate: "%{customdata}<extra></extra>",
      });
    });
    const layout = base(box, 96 + 34 * count, { l: widest(named.map((pair) => pair.join("  ")), narrow ? 11 : 13) + 14, r: 16, t: 40, b: 52 });
    const reach = span(singles.flatMap((m) => m.values.concat(m.high || [])));
    const floor = span(singles.flatMap((m) => m.values.concat(m.low || [])))[0];
    const isLog = floor > 0 && reach[1] / floor > 12;
    layout.xaxis = Object.assign(axis(isLog ? "intrinsic dimension, log scale" : "intrinsic dimension"), isLog ? { type: "log", dtick: "D2" } : { range: [Math.min(0, floor), reach[1] * 1.06] });
    layout.yaxis = Object.assign(axis(""), { tickmode: "array", tickvals: rows, ticktext: labels, range: [count - 0.4, -0.6], tickfont: { size: narrow ? 11 : 13, color: color("ink") } });
    layout.showlegend = true;
    layout.legend = { orientation: "h", x: 0, y: 1, yanchor: "bottom", xanchor: "left", font: { size: narrow ? 11 : 13, color: color("ink") } };
    Plotly.react(box, traces, layout, config);
  }

  // ---- tables ---------------------------------------------------------------------------
  function sortBy(table, column) {
    const heads = Array.from(table.tHead.rows[0].cells);
    const up = heads[column].getAttribute("aria-sort") === "descending";
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const key = (row) => row.cells[column].dataset.v;
    const rows = Array.from(body.rows);
    const numeric = rows.every((row) => key(row) === "" || Number.isFinite(Number(key(row))));
    rows.sort((p, q) => {
      if (key(p) === "" || key(q) === "") return (key(p) === "") - (key(q) === "");  // unknown goes last
      const less = numeric ? Number(key(p)) - Number(key(q)) : -key(p).localeCompare(key(q), "en", { numeric: true });
      return up ? less : -less;
    });
    body.append(...rows);
  }
  function filterPairs() {
    const wanted = at("filter").value.trim().toLowerCase();
    const rows = Array.from(at("pair-table").tBodies[0].rows);
    let shown = 0;
    for (const row of rows) {
      const has = [row.cells[0], row.cells[1]].some((cell) => cell.dataset.v.toLowerCase().includes(wanted));
      row.hidden = !has;
      shown += has;
    }
    at("shown").textContent = wanted ? shown + " of " + rows.length : "";
  }

  // ---- wiring ---------------------------------------------------------------------------
  function drawAll() {
    if (at("heat")) { drawHeat(); drawPair(); } else if (at("plane-plot")) drawPlane();
    if (at("dimension-plot")) drawDimensions();
  }
  function listen() {
    if (at("heat")) {
      for (const id of ["metric-switch", "show", "order", "range"]) at(id).addEventListener("change", drawHeat);
      for (const id of ["pair-a", "pair-b"]) {
        at(id).append(...data.names.map((name, i) => new Option(name, i)));
        at(id).addEventListener("change", () => { focus = [Number(at("pair-a").value), Number(at("pair-b").value)]; drawPair(); });
      }
      const first = metrics.get(data.headline) || squares[0];
      let best = null;
      for (let a = 0; a < count; a++) for (let b = a + 1; b < count; b++) {
        const near = first.lower ? -first.values[a][b] : first.values[a][b];
        if (!data.baseline[a] && !data.baseline[b] && (best === null || near > best)) { best = near; focus = [a, b]; }
      }
    }
    if (at("plane-plot")) {
      at("plane-switch").addEventListener("change", drawPlane);
      if (at("plane-colour")) at("plane-colour").addEventListener("change", drawPlane);
    }
    document.querySelectorAll("table.sortable").forEach((table) => {
      Array.from(table.tHead.rows[0].cells).forEach((head, column) => head.querySelector("button").addEventListener("click", () => sortBy(table, column)));
    });
    if (at("filter")) at("filter").addEventListener("input", filterPairs);
  }
  listen();
  drawAll();
  if (at("heat")) {
    at("heat").on("plotly_click", (event) => {
      const point = event.points[0];
      const order = layoutOrder(checked("metric")).order;
      if (point && point.curveNumber === 0) setFocus(order[point.y], order[point.x]);
    });
  }
  let waiting = 0;
  let lastWidth = document.body.clientWidth;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      // a phone's address bar changes the height alone
      if (document.body.clientWidth !== lastWidth && !printing) { lastWidth = document.body.clientWidth; drawAll(); }
    }, 120);
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  window.addEventListener("beforeprint", () => { printing = true; drawAll(); });
  window.addEventListener("afterprint", () => { printing = false; drawAll(); });
})();
