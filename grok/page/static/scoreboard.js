// The scoreboard: findings by verdict, experiment and words, under their figures and command.

const VERDICTS = ["reproduced", "in part", "not reproduced", "not tested"];
const MARKS = { reproduced: "●", "in part": "◐", "not reproduced": "○", "not tested": "–" };
const STALE = " These findings were made from other results, or by other code, than are here now.";
let index;

async function showScoreboard() {
  const findings = index.findings;
  const count = (verdict) => findings.filter((each) => each.verdict === verdict).length;
  const verdict = choices(
    $("verdict"),
    [["", "all"], ...VERDICTS.map((each) => [each, `${each} (${count(each)})`])],
    state.verdict,
  );
  const names = [...new Set(findings.map((each) => each.experiment))];
  const experiment = choices(
    $("board-experiment"),
    [["", "all"], ...names.map((name) => [name, name])],
    state.of,
  );
  const words = state.words ?? "";
  if ($("words").value !== words) $("words").value = words;
  const shown = findings.filter(
    (each) =>
      (!verdict || each.verdict === verdict) &&
      (!experiment || each.experiment === experiment) &&
      `${each.claim} ${each.paper} ${each.here}`.toLowerCase().includes(words.toLowerCase()),
  );
  $("board-count").textContent = findings.length
    ? `${shown.length} of ${findings.length} findings.`
    : "No findings were made for these results yet: python -m grok findings makes them.";
  const table = $("findings");
  for (const body of [...table.tBodies]) body.remove();
  for (const name of names) {
    const rows = shown.filter((each) => each.experiment === name);
    if (rows.length)
      table.append(element("tbody", {}, experimentRow(rows[0]), ...rows.map(findingRow)));
  }
}

/** The head of an experiment's findings: links to its runs and figures, and how it was made. */
function experimentRow({ experiment, scale, figures, commands, current }) {
  const runs = linkTo({ view: "experiments", experiment });
  const pictures = figures.flatMap((path) => [
    " ",
    element("a", { href: path }, path.split("/").at(-1).replace(".png", "")),
  ]);
  const made = commands.flatMap((command) => [" ", element("code", {}, command)]);
  return element(
    "tr",
    {},
    element(
      "th",
      { scope: "rowgroup", colspan: 5 },
      element("a", { href: runs }, experiment),
      ` at ${scale} scale. Figures:`,
      ...(pictures.length ? pictures : [" none"]),
      ". Made by",
      ...made,
      ...(current ? [] : [element("strong", {}, STALE)]),
    ),
  );
}

function findingRow(finding) {
  const censored = finding.censored ? `, ${finding.censored} censored` : "";
  const cells = {
    claim: finding.claim,
    source: finding.paper || "says nothing",
    here: finding.here,
    on: `${counted(finding.runs, "run")}, ${counted(finding.seeds, "seed")}${censored}`,
  };
  const verdict = `${MARKS[finding.verdict] ?? ""} ${finding.verdict}`;
  return element(
    "tr",
    { "data-id": finding.id },
    element("td", { class: "verdict", "data-verdict": finding.verdict }, verdict),
    ...Object.entries(cells).map(([name, words]) => element("td", { "data-name": name }, words)),
  );
}

function startScoreboard() {
  $("verdict").addEventListener("change", (event) => go({ verdict: event.target.value }));
  $("board-experiment").addEventListener("change", (event) => go({ of: event.target.value }));
  $("words").addEventListener("input", (event) => go({ words: event.target.value }));
  const { missing } = index;
  $("missing").hidden = !missing.length;
  $("missing").querySelector("summary").textContent = `${missing.length} things are missing`;
  $("missing")
    .querySelector("ul")
    .replaceChildren(...missing.map((line) => element("li", {}, line)));
}
