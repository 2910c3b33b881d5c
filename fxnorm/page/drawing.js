// Charts and tables, in their places.

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
