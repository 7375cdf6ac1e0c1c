// An experiment: the curves of the chosen runs, and the updates to 99% against any field.

async function showExperiments() {
  const pairs = index.experiments.map(({ name, runs }) => [
    name,
    `${name} (${counted(runs, "run")})`,
  ]);
  const name = choices($("experiment"), pairs, state.experiment);
  const data = await block(`experiment/${name}`);
  if (state.view !== "experiments" || $("experiment").value !== name) return;
  choices($("metric"), metricsOf(data), state.metric);
  $("split").value = state.split === "train" ? "train" : "val";
  const fields = fieldsOf(data);
  choices(
    $("field"),
    fields.map((field) => [field, spaced(field)]),
    state.against ?? preferredField(fields),
  );
  const rows = rowsOf(data);
  const drawn = drawnRows(data, rows);
  describe(data);
  drawCurves(data, drawn);
  drawTimes(data, rows);
  drawTable(data, rows, drawn);
}

/** The fields that runs differ in; of a single run, which differs in none, its number. */
function fieldsOf(data) {
  const names = varied(data).map((column) => column.name);
  return names.length ? names : ["run"];
}

/** The field of the paper's question where it is varied, or else the first that is. */
function preferredField(names) {
  const wanted = [
    "train_fraction",
    "weight_decay",
    "learning_rate",
    "init_scale",
    "corrupted_labels",
  ];
  const found = wanted.find((name) => names.includes(name));
  return found ?? names.find((name) => name !== "run") ?? names[0];
}

function describe(data) {
  const thinned = data.thinned
    ? ` Curves are thinned to at most ${data.thinned} evaluations a run.`
    : "";
  const ended = data.complete ? "complete" : "not complete";
  const without = entryOf(data.name).networks.length ? "" : " No network is in this page.";
  $("facts").textContent =
    `${data.scale} scale, ${counted(data.planned, "run")} planned, ${ended}.${thinned}${without}`;
  const constants = data.columns.filter((column) => "constant" in column);
  $("shared").textContent = constants
    .map((column) => `${column.name} ${cellWords(column.constant)}`)
    .join(", ");
  const sessions = data.sessions.map((session) => {
    const { command, started, device, commit } = session;
    const told = [started, device, commit && `commit ${commit.slice(0, 10)}`].filter(Boolean);
    return element(
      "li",
      {},
      element("code", {}, command ?? "unknown command"),
      ` ${told.join(", ")}`,
    );
  });
  $("sessions").replaceChildren(...sessions);
}

// --- Plots ---

/** A run's curve: its updates above 0 where a metric is known; a loss above 0, for its axis. */
function curveOf(data, i, metric) {
  const [from, to] = [data.arrays.starts[i], data.arrays.starts[i + 1]];
  const steps = data.arrays.step.subarray(from, to);
  const values = data.arrays[metric].subarray(from, to);
  const isShown = (value) => (metric.endsWith("accuracy") ? value >= 0 : value > 0);
  const isDrawn = (at) => steps[at] > 0 && isShown(values[at]);
  const places = Array.from(steps.keys()).filter(isDrawn);
  return { x: places.map((at) => steps[at]), y: places.map((at) => values[at]) };
}

/** Whether runs were evaluated, but have no accuracy: they learn no answers to equations. */
function answersNothing(data) {
  const accuracies = data.arrays.val_accuracy;
  return accuracies.length > 0 && accuracies.every(Number.isNaN);
}

/** What curves can show, the first by default. */
function metricsOf(data) {
  const metrics = answersNothing(data) ? ["loss"] : ["accuracy", "loss"];
  return metrics.map((metric) => [metric, metric]);
}

const SPLITS = { train: ["training", "dash"], val: ["validation", "solid"] };

/** The two lines of a run, in one colour each; every point can be hovered. */
function linesOf(data, i, metric, colours) {
  const shown = metric === "accuracy" ? "%{y:.2%}" : "%{y:.4g}";
  return Object.entries(SPLITS).map(([split, [words, dash]]) => ({
    ...curveOf(data, i, `${split}_${metric}`),
    mode: "lines",
    name: `run ${runAt(data, i)} ${words}`,
    line: { color: colours[split], dash, width: 1.6 },
    hovertemplate:
      `${data.names[i]}<br>update %{x:,}: ${words} ${shown}` +
      `<extra>run ${runAt(data, i)}</extra>`,
  }));
}

const MARKS_A_LINE = 6;

/** A run's mark at a few points of its line, evenly in log updates, beside those of other runs. */
function marksAlong(line, mark, place) {
  const length = Math.log(Math.max(...line.x, 2));
  const shift = (place % PALETTE.length) / PALETTE.length;
  const stretches = line.x.map((x) => Math.floor((MARKS_A_LINE * Math.log(x)) / length + shift));
  const size = stretches.map((stretch, at) => (stretch === stretches[at - 1] ? 0 : 7));
  return {
    mode: "lines+markers",
    marker: { ...mark, size, opacity: 1, line: { width: 0 } },
  };
}

function drawCurves(data, drawn) {
  const metric = $("metric").value;
  const traces = drawn.flatMap((i, place) => {
    const mark = markOf(place);
    const lines = linesOf(data, i, metric, { train: mark.color, val: mark.color });
    return lines.map((line) => ({ ...line, ...marksAlong(line, mark, place) }));
  });
  const runs = drawn.map((i) => runAt(data, i)).join(", ");
  const of = drawn.length === 1 ? `run ${runs}` : `runs ${runs}`;
  const words = drawn.length
    ? `${metric} of ${of}: training dashed, validation solid; marks as in the table`
    : "No run is chosen: mark some in the table.";
  $("curves-words").textContent = words;
  if (!traces.some((trace) => trace.x.length)) return say("curves", `No ${metric} to draw.`);
  const yaxis =
    metric === "accuracy"
      ? accuracyAxis
      : {
          ...logTicks(traces.flatMap((trace) => trace.y)),
          tickformat: "~g",
          title: { text: "loss" },
        };
  return draw("curves", traces, { xaxis: updatesAxis(traces), yaxis }, words);
}

/** Where a run stands on the axis of times: when it got to 99%, or until when it had not. */
function timeOf(data, i, split) {
  const at = (name) => valueAt(data, columnOf(data, name), i);
  const time = at(`steps_to_${split}_99`);
  if (time !== null) return { time, censored: false };
  // A run that diverged cannot get there any more: it counts as followed to its budget's end.
  return { time: at(at("status") === "diverged" ? "num_steps" : "stopped_at"), censored: true };
}

function drawTimes(data, rows) {
  if (answersNothing(data)) {
    $("times-words").textContent = "Updates to 99%";
    return say("times", "These runs learn no answers to equations: none has an accuracy.");
  }
  const split = $("split").value;
  const field = columnOf(data, $("field").value);
  const points = rows
    .map((i) => ({ i, x: valueAt(data, field, i), ...timeOf(data, i, split) }))
    .filter(({ x, time }) => x !== null && time > 0);
  const censored = points.filter((point) => point.censored);
  const reached = points.filter((point) => !point.censored);
  const what = `Updates to 99% ${SPLITS[split][0]} accuracy against ${spaced(field.name)}`;
  $("times-words").textContent =
    `${what}: ${counted(reached.length, "run")} reached it (dots), ${censored.length} had not ` +
    "when they ended (open triangles). Click a point to open its network.";
  if (!points.length) return say("times", "No run has been evaluated.");
  const traces = [
    marks(data, field, reached, "reached 99%", { symbol: "circle", color: colour("val") }),
    marks(data, field, censored, "not by then", {
      symbol: "triangle-up-open",
      color: colour("alarm"),
    }),
  ];
  const ticks = logTicks(points.map(({ time }) => time));
  const yaxis = { ...ticks, tickformat: ",", title: { text: "updates" } };
  draw("times", traces, { xaxis: fieldAxis(field, points), yaxis }, what);
  const place = $("times");
  place.removeAllListeners("plotly_click");
  place.on("plotly_click", ({ points: [point] }) => openRun(data.name, point.customdata));
}

/** Runs as marks of one kind: a field across, their times up. */
function marks(data, field, points, words, marker) {
  return {
    x: points.map(({ x }) => (typeof x === "boolean" ? String(x) : x)),
    y: points.map(({ time }) => time),
    customdata: points.map(({ i }) => runAt(data, i)),
    text: points.map(({ i }) => data.names[i]),
    mode: "markers",
    name: words,
    marker: { size: 8, ...marker },
    hovertemplate:
      `run %{customdata}: %{text}<br>${field.name} %{x}<br>` +
      `${words}: update %{y:,}<extra></extra>`,
  };
}

/** The axis of a field: logarithmic where its numbers span much, names where it has no numbers. */
function fieldAxis(field, points) {
  const title = { text: spaced(field.name) };
  const numbers = [...new Set(points.map(({ x }) => x))].filter((x) => typeof x === "number");
  if (!numbers.length) return { title, type: "category" };
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const ticks = numbers.length <= 12 ? { tickvals: numbers } : {};
  return { title, type: low > 0 && high > 20 * low ? "log" : "linear", ...ticks };
}

/** Open a run: its curve and network, or where the page has no network of it, its curve alone. */
function openRun(name, run) {
  if (!hasNetwork(name, run)) return go({ runs: String(run) });
  return go({ view: "network", experiment: name, run, runs: String(run), update: null });
}

// --- Controls ---

function startExperiments() {
  const forget = () =>
    Object.fromEntries(Object.keys(partsOf("where.")).map((name) => [`where.${name}`, null]));
  $("experiment").addEventListener("change", (event) => {
    rowsShown = ROWS;
    go({
      experiment: event.target.value,
      runs: null,
      against: null,
      sort: null,
      run: null,
      ...forget(),
    });
  });
  $("metric").addEventListener("change", (event) => go({ metric: event.target.value }));
  $("split").addEventListener("change", (event) => go({ split: event.target.value }));
  $("field").addEventListener("change", (event) => go({ against: event.target.value }));
  $("draw-shown").addEventListener("click", () => go({ runs: null }));
  $("no-filters").addEventListener("click", () => go(forget()));
  $("more-rows").addEventListener("click", () => {
    rowsShown += ROWS;
    show();
  });
}
