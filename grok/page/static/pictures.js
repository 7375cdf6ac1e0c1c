// The pictures of a network at one of its moments; `network` is the one that is shown.

let network = null; // the block that is shown, with `name` of its experiment and its `data`
// What an equation is. Right and wrong differ in lightness too, and are counted in words.
const CELLS = [
  ["undefined", "rgba(0,0,0,0)"],
  ["training, wrong", "#8c8c8c"],
  ["training, right", "#cfcfcf"],
  ["validation, wrong", "#f3c693"],
  ["validation, right", "#0072b2"],
];
const UNDEFINED = 0;
const TRAINING = 1;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// --- Accuracy and the table ---

function drawAccuracy(i) {
  const update = Math.max(network.arrays.update[i], 1);
  const row = rowOfRun(network.data, network.run);
  const lines = linesOf(network.data, row, "accuracy", {
    train: colour("train"),
    val: colour("val"),
  });
  const cursor = {
    type: "line",
    x0: update,
    x1: update,
    yref: "paper",
    y0: 0,
    y1: 1,
    line: { color: colour("ink"), width: 1.5 },
  };
  const legend = { orientation: "h", y: 1.12, x: 0, font: { size: 11 } };
  const named = lines.map((line) => ({ ...line, name: line.name.split(" ").at(-1) }));
  draw(
    "net-curve",
    named,
    { xaxis: updatesAxis(named), yaxis: accuracyAxis, shapes: [cursor], showlegend: true, legend },
    `Accuracy of run ${network.run}, a cursor at update ${update}`,
  );
}

/** Whether each equation is answered right at moment i, from the packed bits. */
function rightAt(i) {
  const bytes = network.shapes.right[1];
  const bits = network.arrays.right.subarray(i * bytes, (i + 1) * bytes);
  return (equation) => (bits[equation >> 3] >> (7 - (equation & 7))) & 1;
}

function drawEquations(i) {
  if (network.no_table) {
    $("cells").replaceChildren();
    return say("net-table", `No table: ${network.no_table}.`);
  }
  const n = network.labels.length;
  const right = rightAt(i);
  const counts = CELLS.map(() => 0);
  const rows = Array.from({ length: n }, (_, x) =>
    Array.from({ length: n }, (_, y) => {
      const kind = network.arrays.kind[x * n + y];
      if (kind === UNDEFINED) return UNDEFINED;
      const cell = (kind === TRAINING ? 1 : 3) + right(x * n + y);
      counts[cell] += 1;
      return cell;
    }),
  );
  const scale = CELLS.flatMap(([, fill], cell) => [
    [cell / CELLS.length, fill],
    [(cell + 1) / CELLS.length, fill],
  ]);
  const heat = {
    type: "heatmap",
    z: rows,
    x: network.labels,
    y: network.labels,
    zmin: -0.5,
    zmax: CELLS.length - 0.5,
    colorscale: scale,
    showscale: false,
    text: rows.map((row) => row.map((cell) => CELLS[cell][0])),
    hovertemplate: "x %{y}, y %{x}: %{text}<extra></extra>",
  };
  const axis = { type: "category", showgrid: false, nticks: 6, constrain: "domain" };
  const words = CELLS.slice(1)
    .map(([name], cell) => `${name} ${counts[cell + 1]}`)
    .join(", ");
  draw(
    "net-table",
    [heat],
    {
      xaxis: { ...axis, title: { text: "y" } },
      yaxis: { ...axis, title: { text: "x" }, autorange: "reversed", scaleanchor: "x" },
    },
    `Table of equations: ${words}`,
  );
  const items = CELLS.slice(1).map(([name, fill], cell) =>
    element(
      "li",
      {},
      element("span", { class: "swatch", style: `background:${fill}` }),
      `${name}: ${whole(counts[cell + 1])}`,
    ),
  );
  $("cells").replaceChildren(...items);
}

// --- Points ---

/** What colours and marks the elements: a colour, a symbol and words an element. */
function colours() {
  const n = network.labels.length;
  const elements = Array.from({ length: n }, (_, element) => element);
  const kind = $("colour").value;
  if (!network.is_ring) {
    const { words, classes: names } = network.colours.find(({ name }) => name === kind);
    const value = network.arrays[`colour_${kind}`];
    return classes(
      elements.map((element) => value[element]),
      names,
      words,
    );
  }
  return kind === "place" ? onTheCircle(elements) : byResidue(elements, kind === "log");
}

/** Colours by n mod k, or by the logarithm mod k, which 0 does not have. */
function byResidue(elements, isLog) {
  const k = Number($("modulus").value);
  const names = Array.from({ length: k }, (_, residue) => String(residue));
  const { log } = network.arrays;
  const number = (element) => (isLog ? log[element] : element);
  const residues = elements.map((element) => (number(element) < 0 ? null : number(element) % k));
  return classes(residues, names, isLog ? `${network.log} mod ${k}` : `n mod ${k}`);
}

/** Colours by the place on the circle of the chosen frequency, and marks by its quarter. */
function onTheCircle(elements) {
  const { order } = network.arrays;
  const key = network.keys[keyPlace()];
  const at = new Map([...order].map((element, place) => [element, place]));
  const value = elements.map((element) =>
    at.has(element) ? (key * at.get(element)) % order.length : null,
  );
  return {
    value,
    words: `${key} × ${network.axis} mod ${order.length}: place on the circle, by quarters`,
    fill: value.map((place) => (place === null ? "#888" : hue(place / order.length))),
    symbol: value.map((place) =>
      place === null ? "x-thin-open" : SYMBOLS[Math.floor((4 * place) / order.length)],
    ),
  };
}

/** Classes by their names: a few have a palette and symbols, many the hues of a circle. */
function classes(value, names, words) {
  const few = names.length <= PALETTE.length;
  const shade = (at) => (few ? PALETTE[at] : hue(at / names.length));
  const fill = value.map((at) => (at === null ? "#888" : shade(at)));
  const symbol = value.map((at) => (at === null ? "x-thin-open" : SYMBOLS[at % SYMBOLS.length]));
  return { value, words, fill, symbol, names: few ? names : null };
}

/** The points of moment i of an array [..., n, 2], whose planes follow each other at `offset`. */
function pointsAt(name, i, n, plane = 0, planes = 1) {
  const scale = network[`${name}_scale`];
  const from = 2 * n * (i * planes + plane);
  const flat = network.arrays[name].subarray(from, from + 2 * n);
  return Array.from({ length: n }, (_, at) => [scale * flat[2 * at], scale * flat[2 * at + 1]]);
}

/** The reach of an array of points over all moments, so that the axes stay. */
function reachOf(name, planes, plane, n) {
  let reach = 0;
  for (let i = 0; i < network.moments; i += 1) {
    for (const point of pointsAt(name, i, n, plane, planes))
      reach = Math.max(reach, Math.abs(point[0]), Math.abs(point[1]));
  }
  return 1.08 * reach;
}

/** Lines from each element of `order` to the one m further on, by element. */
function joints(pointOf, order) {
  const m = joinStep();
  if (!network.is_ring || m === 0) return { x: [], y: [] };
  const ends = order.flatMap((element, at) => [
    pointOf(element),
    pointOf(order[(at + m) % order.length]),
    [null, null],
  ]);
  return { x: ends.map(([x]) => x), y: ends.map(([, y]) => y) };
}

function scatter(id, points, members, order, colouring, reach, words) {
  const place = new Map(members.map((element, at) => [element, at]));
  const lines = {
    ...joints((element) => points[place.get(element)], order),
    mode: "lines",
    hoverinfo: "skip",
    line: { color: colour("line"), width: 1 },
  };
  const dots = {
    x: points.map(([x]) => x),
    y: points.map(([, y]) => y),
    mode: "markers",
    text: members.map(
      (element) =>
        `${network.labels[element]}<br>${colouring.words}: ${colouring.value[element] ?? "none"}`,
    ),
    hovertemplate: "%{text}<extra></extra>",
    marker: {
      size: 8,
      color: members.map((element) => colouring.fill[element]),
      symbol: members.map((element) => colouring.symbol[element]),
      line: { width: 0.5, color: colour("ink") },
    },
  };
  const axis = {
    range: [-reach, reach],
    showticklabels: false,
    showgrid: false,
    mirror: true,
    showline: true,
  };
  draw(
    id,
    [lines, dots],
    {
      xaxis: { ...axis, constrain: "domain" },
      yaxis: { ...axis, scaleanchor: "x" },
      margin: { l: 8, r: 8, t: 8, b: 8 },
    },
    words,
  );
}

function drawPlane(i, colouring) {
  const order = [...network.arrays.order];
  const [plane, planes] = [keyPlace(), network.keys.length];
  const points = pointsAt("plane", i, order.length, plane, planes);
  const share = network.arrays.plane_share[i * planes + plane];
  const m = joinStep();
  const joined = m
    ? `, n joined to ${network.is_log ? `n·${order[m % order.length]}` : `n + ${m}`}`
    : "";
  const words =
    `Plane of frequency ${network.keys[plane]} of ${network.axis}${joined}: ` +
    `${percent(share)} of the variance`;
  $("plane-words").textContent = words;
  scatter(
    "net-plane",
    points,
    order,
    order,
    colouring,
    reachOf("plane", planes, plane, order.length),
    words,
  );
}

function drawPoints(id, name, i, colouring, words) {
  const n = network.labels.length;
  const elements = Array.from({ length: n }, (_, element) => element);
  const order = network.is_ring ? [...network.arrays.order] : [];
  scatter(id, pointsAt(name, i, n), elements, order, colouring, reachOf(name, 1, 0, n), words);
}

// --- Spectrum and cosines ---

function drawSpectrum(i) {
  if (network.no_spectrum) {
    $("spectrum-words").textContent = "Spectrum";
    return say("net-spectrum", network.no_spectrum);
  }
  const { names } = network;
  const count = names.length;
  const share = network.arrays.share.subarray(i * count, (i + 1) * count);
  const isKey = names.map(
    (name) => network.is_ring && network.is_key && network.keys.includes(Number(name)),
  );
  const bars = {
    type: "bar",
    x: names,
    y: [...share],
    marker: {
      color: names.map((_, at) => (isKey[at] || !network.is_ring ? colour("val") : colour("soft"))),
    },
    text: names.map((name, at) => (isKey[at] ? name : "")),
    textposition: "outside",
    textfont: { size: 10 },
    constraintext: "none",
    hovertemplate: "%{x}: %{y:.2%} of the variance<extra></extra>",
  };
  const top = 1.15 * Math.max(...network.arrays.share);
  const axis = {
    type: "category",
    nticks: network.is_ring ? 8 : count,
    ...(network.is_ring ? { title: { text: `frequency of ${network.axis}` } } : {}),
  };
  const words = network.is_ring
    ? "Spectrum: share of the variance at each frequency; band: 95% of permuted rows"
    : "Irreps: share of the rows in each; lines: random rows";
  $("spectrum-words").textContent = words;
  const largest = share.indexOf(Math.max(...share));
  draw(
    "net-spectrum",
    [bars],
    { xaxis: axis, yaxis: { range: [0, top], tickformat: ".0%" }, shapes: nulls(i), bargap: 0.15 },
    `${words}. Largest: ${names[largest]} with ${percent(share[largest])}`,
  );
}

/** What chance gives: a band for frequencies, a line for each irrep. */
function nulls(i) {
  const null_ = network.arrays.null;
  const line = { color: colour("alarm"), width: 1.5 };
  if (network.is_ring) {
    const [low, high] = null_.subarray(2 * i, 2 * i + 2);
    return [
      {
        type: "rect",
        xref: "paper",
        x0: 0,
        x1: 1,
        y0: low,
        y1: high,
        fillcolor: colour("alarm"),
        opacity: 0.25,
        line: { width: 0 },
      },
    ];
  }
  return network.names.map((_, at) => ({
    type: "line",
    x0: at - 0.45,
    x1: at + 0.45,
    y0: null_[2 * at],
    y1: null_[2 * at],
    line,
  }));
}

/** Elements in the order in which rows and columns of the cosines stand. */
function cosineOrder(colouring) {
  const elements = network.labels.map((_, element) => element);
  if ($("order").value === "natural") return elements;
  const key = (element) => colouring.value[element] ?? Infinity;
  if (!network.is_ring) return elements.sort((a, b) => key(a) - key(b) || a - b);
  const { order } = network.arrays;
  const frequency = network.keys[keyPlace()];
  const places = Array.from(order.keys()).sort(
    (a, b) => ((frequency * a) % order.length) - ((frequency * b) % order.length) || a - b,
  );
  return places.map((place) => order[place]);
}

function drawCosines(i, colouring) {
  const n = network.labels.length;
  const half = (n * (n - 1)) / 2;
  const flat = network.arrays.cosine.subarray(i * half, (i + 1) * half);
  const cosine = (a, b) => {
    if (a === b) return 1;
    const [low, high] = a < b ? [a, b] : [b, a];
    return flat[low * n - (low * (low + 1)) / 2 + high - low - 1] / 127;
  };
  const order = cosineOrder(colouring);
  const names = order.map((element) => network.labels[element]);
  const heat = {
    type: "heatmap",
    z: order.map((a) => order.map((b) => cosine(a, b))),
    x: names,
    y: names,
    zmin: -1,
    zmax: 1,
    colorscale: "RdBu",
    reversescale: false,
    colorbar: { thickness: 8, tickvals: [-1, 0, 1], outlinewidth: 0 },
    hovertemplate: "%{y} and %{x}: %{z:.2f}<extra></extra>",
  };
  const how =
    $("order").value === "natural"
      ? "natural order"
      : network.is_ring
        ? `round the circle of frequency ${network.keys[keyPlace()]}`
        : `by ${colouring.words}`;
  const words = `Cosines between the rows, ${how}`;
  $("cosine-words").textContent = words;
  const axis = { type: "category", showgrid: false, nticks: 6, constrain: "domain" };
  draw(
    "net-cosine",
    [heat],
    {
      xaxis: axis,
      yaxis: { ...axis, autorange: "reversed", scaleanchor: "x" },
      margin: { l: 34, r: 4, t: 8, b: 30 },
    },
    words,
  );
}
