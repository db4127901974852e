// One pair of a part under every metric, and the list of all pairs under one.
function pairs(part, panel) {
  const role = (name) => panel.querySelector('[data-role="' + name + '"]');
  const [first, second] = [role("pair-a"), role("pair-b")];
  let focus = closest(part);
  let listed = null;
  let metric = null;

  function draw() {
    const [a, b] = focus;
    first.value = a;
    second.value = b;
    role("pair-facts").replaceChildren(...(a === b ? [] : [["A", a], ["B", b]].map(([letter, i]) => card(part, letter, i))));
    const tiles = (a === b ? [] : part.metrics).map((one) => tile(part, one, a, b));
    role("pair-numbers").replaceChildren(...(a === b ? [element("p", "Choose two different models.")] : tiles));
    for (const listener of listeners) listener(focus);
  }
  function choose(a, b, go) {
    if (a === b) return;
    focus = [a, b];
    draw();
    if (!go) return;
    const head = panel.querySelector(".pair h3");
    head.scrollIntoView({ block: "start" });
    head.focus({ preventScroll: true });
  }
  function list() {
    const details = role("pairs").closest("details");
    if (!details.open || listed === metric) return;
    listed = metric;
    fill(part, metric, role("pairs"), choose);
    filter();
  }
  function filter() {
    const wanted = role("filter").value.trim().toLowerCase();
    const rows = Array.from(role("pairs").tBodies[0].rows);
    let shown = 0;
    for (const row of rows) {
      row.hidden = ![row.cells[0], row.cells[1]].some((one) => one.dataset.v.toLowerCase().includes(wanted));
      shown += !row.hidden;
    }
    role("shown").textContent = wanted ? shown + " of " + rows.length : "";
  }
  const listeners = [];
  for (const select of [first, second]) {
    select.append(...part.names.map((name, i) => new Option(name, i)));
    select.addEventListener("change", () => { focus = [Number(first.value), Number(second.value)]; draw(); });
  }
  role("pairs").closest("details").addEventListener("toggle", list);
  role("filter").addEventListener("input", filter);
  return { draw, choose, focus: () => focus, listen: (one) => listeners.push(one), show: (one) => { metric = one; list(); } };
}

function closest(part) {
  const metric = part.metrics.find((one) => one.label === part.headline) || part.metrics[0];
  let best = null, focus = [0, 1];
  for (let a = 0; a < part.names.length; a++) for (let b = a + 1; b < part.names.length; b++) {
    const value = read(part, metric, "values", a, b);
    const near = metric.lower ? -value : value;
    if (!part.baseline[a] && !part.baseline[b] && (best === null || near > best)) { best = near; focus = [a, b]; }
  }
  return focus;
}
function card(part, letter, i) {
  const made = element("div");
  made.append(element("h4", letter + ": " + part.names[i]));
  const list = element("dl");
  for (const [key, value] of [...part.facts[i], ["width", part.dims[i].toLocaleString("en")]]) list.append(element("dt", key), element("dd", value));
  made.append(list);
  return made;
}
function tile(part, metric, a, b) {
  const made = element("div");
  made.append(element("p", metric.title, "what"));
  for (const [from, to, way] of metric.symmetric ? [[a, b, ""]] : [[a, b, "A → B "], [b, a, "B → A "]]) {
    const value = element("p", undefined, "value");
    value.append(element("span", way), number(read(part, metric, "values", from, to)), element("span", byChance(part, metric, from, to) ? "°" : "", "chance"));
    made.append(value, element("p", evidence(part, metric, from, to).join(" · "), "why"));
  }
  return made;
}
function fill(part, metric, table, choose) {
  const columns = [["score", "values"], ["95 % from", "low"], ["to", "high"], ["chance", "nullMean"], ["z", "z"], ["p", "p"], ["q", "q"], ["calibrated", "calibrated"]]
    .filter(([, key]) => metric[key] !== null);
  table.replaceChildren();
  const head = table.createTHead().insertRow();
  head.append(sortHead(metric.symmetric ? "model A" : "from"), sortHead(metric.symmetric ? "model B" : "to"), ...columns.map(([text]) => sortHead(text, true)));
  const body = table.createTBody();
  const n = part.names.length;
  for (let a = 0; a < n; a++) for (let b = metric.symmetric ? a + 1 : 0; b < n; b++) {
    if (a === b) continue;
    const row = body.insertRow();
    row.append(cell("th", part.names[a], part.names[a]), cell("td", part.names[b], part.names[b]));
    row.cells[0].scope = "row";
    for (const [, key] of columns) {
      const value = read(part, metric, key, a, b);
      const text = value !== null && (key === "p" || key === "q") ? chance(value, "").slice(1).replace(/^= /, "") : number(value);
      row.append(cell("td", text + (key === "values" && byChance(part, metric, a, b) ? "°" : ""), value, "num"));
    }
    row.addEventListener("click", () => choose(a, b, true));
  }
  listenToHeads(table);
  sortBy(table, 2);
  if (metric.lower) sortBy(table, 2);
}
