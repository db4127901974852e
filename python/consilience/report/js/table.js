// Sortable tables.
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
function listenToHeads(table) {
  Array.from(table.tHead.rows[0].cells).forEach((head, column) => head.querySelector("button").addEventListener("click", () => sortBy(table, column)));
}
function sortHead(text, isNumber) {
  const head = element("th", undefined, isNumber ? "num" : "");
  head.scope = "col";
  const button = element("button", text, "sort");
  button.type = "button";
  head.append(button);
  return head;
}
function cell(tag, text, value, name) {
  const made = element(tag, text, name);
  made.dataset.v = value === null || value === undefined ? "" : value;
  return made;
}
