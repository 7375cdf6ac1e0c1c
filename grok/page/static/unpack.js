// Blocks of data (see grok/page/pack.py): deflated, in base64, each in an element of its own.

const ARRAYS = {
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array,
};
const opened = new Map();

/** The bytes of the block `name`. */
async function inflated(name) {
  const text = document.getElementById(name).textContent;
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

/** The facts of the block `name`, with its typed `arrays` and their `shapes`. */
function block(name) {
  if (!opened.has(name)) opened.set(name, inflated(name).then(read));
  return opened.get(name);
}

function read(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = {};
  const shapes = {};
  for (const [name, { kind, shape, offset }] of Object.entries(header.arrays)) {
    const size = shape.reduce((product, extent) => product * extent, 1);
    arrays[name] = new ARRAYS[kind](buffer, 4 + length + offset, size);
    shapes[name] = shape;
  }
  return { ...header.facts, arrays, shapes };
}

/** Plotly, run from the block that holds its text. */
async function loadPlotly() {
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(await inflated("plotly"));
  document.head.append(script);
}
