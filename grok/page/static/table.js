// The runs of an experiment as a table to sort and filter.

const ROWS = 100; // at first, and with each "more"
let rowsShown = ROWS;

function drawTable(data, rows, drawn) {
  const columns = [columnOf(data, "run"), ...varied(data).filter(({ name }) => name !== "run")];
  $("runs-count").textContent =
    `${whole(rows.length)} of ${whole(data.names.length)} runs; ${drawn.length} drawn.`;
  const head = $("runs").tHead;
  // The filters keep their focus while they are typed in, so a head that fits is kept.
  const key = `${data.name} ${columns.length}`;
  if (head.dataset.key !== key) {
    head.replaceChildren(headRow(columns));
    head.dataset.key = key;
  }
  for (const cell of head.querySelectorAll("th[data-name]")) markHead(cell);
  const shown = rows.slice(0, rowsShown);
  $("runs").tBodies[0].replaceChildren(...shown.map((i) => runRow(data, columns, i, drawn)));
  $("more-rows").hidden = rows.length <= rowsShown;
}

function headRow(columns) {
  const cells = columns.map(({ name }) => {
    const sort = element("button", { type: "button" }, spaced(name));
    sort.addEventListener("click", () => go({ sort: state.sort === name ? `-${name}` : name }));
    const filter = element("input", { "aria-label": `filter ${name}`, autocomplete: "off" });
    filter.addEventListener("input", () => go({ [`where.${name}`]: filter.value }));
    return element("th", { scope: "col", "data-name": name }, sort, filter);
  });
  const fixed = ["draw", "open"].map((words) => element("th", { scope: "col" }, words));
  return element("tr", {}, ...fixed, ...cells);
}

/** Show in a column's head how the table is sorted and filtered. */
function markHead(cell) {
  const { name } = cell.dataset;
  const sorted = (state.sort ?? "run").replace(/^-/, "") === name;
  const direction = (state.sort ?? "").startsWith("-") ? "descending" : "ascending";
  if (sorted) cell.setAttribute("aria-sort", direction);
  else cell.removeAttribute("aria-sort");
  const mark = { ascending: " ▲", descending: " ▼" }[direction];
  cell.querySelector("button").textContent = spaced(name) + (sorted ? mark : "");
  const filter = cell.querySelector("input");
  const text = state[`where.${name}`] ?? "";
  if (filter.value !== text) filter.value = text;
}

function runRow(data, columns, i, drawn) {
  const run = runAt(data, i);
  const box = element("input", {
    type: "checkbox",
    ".checked": drawn.includes(i),
    "aria-label": `draw run ${run}`,
  });
  box.addEventListener("change", () => {
    const others = drawn.filter((each) => each !== i);
    const chosen = (box.checked ? [...others, i] : others).map((each) => runAt(data, each));
    go({ runs: chosen.join(",") || "none" });
  });
  const address = linkTo({ view: "network", experiment: data.name, run, update: null });
  const mark = drawn.includes(i) ? markGlyph(markOf(drawn.indexOf(i))) : "";
  const link = hasNetwork(data.name, run) ? element("a", { href: address }, `network`) : "";
  const cells = columns.map((column) => {
    const value = valueAt(data, column, i);
    const isNumber = column.numbers || typeof value === "number";
    return element("td", { class: isNumber ? "number" : null }, cellWords(value));
  });
  return element(
    "tr",
    { "data-run": run },
    element("td", {}, box, mark),
    element("td", {}, link),
    ...cells,
  );
}

/** The mark of a run on its curves; a screen reader hears the checkbox instead. */
function markGlyph({ color, symbol }) {
  const attributes = { class: "mark", style: `color:${color}`, "aria-hidden": "true" };
  return element("span", attributes, GLYPHS[symbol]);
}
