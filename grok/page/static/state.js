// The state of the page is what stands after "#" in its address: a link to it restores the view.

const DEFAULT_VIEW = "scoreboard";
let state = {};

function readState() {
  state = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  if (!document.querySelector(`nav [data-view="${CSS.escape(state.view ?? "")}"]`)) {
    state.view = DEFAULT_VIEW;
  }
}

/** The address of the present state with some changes; null, undefined and "" remove a part. */
function linkTo(changes) {
  const parts = Object.entries({ ...state, ...changes });
  const kept = parts.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `#${new URLSearchParams(kept)}`;
}

/** Change the state and show it. A new view enters the browser's history; other changes replace. */
function go(changes) {
  const isNewView = "view" in changes && changes.view !== state.view;
  history[isNewView ? "pushState" : "replaceState"](null, "", linkTo(changes));
  readState();
  return show();
}

/** The parts of the state whose names begin with a prefix, without it. */
function partsOf(prefix) {
  const found = Object.entries(state).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(found.map(([name, value]) => [name.slice(prefix.length), value]));
}

// --- Elements ---

const $ = (id) => document.getElementById(id);

/** A new element with attributes, properties that begin with "." and children. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith(".")) made[key.slice(1)] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** Fill a select with [value, words] pairs and choose one; the first where there is no such. */
function choices(select, pairs, chosen) {
  select.replaceChildren(...pairs.map(([value, words]) => element("option", { value }, words)));
  select.value = chosen ?? "";
  if (select.selectedIndex < 0) select.selectedIndex = 0;
  return select.value;
}

const percent = (share) =>
  share === null || Number.isNaN(share) ? "unknown" : `${(100 * share).toFixed(1)}%`;
const counted = (n, what) => `${whole(n)} ${what}${n === 1 ? "" : "s"}`;
const spaced = (name) => name.replaceAll("_", " ");
const whole = (number) => number.toLocaleString("en");
