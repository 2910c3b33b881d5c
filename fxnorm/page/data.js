// What the data says: layers, numbers in words, rows for the charts.

const data = JSON.parse(document.getElementById("data").textContent);
const points = new Map(data.points.map((point) => [point.number, point]));
// Order of one layer's numbers, as payload.py writes them.
const LAYER = ["format", "width", "sqnr", "overflows", "overflow", "atLow", "atHigh", "min", "max", "bits", "scale", "offset",
  "scaleText", "accumulator", "accumulatorOverflows", "proofs", "stages", "findings", "histogram"];
const NOTHING = "–";
const SPACE = "\u00a0";
const element = (id) => document.getElementById(id);

function layer(number, key) {
  const stored = (data.details[number] || [])[key];
  if (!stored) return null;
  const found = Object.fromEntries(LAYER.map((name, index) => [name, stored[index]]));
  for (const name of ["format", "accumulator", "stages", "findings"]) {
    if (found[name] !== null) found[name] = data.strings[found[name]];
  }
  found.proofs = found.proofs.map(([part, terms, format, width, ofFormats, occurring, inOrder, words]) => (
    { part: data.strings[part], terms, format: data.strings[format], width, ofFormats, occurring, inOrder, words: data.strings[words] }));
  return found;
}

const percent = (share, digits) => {
  if (share === 0) return `0${SPACE}%`;
  const text = (100 * share).toFixed(digits);
  if (share > 0 && Number(text) === 0) return `<${(10 ** -digits).toFixed(digits)}${SPACE}%`;
  if (share < 1 && Number(text) === 100) return `>${(100 - 10 ** -digits).toFixed(digits)}${SPACE}%`;
  return `${text}${SPACE}%`;
};
const decibels = (ratio) => (ratio === null ? NOTHING : ratio === "exact" ? "exact" : minus((ratio === 0 ? 0 : ratio).toFixed(1).replace(/^-0\.0$/, "0.0")));
const withUnit = (ratio) => (typeof ratio === "number" ? `${decibels(ratio)}${SPACE}dB` : decibels(ratio));
const minus = (text) => text.replace("-", "−");
const figure = (number) => (number === null ? NOTHING : minus(String(Number(number.toPrecision(5)))));
const height = (count) => (count === 0 ? 0 : 1 + Math.log10(count));

function cell(found, measure) {
  if (measure === "width") return { value: found.width, text: String(found.width) };
  if (measure === "sqnr") return { value: found.sqnr === "exact" ? 999 : found.sqnr, text: decibels(found.sqnr) };
  if (measure === "overflow") {
    return { value: found.overflow, text: found.overflow === 0 ? "0" : percent(found.overflow, 1).replace(SPACE, "") };
  }
  return { value: found.width - found.bits, text: `${found.bits}/${found.width}` };
}

// Whether cells of a heat map have no room for numbers.
function crowded(columns) {
  const [most, longest] = data.room;
  return columns.length > most || columns.some((column) => column.length > longest);
}

// How the names of a heat map's columns stand.
function posture(columns) {
  const upright = crowded(columns);
  return { crowded: upright, deep: !upright && columns.some((column) => column.includes(", ")) };
}

function cells(numbers, measure) {
  const rows = [];
  numbers.forEach((number, place) => data.layers.forEach(({ name }, key) => {
    const found = layer(number, key);
    if (!found) return;
    const own = cell(found, measure);
    rows.push({ number, name: points.get(number).name, column: group().columns[place], key, layer: name, ...own, shown: crowded(group().columns) ? "" : own.text });
  }));
  return rows;
}

function pairs(chosen) {
  const rows = [];
  for (const [which, number] of chosen) {
    data.layers.forEach(({ name }, key) => {
      const found = layer(number, key);
      if (!found) return;
      const drawn = typeof found.sqnr === "number" ? found.sqnr : null;
      rows.push({ key, layer: name, which, name: points.get(number).name, sqnr: drawn, text: withUnit(found.sqnr) });
    });
  }
  return rows;
}

function storedBins(found) {
  const [low, high] = data.formats[found.format];
  const [parts, first, ...counts] = found.histogram;
  const step = (high - low) / parts;
  return Array.from({ length: parts }, (_, index) => {
    const count = counts[index - first] || 0;
    return { from: low + index * step, to: low + (index + 1) * step, count, height: height(count) };
  });
}

function realBins(found, key) {
  const known = data.distributions[key];
  if (!known) {
    if (found.scale === null || found.offset === null) return [];
    const real = (stored) => found.scale * stored + found.offset;
    return storedBins(found).filter((bin) => bin.count).map((bin) => ({ ...bin, from: real(bin.from), to: real(bin.to) }));
  }
  const [low, high, ...counts] = known;
  const step = (high - low) / counts.length;
  return counts.map((count, index) => ({ from: low + index * step, to: low + (index + 1) * step, count, height: height(count) }));
}
