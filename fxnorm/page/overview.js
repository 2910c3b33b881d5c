// Charts of all configurations: accuracy against width, cost, the heat map of layers.

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
  const rows = data.points.filter((point) => point[metric] !== null && point[`cost_${cost}`] !== null).map((point) => ({
    number: point.number, name: point.name, series: point.series, mode: point.mode, format: point.format,
    cost: point[`cost_${cost}`], gain: point[metric], front: on.has(point.number),
  }));
  const low = focus(rows, metric);
  const below = rows.filter((row) => row.gain < low).length;
  const counted = data.costs[cost] ? `Counted: ${data.costs[cost]}. ` : "";
  element("front-note").textContent = counted + (below ? `${below} configuration${below === 1 ? " lies" : "s lie"} below the axis, far from the front.` : "");
  draw("front", `front-${cost}-${metric}`, { points: rows, marks: marks(metric) }, { low });
}

// The front, as far as it is of use, and what is close below it, as datasets.py has it.
function focus(rows, metric) {
  const gains = rows.filter((row) => row.front).map((row) => row.gain);
  if (!gains.length) return 0;
  const most = Math.max(...gains);
  const least = Math.min(...gains.filter((gain) => metric === "sqnr" || gain >= most - data.useless));
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
  const drawn = await draw("heat", `heat-${measure}`, { cells: cells(numbers, measure) }, posture(group().columns));
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
