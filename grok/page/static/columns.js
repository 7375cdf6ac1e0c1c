// The runs of an experiment as columns: values, filters, order, and which runs are drawn.

const FIRST_DRAWN = 8; // runs, where the state names none
const OPERATORS = {
  "<=": (a, b) => a <= b,
  ">=": (a, b) => a >= b,
  "<": (a, b) => a < b,
  ">": (a, b) => a > b,
  "!=": (a, b) => a !== b,
  "=": (a, b) => a === b,
};

/** The value of a column for the run in row i; null where it is missing. */
function valueAt(data, column, i) {
  if ("constant" in column) return column.constant;
  if (column.values) return column.values[column.indices[i]];
  const number = data.arrays[`column_${column.name}`][i];
  return Number.isNaN(number) ? null : number;
}

function columnOf(data, name) {
  return data.columns.find((column) => column.name === name);
}

const varied = (data) => data.columns.filter((column) => !("constant" in column));

/** A cell in words: numbers as people write them, "none" for what is missing. */
function cellWords(value) {
  if (value === null) return "none";
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? whole(value) : String(Number(value.toPrecision(6)));
}

/** Whether a value passes a filter: a comparison, a number, or a part of a word. */
function passes(value, filter) {
  const [, operator, text] = filter.trim().match(/^(<=|>=|!=|<|>|=)?\s*(.*)$/);
  if (text === "") return true;
  const isNumber = typeof value === "number" && text.trim() !== "" && !Number.isNaN(Number(text));
  if (operator) {
    const ordered = operator !== "=" && operator !== "!=";
    if (isNumber) return OPERATORS[operator](value, Number(text));
    return !ordered && OPERATORS[operator](cellWords(value).toLowerCase(), text.toLowerCase());
  }
  return isNumber
    ? value === Number(text)
    : cellWords(value).toLowerCase().includes(text.toLowerCase());
}

/** Rows that pass the filters of the state, in its order. */
function rowsOf(data) {
  const filters = Object.entries(partsOf("where."))
    .map(([name, filter]) => [columnOf(data, name), filter])
    .filter(([column]) => column);
  const rows = data.names.map((_, i) => i);
  const kept = rows.filter((i) =>
    filters.every(([column, filter]) => passes(valueAt(data, column, i), filter)),
  );
  const [, descending, name] = (state.sort ?? "run").match(/^(-?)(.*)$/);
  const column = columnOf(data, name);
  if (!column) return kept;
  const sign = descending ? -1 : 1;
  const order = (a, b) => {
    if (a === b) return 0;
    if (a === null || b === null) return a === null ? 1 : -1; // what is missing comes last
    return sign * (typeof a === "number" ? a - b : String(a).localeCompare(String(b)));
  };
  return kept.sort((a, b) => order(valueAt(data, column, a), valueAt(data, column, b)) || a - b);
}

const runAt = (data, i) => valueAt(data, columnOf(data, "run"), i);

function rowOfRun(data, run) {
  return data.names.findIndex((_, i) => runAt(data, i) === run);
}

/** The rows whose curves are drawn: those of the state, or the first that the filters leave. */
function drawnRows(data, rows) {
  if (state.runs === undefined) return rows.slice(0, FIRST_DRAWN);
  const runs = state.runs.split(",").filter(Boolean).map(Number);
  return runs.map((run) => rowOfRun(data, run)).filter((i) => i >= 0);
}

const entryOf = (name) => index.experiments.find((entry) => entry.name === name);
const hasNetwork = (name, run) => entryOf(name).networks.some((network) => network.run === run);
