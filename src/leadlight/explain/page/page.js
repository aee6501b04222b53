"use strict";
// Without this script the page says the same; with it the call list sorts, and all its evidence unfolds at once.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  const said = document.createElement("p");
  said.className = "away";
  said.setAttribute("role", "status");

  const key = (row, column) => {
    const cell = row.cells[column];
    return (cell.dataset.key ?? cell.textContent).trim();
  };

  const sort = (head, column) => {
    const first = head.dataset.first ?? "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    const sign = order === "ascending" ? 1 : -1;
    const rows = [...body.rows].map((row) => [key(row, column), row]);
    rows.sort(([a], [b]) => {
      // What is not known comes last, whichever way.
      if (a === "" || b === "") return (a === "") - (b === "");
      return sign * (head.dataset.sort === "number" ? Number(a) - Number(b) : compare(a, b));
    });
    body.append(...rows.map(([, row]) => row));
    heads.forEach((one) => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    said.textContent = `Sorted by ${head.textContent.trim()}, ${order}.`;
  };

  heads.forEach((head, column) => {
    if (!head.dataset.sort) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(head, column));
    head.append(button);
  });
  table.classList.add("sorts");
  table.parentNode.before(said);

  const evidence = [...table.querySelectorAll("details.evidence")];
  if (evidence.length) {
    const all = document.createElement("button");
    all.type = "button";
    all.className = "all";
    const folded = () => evidence.some((one) => !one.open);
    const name = () => (all.textContent = folded() ? "Unfold all evidence" : "Fold all evidence");
    all.addEventListener("click", () => {
      const open = folded();
      evidence.forEach((one) => (one.open = open));
    });
    evidence.forEach((one) => one.addEventListener("toggle", name));
    name();
    table.parentNode.before(all);
  }
}
