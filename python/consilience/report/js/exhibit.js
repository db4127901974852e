// A section with a figure, its switches, its caption and its downloads.
function exhibitOf(given, section, part, pair) {
  const box = section.querySelector(".plot");
  const bar = section.querySelector(".options");
  const which = section.querySelector('[data-choice="figure"]');
  const extra = element("span", undefined, "choices");
  bar.append(extra);
  const choices = {};
  let figure = given.figures[0];
  let view = null;

  function offer() {
    const offered = options[figure.kind] ? options[figure.kind](figure) : [];
    extra.replaceChildren(...offered.map((one) => {
      const select = element("select");
      select.dataset.choice = one.id;
      select.append(...one.values.map(([value, text]) => new Option(text, value)));
      const known = one.values.some(([value]) => value === choices[one.id]);
      choices[one.id] = known ? choices[one.id] : one.first || one.values[0][0];
      select.value = choices[one.id];
      select.addEventListener("change", () => { choices[one.id] = select.value; draw(); });
      const label = element("label", one.label + " ");
      label.append(select);
      return label;
    }));
    section.querySelector("figcaption").textContent = figure.caption;
  }
  function draw() {
    view = { width: widthOf(box), figure, part, choices };
    view.narrow = view.width < 560;
    const { traces, layout } = drawers[figure.kind](view);
    Plotly.react(box, traces, layout, config);
    section.dataset.drawn = figure.key;
    if (box.dataset.ready || !clicks[figure.kind]) return;
    box.dataset.ready = "1";
    box.on("plotly_click", (event) => {
      const names = event.points[0] && clicks[figure.kind](event.points[0], view);
      if (names && pair) pair.choose(part.names.indexOf(names[0]), part.names.indexOf(names[1]), true);
    });
  }
  if (which) which.addEventListener("change", () => { figure = given.figures[Number(which.value)]; offer(); draw(); });
  listenToLinks(section, box, () => ({ name: (part ? part.name + "-" : "") + figure.key, table: figure.table, newick: figure.more.newick }));
  offer();
  return draw;
}
