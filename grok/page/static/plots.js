// What all plots share: colours from the style sheet, axes, and words where there is no data.

const PALETTE = [
  "#0072B2",
  "#D55E00",
  "#009E73",
  "#CC79A7",
  "#E69F00",
  "#56B4E9",
  "#8A6FDF",
  "#7A7A7A",
];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "x", "cross", "pentagon", "star"];
const GLYPHS = {
  circle: "●",
  square: "■",
  diamond: "◆",
  "triangle-up": "▲",
  x: "✖",
  cross: "✚",
  pentagon: "⬟",
  star: "★",
};

/** The colour and the symbol of a run by its place among those drawn: 64 pairs, then again. */
function markOf(place) {
  const round = Math.floor(place / PALETTE.length);
  return {
    color: PALETTE[place % PALETTE.length],
    symbol: SYMBOLS[(place + round) % SYMBOLS.length],
  };
}

const CONFIG = { displaylogo: false, responsive: true, displayModeBar: false };

const colour = (role) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${role}`).trim();

/** Plotly's layout in the colours of the page. */
function layout(more) {
  const axis = {
    gridcolor: colour("line"),
    linecolor: colour("line"),
    zeroline: false,
    color: colour("soft"),
    automargin: true,
  };
  return {
    font: { color: colour("ink"), size: 12, family: "system-ui, sans-serif" },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 44, r: 10, t: 8, b: 38 },
    hoverlabel: { align: "left" },
    hovermode: "closest",
    dragmode: false,
    showlegend: false,
    ...more,
    xaxis: { ...axis, ...more.xaxis },
    yaxis: { ...axis, ...more.yaxis },
  };
}

/** Ticks of a logarithmic axis of values above 0: 1, 2 and 5 over `few` tens, then tens alone. */
function logTicks(values, few = 3) {
  const logs = values.map(Math.log10);
  const [low, high] = logs.reduce(
    ([least, most], log) => [Math.min(least, log), Math.max(most, log)],
    [Infinity, -Infinity],
  );
  const tens = high - low;
  if (tens < 0.7) return { type: "log", nticks: 5 };
  return { type: "log", dtick: tens <= few ? "D2" : Math.ceil(tens / 8) };
}

/** The axis of updates that curves have in common. */
function updatesAxis(traces) {
  const ticks = logTicks(
    traces.flatMap(({ x }) => x),
    1,
  );
  return { ...ticks, title: { text: "updates" }, tickformat: "," };
}

const accuracyAxis = { range: [-0.03, 1.03], tickformat: ".0%" };

/** Draw into an element; `words` say to a screen reader what it shows. */
function draw(id, traces, more, words) {
  const place = $(id);
  place.querySelector(":scope > .words")?.remove();
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", words);
  return Plotly.react(place, traces, layout(more), CONFIG);
}

/** Words in the place of what is not there. */
function say(id, words) {
  const place = $(id);
  Plotly.purge(place);
  place.removeAttribute("role");
  place.removeAttribute("aria-label");
  place.replaceChildren(element("p", { class: "words" }, words));
}

/** A colour on a circle of hues for a place in [0, 1): neighbours look alike, also 0 and 1. */
function hue(place) {
  const lightness = 50 + 14 * Math.cos(2 * Math.PI * place);
  return `hsl(${Math.round(360 * place)} 65% ${Math.round(lightness)}%)`;
}
