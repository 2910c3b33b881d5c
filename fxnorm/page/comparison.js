// One configuration or two, layer by layer.

function picked() {
  const chosen = [["A", Number(element("pick-a").value)]];
  if (element("pick-b")) chosen.push(["B", Number(element("pick-b").value)]);
  return { chosen, key: Number(element("pick-layer").value) };
}

function drawPicked() {
  const { chosen, key } = picked();
  const names = chosen.map(([letter, number]) => (chosen.length > 1 ? `${letter} is ${points.get(number).name}` : points.get(number).name));
  element("pairs-caption").textContent = `SQNR of each layer's output against FP32, from the input to the output: ${names.join(", ")}.`;
  draw("pairs", "pairs", { pairs: pairs(chosen) });
  element("layer-name").textContent = data.layers[key].name;
  drawHistograms(chosen, key);
  showFacts(chosen, key);
  showLayers(chosen);
}

function drawHistograms(chosen, key) {
  const place = element("histogram-charts");
  const blocks = [];
  const jobs = [];
  for (const when of ["before", "after"]) {
    for (const [letter, number] of chosen) {
      const found = layer(number, key);
      const name = points.get(number).name;
      const block = make("figure");
      const caption = make("figcaption");
      const chart = make("div", undefined, "chart");
      caption.append(make("strong", `${chosen.length > 1 ? `${letter} – ${name}` : name}, ${when} normalization`), make("br"));
      block.append(caption);
      blocks.push(block);
      if (!found || !found.histogram) {
        caption.append(found ? "The histogram is not in this file." : "This configuration has no such layer.");
        continue;
      }
      caption.append(when === "before" ? beforeText(found, key) : afterText(found));
      chart.id = `${when}-${letter}`;
      chart.setAttribute("role", "img");
      chart.setAttribute("aria-label", caption.textContent);
      block.append(chart);
      jobs.push(() => drawHistogram(chart.id, found, key, when, letter === "A" ? "first" : "second"));
    }
  }
  place.style.minHeight = `${place.offsetHeight}px`;
  place.replaceChildren(...blocks);
  return Promise.all(jobs.map((job) => job())).then(() => { place.style.minHeight = ""; });
}

// What the format holds, and what it would hold if real numbers went into it as they are.
function rangeOf({ format }) {
  const [low, high] = data.formats[format];
  return { text: format, low, high };
}

function beforeText(found, key) {
  const { text, low, high } = rangeOf(found);
  const bins = realBins(found, key);
  if (!bins.length) return "The real numbers are beyond what can be drawn.";
  const known = Boolean(data.distributions[key]);
  const all = bins.reduce((sum, bin) => sum + bin.count, 0);
  const least = bins[0].from;
  const most = bins[bins.length - 1].to;
  const source = known ? `Real numbers of FP32, ${figure(least)} to ${figure(most)}` : `Real numbers that the codes stand for, ${figure(least)} to ${figure(most)}`;
  const inside = Math.max(0, Math.min(high, most) - Math.max(low, least)) / (high - low);
  const outside = bins.reduce((sum, bin) => sum + bin.count * beyond(bin, low, high), 0) / Math.max(all, 1);
  const use = `they span ${percent(inside, inside < 0.1 ? 1 : 0)} of plain ${text}`;
  const lost = outside > 0 ? `, and ${percent(outside, 1)} of them lie beyond its range` : "";
  return `${source}; ${use}${lost}.`;
}

function beyond(bin, low, high) {
  if (bin.to <= bin.from) return bin.from < low || bin.from >= high ? 1 : 0;
  const kept = Math.max(0, Math.min(bin.to, high) - Math.max(bin.from, low));
  return 1 - kept / (bin.to - bin.from);
}

function afterText(found) {
  const relation = found.scale === null ? "" : `real = ${found.scaleText} × stored${found.offset ? ` ${found.offset < 0 ? "−" : "+"} ${figure(Math.abs(found.offset))}` : ""}; `;
  const overflow = found.overflows ? `${found.overflows.toLocaleString("en")} values (${percent(found.overflow, 2)}) overflow` : "none overflows";
  return `Codes of ${found.format}: ${relation}${found.bits} of ${found.width} bits used, ${overflow}.`;
}

function drawHistogram(id, found, key, when, mark) {
  const before = when === "before";
  const range = rangeOf(found);
  const bins = before ? realBins(found, key) : storedBins(found);
  const ends = [["lowest", range.low], ["highest", range.high]].map(([word, level]) => ({ level, label: `${range.text}, ${word}: ${figure(level)}` }));
  const [left, right] = before ? extent(bins, range) : [range.low, range.high];
  const margin = (right - left) * 0.02 || 1;
  return draw(id, `histogram-${when}-${mark}`, { bins, range: [{ low: range.low, high: range.high }], ends }, { left: left - margin, right: right + margin, top: 1.06 * Math.max(1, ...bins.map((bin) => bin.height)) });
}

// The data and the format's range, unless one would make a needle of the other.
function extent(bins, range) {
  if (!bins.length) return [range.low, range.high];
  const least = bins[0].from;
  const most = bins[bins.length - 1].to;
  const span = Math.max(most - least, Math.abs(most), Math.abs(least)) * data.sparse || range.high - range.low;
  const middle = (least + most) / 2;
  return [Math.min(least, Math.max(range.low, middle - span / 2)), Math.max(most, Math.min(range.high, middle + span / 2))];
}

const FACTS = [
  ["Format", (found) => found.format],
  ["Scale", (found) => found.scaleText],
  ["Offset", (found) => figure(found.offset)],
  ["SQNR (dB)", (found) => decibels(found.sqnr)],
  ["Values that overflow", (found) => (found.overflows ? `${found.overflows.toLocaleString("en")} (${percent(found.overflow, 2)})` : "0")],
  ["At the lower end", (found) => percent(found.atLow, 2)],
  ["At the upper end", (found) => percent(found.atHigh, 2)],
  ["Smallest stored value", (found) => figure(found.min)],
  ["Largest stored value", (found) => figure(found.max)],
  ["Bits used", (found) => `${found.bits} of ${found.width}`],
  ["Accumulator", (found) => (found.accumulator === null ? NOTHING : found.accumulator)],
  ["Additions that overflow", (found) => (found.accumulator === null ? NOTHING : found.accumulatorOverflows.toLocaleString("en"))],
  ["Inner stages", (found) => found.stages || NOTHING],
  ["Findings", (found) => found.findings || NOTHING],
];

function showFacts(chosen, key) {
  const found = chosen.map(([, number]) => layer(number, key));
  const rows = FACTS.map(([title, read]) => [title, ...found.map((one) => (one ? read(one) : NOTHING))])
    .filter((row) => row.slice(1).some((text) => text !== NOTHING));
  const columns = [{ title: "" }, ...chosen.map(([letter, number]) => ({ title: head(chosen, letter, number), right: true, short: true }))];
  element("layer-facts").replaceChildren(table(`Layer ${data.layers[key].name}`, columns, rows));
}

const head = (chosen, letter, number) => (chosen.length > 1 ? `${letter}: ${points.get(number).name}` : points.get(number).name);

// A column of its own for each configuration, under its name.
function showLayers(chosen) {
  const place = element("layer-pairs");
  if (!place) return;
  const named = chosen.map(([letter, number]) => head(chosen, letter, number));
  const layers = [{ title: "Layer" }, { title: "Operator" }];
  const sums = [{ title: "Layer" }, { title: "What is added" }, { title: "Terms", right: true }];
  for (const group of named) {
    layers.push({ title: "Format", code: true, group }, { title: "SQNR (dB)", right: true, group },
      { title: "Overflow", right: true, group }, { title: "Bits used", right: true, group });
    sums.push({ title: "Format", code: true, group }, { title: "Bits", right: true, group },
      { title: "Needed", right: true, group }, { title: "Proven for", short: true, group });
  }
  const found = data.layers.map((_, key) => chosen.map(([, number]) => layer(number, key)));
  const layerRows = data.layers.map(({ name, op }, key) => [name, op, ...found[key].flatMap((one) => (one
    ? [one.format, decibels(one.sqnr), one.overflows ? percent(one.overflow, 2) : "0", `${one.bits} of ${one.width}`]
    : [NOTHING, NOTHING, NOTHING, NOTHING]))]);
  const sumRows = data.layers.flatMap(({ name }, key) => {
    const parts = new Map(found[key].flatMap((one) => (one ? one.proofs.map((proof) => [proof.part, proof.terms]) : [])));
    return [...parts].map(([part, terms]) => [name, part, terms ? terms.toLocaleString("en") : NOTHING, ...found[key].flatMap((one) => {
      const proof = one && one.proofs.find((other) => other.part === part);
      if (!proof) return [NOTHING, NOTHING, NOTHING, NOTHING];
      return [proof.format || "as needed", shown(proof.width), needed(proof), proof.words];
    })]);
  });
  place.replaceChildren(table("Accumulators and their proofs", sums, sumRows));
  element("layer-table").replaceChildren(table("Layers", layers, layerRows));
}

const shown = (number) => (number === null ? NOTHING : String(number));

// The least that is known to suffice: in the order of the additions, for inputs that occur, or for all inputs.
function needed(proof) {
  const known = [proof.ofFormats, proof.occurring, proof.inOrder].filter((bits) => bits !== null);
  return known.length ? String(Math.min(...known)) : NOTHING;
}
