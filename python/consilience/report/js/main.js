// Unpacks the library, then draws one figure at a time so that the page answers meanwhile.
function state(word) {
  document.documentElement.dataset.state = word;
  const status = at("status");
  status.textContent = word === "drawing" ? "Drawing the figures …" : "";
  status.hidden = word === "ready";
}
async function unpack() {
  const packed = Uint8Array.from(atob(at("plotly").textContent), (one) => one.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = element("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
  script.remove();
  at("plotly").remove();
}

function drawersOf(part, panel) {
  const made = [];
  let pair = null;
  if (panel.querySelector(".matrix")) {
    pair = pairs(part, panel);
    made.push(matrixOf(part, panel, pair), () => pair.draw());
  }
  for (const section of panel.querySelectorAll(".exhibit")) {
    made.push(exhibitOf(part.exhibits.find((one) => one.key === section.dataset.key), section, part, pair));
  }
  return made;
}

function start() {
  const panels = Array.from(document.querySelectorAll(".part"));
  const perPart = panels.map((panel, i) => drawersOf(data.parts[i], panel));
  const common = data.across.map((given) => exhibitOf(given, document.querySelector('#across [data-key="' + given.key + '"]'), null, null));
  const drawn = new Set();  // parts whose figures stand at the present width and colours
  let current = 0;
  let queue = [];
  let running = false;

  function run() {
    const next = queue.shift();
    if (!next) { running = false; state("ready"); return; }
    next();
    setTimeout(run, 0);
  }
  function enqueue(jobs) {
    queue = jobs;
    if (!jobs.length && !running) state("ready");
    if (!jobs.length) return;
    if (running) return;
    running = true;
    state("drawing");
    setTimeout(run, 0);
  }
  // A part counts as drawn when its last figure stands: a reader may leave it before.
  function show(which) {
    current = which;
    const jobs = [];
    for (const [key, made] of [[which, perPart[which]], ["common", common]]) {
      if (!drawn.has(key)) jobs.push(...made, () => drawn.add(key));
    }
    enqueue(jobs);
  }
  function again() {
    drawn.clear();
    show(current);
  }
  document.querySelectorAll("table.sortable").forEach((table) => { if (table.tHead) listenToHeads(table); });
  tabsOf(panels, show);

  let waiting = 0;
  let lastWidth = document.body.clientWidth;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      // a phone's address bar changes the height alone
      if (document.body.clientWidth !== lastWidth && !printing) { lastWidth = document.body.clientWidth; again(); }
    }, 120);
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  window.addEventListener("beforeprint", () => {
    printing = true;
    queue = [];
    [...perPart.flat(), ...common].forEach((draw) => draw());
  });
  window.addEventListener("afterprint", () => { printing = false; again(); });
}

state("unpacking");
if (typeof DecompressionStream === "undefined") {
  at("status").textContent = "The figures need a browser of 2023 or later; the files in figures/ and tables/ hold all of them.";
} else {
  unpack().then(start).catch((error) => {
    document.documentElement.dataset.state = "failed";
    at("status").textContent = "The figures could not be drawn: " + error.message;
    throw error;
  });
}
