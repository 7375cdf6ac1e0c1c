// A network over training: one slider of kept updates moves every picture at once.

const FRAMES_A_SECOND = 4;
let timer = null;

// --- The view ---

async function showNetwork() {
  const withNetworks = index.experiments.filter((entry) => entry.networks.length);
  if (!withNetworks.length) return noNetwork("These results keep no network.");
  const isFollowed = (entry) => entry.networks.some(({ moments }) => moments > 1);
  const fills = ({ moments, has_table }) => moments > 1 && has_table;
  const pairs = withNetworks.map((entry) => [
    entry.name,
    entry.name + (isFollowed(entry) ? "" : " (at the end only)"),
  ]);
  const first =
    withNetworks.find((entry) => entry.networks.some(fills)) ??
    withNetworks.find(isFollowed) ??
    withNetworks[0];
  const name = choices($("network-experiment"), pairs, state.experiment ?? first.name);
  const entry = entryOf(name);
  const runs = entry.networks.map(({ run, task, moments }) => [
    String(run),
    `${run}: ${task}, ${moments > 1 ? `${moments} updates` : "at its end"}`,
  ]);
  const followed =
    entry.networks.find(fills) ??
    entry.networks.find(({ moments }) => moments > 1) ??
    entry.networks[0];
  const run = Number(choices($("network-run"), runs, state.run ?? String(followed.run)));
  const [shown, data] = await Promise.all([
    block(`network/${name}/${run}`),
    block(`experiment/${name}`),
  ]);
  if (state.view !== "network" || $("network-run").value !== String(run)) return;
  network = { ...shown, name, data };
  showMessage(entry, run);
  showControls();
  drawMoment(momentOfState());
}

function noNetwork(words) {
  $("network-message").textContent = words;
  for (const card of document.querySelectorAll("#network .cards, #network-controls, .sticky"))
    card.hidden = true;
}

/** Say where the run that was asked for has no network here, and where nothing moves. */
function showMessage(entry, run) {
  const words = [];
  const wanted = state.experiment ?? entry.name;
  if (wanted !== entry.name) {
    words.push(`No network of ${wanted} is in this page; one of ${entry.name} is shown.`);
  } else if (state.run !== undefined && Number(state.run) !== run) {
    words.push(`The network of run ${state.run} is not in this page; run ${run} is shown.`);
  }
  if (network.moments === 1)
    words.push("This network was kept at its end alone, so nothing moves.");
  if (entry.left_out) words.push(`${entry.left_out} more networks did not fit into this page.`);
  $("network-message").textContent = words.join(" ");
}

function momentOfState() {
  const updates = [...network.arrays.update];
  if (state.update === undefined) return updates.length - 1;
  const distance = updates.map((update) => Math.abs(update - Number(state.update)));
  return distance.indexOf(Math.min(...distance));
}

/** Fill the controls with what this network has, and choose what the state says. */
function showControls() {
  const slider = $("moment");
  slider.max = network.moments - 1;
  $("play").disabled = network.moments === 1;
  for (const part of document.querySelectorAll("#network .of-ring")) part.hidden = !network.is_ring;
  const colours = network.is_ring
    ? [
        ["place", "place on the circle"],
        ["residue", "residue: n mod k"],
        ...(network.arrays.log ? [["log", "logarithm mod k"]] : []),
      ]
    : network.colours.map(({ name }) => [
        name,
        { coset: "coset", sign: "sign", cycle: "cycle type", element: "element" }[name],
      ]);
  choices($("colour"), colours, state.colour);
  if (network.is_ring) {
    choices(
      $("key"),
      network.keys.map((key) => [
        String(key),
        `${key}${network.is_key ? "" : " (strongest, not key)"}`,
      ]),
      state.key,
    );
    $("join").max = Math.floor(network.arrays.order.length / 2);
    $("join").value = state.join ?? String(network.steps[keyPlace()]);
    $("join-words").textContent = `m = ${joinStep()}`;
  }
  $("modulus").max = network.labels.length;
  $("modulus").value = state.modulus ?? "8";
  $("modulus-words").textContent = `k = ${$("modulus").value}`;
  $("modulus-label").hidden = !["residue", "log"].includes($("colour").value);
  const ordered = ["key", network.is_ring ? "round the circle" : "by colour"];
  const natural = ["natural", "natural"];
  choices($("order"), network.is_ring ? [natural, ordered] : [ordered, natural], state.order);
}

const joinStep = () => Number($("join").value);
const keyPlace = () => Math.max(network.keys.indexOf(Number($("key").value)), 0);

/** Everything at moment i. */
function drawMoment(i) {
  $("moment").value = i;
  const update = network.arrays.update[i];
  const [train, val] = network.arrays.accuracy.subarray(2 * i, 2 * i + 2);
  const words = `update ${whole(update)}: training ${percent(train)}, validation ${percent(val)}`;
  $("moment-words").textContent = words;
  $("moment").setAttribute("aria-valuetext", words);
  drawAccuracy(i);
  drawEquations(i);
  const colouring = colours();
  if (network.is_ring) drawPlane(i, colouring);
  drawSpectrum(i);
  drawPoints("net-pca", "pca", i, colouring, "principal components");
  if (network.arrays.tsne) drawPoints("net-tsne", "tsne", i, colouring, "t-SNE");
  else say("net-tsne", "t-SNE is in the page for the first run of each task that kept snapshots.");
  drawCosines(i, colouring);
  explain(colouring);
}

/** The key of colours and marks: each class of a few, or in words how many run round a circle. */
function explain({ words, names }) {
  $("colour-words").textContent = `Colour and mark: ${words}.`;
  const items = (names ?? []).map((name, at) => {
    const mark = element("span", { style: `color:${PALETTE[at]}` }, GLYPHS[SYMBOLS[at]]);
    return element("li", {}, mark, ` ${name}`);
  });
  $("classes").replaceChildren(...items);
}

// --- Moving ---

function moveTo(i) {
  return go({ update: network.arrays.update[clamp(i, 0, network.moments - 1)] });
}

function pause() {
  clearInterval(timer);
  timer = null;
  $("play").textContent = "Play";
}

/** Go through the moments to the last; from the last, begin again. */
function play() {
  if (timer !== null) return pause();
  let i = Number($("moment").value);
  if (i >= network.moments - 1) i = -1;
  $("play").textContent = "Pause";
  timer = setInterval(() => {
    i += 1;
    moveTo(i);
    if (i >= network.moments - 1) pause();
  }, 1000 / FRAMES_A_SECOND);
}

function startNetwork() {
  const anew = { update: null, key: null, join: null, colour: null, order: null, modulus: null };
  $("network-experiment").addEventListener("change", (event) => {
    pause();
    go({ experiment: event.target.value, run: null, ...anew });
  });
  $("network-run").addEventListener("change", (event) => {
    pause();
    go({ run: event.target.value, ...anew });
  });
  $("moment").addEventListener("input", (event) => moveTo(Number(event.target.value)));
  $("play").addEventListener("click", play);
  $("key").addEventListener("change", (event) => go({ key: event.target.value, join: null }));
  for (const name of ["colour", "order"]) {
    $(name).addEventListener("change", (event) => go({ [name]: event.target.value }));
  }
  for (const name of ["join", "modulus"]) {
    $(name).addEventListener("input", (event) => go({ [name]: event.target.value }));
  }
}
