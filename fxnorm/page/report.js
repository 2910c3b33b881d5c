"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const points = new Map(data.points.map((point) => [point.number, point]));
  // Order of one layer's numbers, as payload.py writes them.
  const LAYER = ["format", "width", "sqnr", "overflows", "overflow", "atLow", "atHigh", "min", "max", "bits", "scale", "offset",
    "scaleText", "accumulator", "accumulatorOverflows", "proofs", "stages", "findings", "histogram"];
  const NOTHING = "–";
  const SPACE = "\u00a0";
  const element = (id) => document.getElementById(id);

  // ---- what the data says

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
  const minus = (text) => text.replace("-", "−");
  const figure = (number) => (number === null ? NOTHING : minus(String(Number(number.toPrecision(5)))));
  const height = (count) => (count === 0 ? 0 : 1 + Math.log10(count));

  function cell(found, measure) {
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
        rows.push({ key, layer: name, which, name: points.get(number).name, sqnr: drawn, text: decibels(found.sqnr) });
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

  // ---- drawing

  const views = new Map();
  const turns = new Map();

  async function draw(id, name, rows, signals = {}, label = "") {
    const place = element(id);
    const turn = (turns.get(id) || 0) + 1;
    turns.set(id, turn);
    const spec = structuredClone(data.figures[name]);
    spec.config = data.config;
    spec.datasets = rows;
    if (rows.marks && !rows.marks.length) spec.layer = spec.layer.filter((one) => !one.data || one.data.name !== "marks");
    for (const parameter of spec.params || []) {
      if (parameter.name in signals) parameter.value = signals[parameter.name];
    }
    place.style.minHeight = `${place.offsetHeight}px`; // or the page would jump while the chart is exchanged
    const drawn = await vegaEmbed(place, spec, {
      ast: true, renderer: "svg", actions: false, tooltip: { disableDefaultStyle: true },
    });
    if (turns.get(id) !== turn) {
      drawn.finalize();
      return null;
    }
    if (views.has(id)) views.get(id).finalize();
    views.set(id, drawn);
    place.style.minHeight = "";
    if (label) place.setAttribute("aria-label", label);
    place.dataset.drawn = name;
    return drawn;
  }

  function make(tag, text, className) {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (className) node.className = className;
    return node;
  }

  // Heads that neighbours have in common.
  function groups(columns) {
    const line = make("tr", undefined, "groups");
    let last = null;
    for (const { group = "" } of columns) {
      if (last && last.dataset.group === group) {
        last.colSpan += 1;
        continue;
      }
      last = make(group ? "th" : "td", group);
      last.dataset.group = group;
      if (group) last.scope = "colgroup";
      line.append(last);
    }
    return line;
  }

  // Columns are {title, right, code, short, group}; every row begins with its name.
  function table(caption, columns, rows) {
    const region = make("div", undefined, "scroll");
    region.tabIndex = 0;
    region.setAttribute("role", "region");
    region.setAttribute("aria-label", caption);
    const whole = make("table");
    whole.append(make("caption", caption, "hidden"));
    const head = make("tr");
    const starts = columns.filter(({ group }, index) => group && (!index || columns[index - 1].group !== group));
    const style = (column) => [column.right && "right", column.code && "code", column.short && "short", starts.includes(column) && "start"]
      .filter(Boolean).join(" ");
    for (const column of columns) {
      const title = make("th", column.title, style(column));
      title.scope = "col";
      head.append(title);
    }
    const top = make("thead");
    if (columns.some(({ group }) => group)) top.append(groups(columns));
    top.append(head);
    const body = make("tbody");
    for (const row of rows) {
      const line = make("tr");
      row.forEach((text, index) => {
        const entry = make(index ? "td" : "th", text, style(columns[index]));
        if (!index) entry.scope = "row";
        line.append(entry);
      });
      body.append(line);
    }
    whole.append(top, body);
    region.append(whole);
    return region;
  }

  // ---- accuracy against width

  function marks(metric) {
    return data.marks[metric] || [];
  }

  function drawWidth() {
    const chosen = [...document.querySelectorAll("select.filter")].map((select) => [Number(select.dataset.filter), select.value]);
    const kept = data.points.filter((point) => chosen.every(([index, value]) => !value || data.filters[index].values[point.number] === value));
    for (const metric of data.metrics) {
      if (!element(`against-${metric}`)) continue;
      const zoom = element("zoom");
      draw(`against-${metric}`, `against-${metric}`, { points: kept, marks: marks(metric) }, zoom && metric !== "sqnr" ? { low: Number(zoom.value) } : {});
    }
  }

  // ---- cost

  function drawFront() {
    const cost = element("cost-name").value;
    const metric = element("cost-gain").value;
    const on = new Set(data.fronts[`${cost}-${metric}`]);
    const rows = data.points.filter((point) => point[metric] !== null).map((point) => ({
      number: point.number, name: point.name, series: point.series, mode: point.mode, format: point.format,
      cost: point[`cost_${cost}`], gain: point[metric], front: on.has(point.number),
    }));
    const low = focus(rows);
    const below = rows.filter((row) => row.gain < low).length;
    element("front-note").textContent = below ? `${below} configuration${below === 1 ? " lies" : "s lie"} below the axis, far from the front.` : "";
    draw("front", `front-${cost}-${metric}`, { points: rows, marks: marks(metric) }, { low });
  }

  // The front and what is close below it, as datasets.py has it.
  function focus(rows) {
    const gains = rows.filter((row) => row.front).map((row) => row.gain);
    if (!gains.length) return 0;
    const least = Math.min(...gains);
    const most = Math.max(...gains);
    const room = 0.25 * (most - least) || 0.05 * Math.abs(most) || 1;
    return Math.max(least - room, Math.min(...rows.map((row) => row.gain)) - 0.2 * room);
  }

  // ---- layers

  function group() {
    return data.groups[Number(element("columns").value)];
  }

  async function drawHeat() {
    const measure = element("measure").value;
    const { numbers, name } = group();
    element("heat-caption").textContent = `${data.measures[measure].caption} Configurations: ${name}.`;
    const list = element("classes");
    list.replaceChildren(...data.measures[measure].classes.map(([colour, words]) => {
      const item = make("li");
      const swatch = make("span");
      swatch.style.background = `var(--cell-${colour})`;
      item.append(swatch, words);
      return item;
    }));
    const drawn = await draw("heat", `heat-${measure}`, { cells: cells(numbers, measure) }, { crowded: crowded(group().columns) });
    if (!drawn) return;
    drawn.view.addEventListener("click", (event, item) => {
      if (!item || !item.datum || item.datum.key === undefined) return;
      pick(item.datum.number, item.datum.key);
    });
  }

  function pick(number, key) {
    element("pick-a").value = String(number);
    element("pick-layer").value = String(key);
    element("said").textContent = `Side by side: ${points.get(number).name}, layer ${data.layers[key].name}`;
    drawPicked();
  }

  // ---- side by side

  function picked() {
    const chosen = [["A", Number(element("pick-a").value)]];
    if (element("pick-b")) chosen.push(["B", Number(element("pick-b").value)]);
    return { chosen, key: Number(element("pick-layer").value) };
  }

  function drawPicked() {
    const { chosen, key } = picked();
    const names = chosen.map(([letter, number]) => (chosen.length > 1 ? `${letter} is ${points.get(number).name}` : points.get(number).name));
    element("pairs-caption").textContent = `SQNR of each layer's output against FP32, from the input to the output: ${names.join(", ")}.`;
    draw("pairs", chosen.length > 1 ? "pairs" : "single", { pairs: pairs(chosen) });
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
        caption.append(when === "before" ? beforeText(found, key, number) : afterText(found));
        chart.id = `${when}-${letter}`;
        chart.setAttribute("role", "img");
        chart.setAttribute("aria-label", caption.textContent);
        block.append(chart);
        jobs.push(() => drawHistogram(chart.id, found, key, number, when, letter === "A" ? "first" : "second"));
      }
    }
    place.style.minHeight = `${place.offsetHeight}px`;
    place.replaceChildren(...blocks);
    return Promise.all(jobs.map((job) => job())).then(() => { place.style.minHeight = ""; });
  }

  // The plain format: what the hardware would hold if real numbers went into it as they are.
  function plainRange(number) {
    const text = points.get(number).format;
    return { text, low: data.formats[text][0], high: data.formats[text][1] };
  }

  function beforeText(found, key, number) {
    const { text, low, high } = plainRange(number);
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

  function drawHistogram(id, found, key, number, when, mark) {
    const before = when === "before";
    const range = before ? plainRange(number) : { text: found.format, low: data.formats[found.format][0], high: data.formats[found.format][1] };
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

  // ---- tables and commands

  function sortable(whole) {
    const heads = [...whole.tHead.rows[0].cells];
    heads.forEach((title, index) => {
      const button = make("button", title.textContent);
      button.type = "button";
      title.replaceChildren(button);
      title.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const down = title.getAttribute("aria-sort") === "ascending";
        for (const other of heads) other.setAttribute("aria-sort", "none");
        title.setAttribute("aria-sort", down ? "descending" : "ascending");
        const body = whole.tBodies[0];
        const rows = [...body.rows].map((row) => [value(row.cells[index].textContent), row]);
        rows.sort(([a], [b]) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true })) * (down ? -1 : 1));
        body.append(...rows.map(([, row]) => row));
      });
    });
  }

  // The number that a cell shows, or its text.
  function value(text) {
    const number = Number(text.replace("−", "-").replace(/[,\s<>]|%|dB/g, ""));
    return text.trim() === "exact" ? Infinity : text.trim() && Number.isFinite(number) ? number : text;
  }

  async function copy(event) {
    const button = event.currentTarget;
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code); // the clipboard may be forbidden to a file
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }

  function onChange(ids, run) {
    for (const id of ids) {
      const control = element(id);
      if (control) control.addEventListener("change", run);
    }
  }

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")].filter((one) => !one.classList.contains("long"));
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of opened) one.open = false; });

  // A reader should see that something is missing, not look for it.
  function tell(reason) {
    const place = element("trouble");
    place.textContent = `The charts cannot be drawn here: ${reason && reason.message ? reason.message : reason}`;
    place.hidden = false;
  }
  addEventListener("unhandledrejection", (event) => tell(event.reason));
  addEventListener("error", (event) => tell(event.error));

  document.querySelectorAll("button.copy").forEach((button) => button.addEventListener("click", copy));
  document.querySelectorAll("table.sortable").forEach(sortable);
  if (element("width")) {
    drawWidth();
    onChange(["zoom"], drawWidth);
    document.querySelectorAll("select.filter").forEach((select) => select.addEventListener("change", drawWidth));
  }
  if (element("cost")) {
    drawFront();
    onChange(["cost-name", "cost-gain"], drawFront);
  }
  if (element("heat")) {
    drawHeat();
    onChange(["measure", "columns"], drawHeat);
  }
  if (element("picker")) {
    drawPicked();
    onChange(["pick-a", "pick-b", "pick-layer"], drawPicked);
    element("picker").addEventListener("submit", (event) => event.preventDefault());
  }
  window.report = { data, views, cells, pairs, layer, storedBins, realBins };
})();
