// Downloads that need no server: the figure as it stands, its numbers, the tree.
function save(name, blob) {
  const link = element("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
function csvOf(table) {
  const field = (value) => {
    if (value === null || value === undefined) return "";
    const formula = typeof value === "string" && /^ *[=+\-@\t\r\n]/.test(value);
    const text = (formula ? "'" : "") + String(value);  // a spreadsheet would run it
    return /[",\n\r]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
  };
  const rows = rowsOf(table).map((i) => Object.values(table).map((column) => column[i]));
  return [Object.keys(table), ...rows].map((row) => row.map(field).join(",")).join("\n") + "\n";
}
async function imageOf(box, format) {
  const { width, height } = box.layout;
  const layout = Object.assign({}, box.layout, { paper_bgcolor: color("card") });
  const scale = format === "png" ? 2 : 1;
  const address = await Plotly.toImage({ data: box.data, layout, config }, { format, width, height, scale });
  if (format === "svg") return new Blob([decodeURIComponent(address.slice(address.indexOf(",") + 1))], { type: "image/svg+xml" });
  const bytes = Uint8Array.from(atob(address.slice(address.indexOf(",") + 1)), (one) => one.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}
// `now` returns {name, table, newick} of what the section shows.
function listenToLinks(section, box, now) {
  section.querySelectorAll(".links [data-file]").forEach((button) => button.addEventListener("click", async () => {
    const kind = button.dataset.file;
    const shown = now();
    const text = (content, type) => new Blob([content], { type });
    const blob = kind === "csv" ? text(csvOf(shown.table), "text/csv")
      : kind === "nwk" ? text(shown.newick + "\n", "text/plain") : await imageOf(box, kind);
    save(shown.name + "." + kind, blob);
    button.dataset.saved = String(blob.size);
  }));
}
