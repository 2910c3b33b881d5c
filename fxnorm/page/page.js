// Sorting, copying, printing; and everything begins.

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
