// Start the page, and show the view that the address names.

const VIEWS = { scoreboard: showScoreboard, experiments: showExperiments, network: showNetwork };
let beingShown = 0; // views whose data are on their way

function show() {
  for (const name of Object.keys(VIEWS)) $(name).hidden = name !== state.view;
  for (const link of document.querySelectorAll("nav a")) {
    const { view } = link.dataset;
    if (view === state.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    link.href = linkTo({ view });
  }
  for (const link of document.querySelectorAll("a.state")) link.href = linkTo({});
  if (state.view !== "network") pause();
  $("opening").hidden = true;
  const main = document.querySelector("main");
  beingShown += 1;
  main.ariaBusy = "true";
  return VIEWS[state.view]()
    .catch((error) => {
      console.error(error);
      $("opening").textContent = `This view cannot be shown: ${error.message}`;
      $("opening").hidden = false;
    })
    .finally(() => {
      beingShown -= 1;
      main.ariaBusy = String(beingShown > 0);
    });
}

async function start() {
  index = JSON.parse($("index").textContent);
  await loadPlotly();
  for (const form of document.querySelectorAll("form")) {
    form.addEventListener("submit", (event) => event.preventDefault());
  }
  startScoreboard();
  startExperiments();
  startNetwork();
  readState();
  addEventListener("hashchange", () => {
    readState();
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  await show();
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => {
  console.error(error);
  $("opening").textContent = `This page cannot be opened here: ${error.message}`;
});
