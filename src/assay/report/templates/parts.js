"use strict";
// What the report and `assay ui` share: axes in numbers, charts that can be read and zoomed, tables that sort, light and
// dark. Everything works on what is in the page already; without scripts the page is whole, only still.

const SVG = "http://www.w3.org/2000/svg";
const CHARACTER = 6.6; // mean width of a character of the 12 px font of charts, in px

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function draw(name, attributes = {}, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  return element;
}

// Numbers -------------------------------------------------------------------------------------------------------------

// As report/words.py writes them: thousands parted by a narrow space, a true minus.
function fixed(value, places) {
  const [whole, rest] = Math.abs(value).toFixed(places).split(".");
  const parted = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f") + (rest ? `.${rest}` : "");
  return value < 0 && Number(value.toFixed(places)) !== 0 ? `\u2212${parted}` : parted;
}

function short(value, digits = 4) {
  if (value === null || !Number.isFinite(value)) return "not defined";
  if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e15)) return value.toExponential(digits - 1);
  const places = value === 0 ? 0 : Math.min(9, Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(value)))));
  const text = fixed(value, places);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function percent(share) {
  if (share > 0 && share < 0.001) return "<\u202f0.1\u202f%";
  if (share > 0.999 && share < 1) return ">\u202f99.9\u202f%";
  return `${short(100 * share, 3)}\u202f%`;
}

// Round values in [low, high], a step of 1, 2, 2.5 or 5 times a power of ten apart.
function ticks(low, high, wanted) {
  const raw = (high - low) / Math.max(wanted, 1);
  if (!(raw > 0) || !Number.isFinite(raw)) return [];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((each) => each >= raw * (1 - 1e-9));
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k <= Math.floor(high / step + 1e-9); k += 1) {
    found.push(Number((k * step).toPrecision(12)));
  }
  return found;
}

const raised = (exponent) => `10${[...String(exponent)].map((digit) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(digit)]).join("")}`;

function tickLabels(values) {
  const places = Math.max(0, ...values.map((value) => (String(value).split(".")[1] || "").length));
  if (places > 5 || values.some((value) => Math.abs(value) >= 1e7)) return values.map((value) => short(value, 3));
  return values.map((value) => fixed(value, places));
}

// Charts --------------------------------------------------------------------------------------------------------------

const across = (plot, value) => plot.left + ((value - plot.x[0]) / (plot.x[1] - plot.x[0])) * (plot.right - plot.left);
const up = (plot, value) => plot.bottom - ((value - plot.y[0]) / (plot.y[1] - plot.y[0])) * (plot.bottom - plot.top);

// Grid, ticks, their labels and the names of the axes, as charts.py draws them.
function drawAxes(group, plot) {
  group.replaceChildren();
  const line = (x1, y1, x2, y2, kind) => group.append(draw("line", { x1, y1, x2, y2, class: kind }));
  const text = (x, y, anchor, kind, words, more = {}) =>
    group.append(draw("text", { x, y, "text-anchor": anchor, class: kind, ...more }, words));
  const rows = ticks(...plot.y, Math.max(2, Math.min(5, Math.floor((plot.bottom - plot.top) / 50))));
  tickLabels(rows).forEach((label, at) => {
    const y = up(plot, rows[at]);
    line(plot.left, y, plot.right, y, "grid");
    text(plot.left - 6, y + 4, "end", "axis", label);
  });
  const columns = wholeTicks(plot, fittingTicks(plot));
  const isWhole = columns.every((value) => value === Math.round(value));
  const ofPowers = () => columns.map((value) => (isWhole ? raised(value) : short(10 ** value, 1)));
  const labels = plot.powers ? ofPowers() : tickLabels(columns);
  labels.forEach((label, at) => {
    const x = across(plot, columns[at]);
    line(x, plot.bottom, x, plot.bottom + 4, "rule");
    text(x, plot.bottom + 17, "middle", "axis", label);
  });
  line(plot.left, plot.bottom, plot.right, plot.bottom, "rule");
  text((plot.left + plot.right) / 2, plot.bottom + 34, "middle", "name", plot.names[0]);
  const middle = (plot.top + plot.bottom) / 2;
  text(12, middle, "middle", "name", plot.names[1], { transform: `rotate(-90 12 ${middle})` });
}

// What of the values an axis can have; the ticks within a power of ten where it spans hardly one.
function wholeTicks(plot, values) {
  if (!plot.whole && !plot.powers) return values;
  const whole = values.filter((value) => value === Math.round(value));
  if (!plot.powers || whole.length > 1) return whole;
  const [low, high] = plot.x;
  const within = [];
  for (let power = Math.floor(low); power <= Math.floor(high); power += 1) {
    within.push(...[1, 2, 5].map((step) => power + Math.log10(step)));
  }
  return within.filter((value) => value >= low && value <= high);
}

function fittingTicks(plot) {
  for (const wanted of [6, 5, 4, 3, 2, 1]) {
    const found = ticks(...plot.x, wanted);
    const longest = Math.max(0, ...tickLabels(found).map((label) => label.length));
    if (longest * CHARACTER + 8 <= (plot.right - plot.left) / Math.max(found.length, 1)) return found;
  }
  return [];
}

// A path through points [x, y], lifted where a value is missing.
function pathOf(points, plot) {
  let lifted = true;
  return points
    .map(([x, y]) => {
      if (!Number.isFinite(x) || !Number.isFinite(y)) {
        lifted = true;
        return "";
      }
      const step = `${lifted ? "M" : "L"}${across(plot, x).toFixed(1)} ${up(plot, y).toFixed(1)}`;
      lifted = false;
      return step;
    })
    .join("");
}

// A chart that tells its values: a cursor that the pointer or the arrow keys move, and names in the legend that hide
// their lines. `series`: {name, points, path, key, hidden}; `say` is told the values when a key moves the cursor.
class Readable {
  constructor(svg, plot, series, say) {
    Object.assign(this, { svg, plot, series, say, at: null });
    this.cursor = draw("g", { class: "cursor", "aria-hidden": "true" });
    svg.append(this.cursor);
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("role", "group"); // a picture's parts could not be reached
    svg.setAttribute("aria-roledescription", "chart");
    svg.addEventListener("pointermove", (event) => this.point(event));
    svg.addEventListener("pointerleave", () => this.leave());
    svg.addEventListener("blur", () => this.leave());
    svg.addEventListener("keydown", (event) => event.target === svg && this.key(event));
    this.series.filter((each) => each.key).forEach((each) => this.toggles(each));
  }

  toggles(each) {
    const flip = () => {
      each.hidden = !each.hidden;
      each.key.setAttribute("aria-pressed", String(!each.hidden));
      for (const part of [each.key, each.path]) part.classList.toggle("off", each.hidden);
      this.leave();
    };
    const set = { role: "button", tabindex: "0", "aria-pressed": "true", "aria-label": `show ${each.name}` };
    for (const [name, value] of Object.entries(set)) each.key.setAttribute(name, value);
    each.key.addEventListener("click", flip);
    each.key.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      flip();
    });
  }

  // Where the pointer is, in px of the picture.
  spot(event) {
    const box = this.svg.getBoundingClientRect();
    const view = this.svg.viewBox.baseVal;
    return [((event.clientX - box.left) / box.width) * view.width, ((event.clientY - box.top) / box.height) * view.height];
  }

  inside([x, y]) {
    const { left, right, top, bottom } = this.plot;
    return x >= left - 4 && x <= right + 4 && y >= top - 4 && y <= bottom + 4;
  }

  point(event) {
    const spot = this.spot(event);
    if (!this.inside(spot)) return this.leave();
    const { left, right, x } = this.plot;
    return this.show(x[0] + ((spot[0] - left) / (right - left)) * (x[1] - x[0]));
  }

  shown() {
    return this.series.filter((each) => !each.hidden && each.points.length && !each.quiet);
  }

  places() {
    const [low, high] = this.plot.x;
    const every = this.shown().flatMap((each) => each.points.map((point) => point[0]));
    return [...new Set(every)].filter((x) => x >= low && x <= high).sort((a, b) => a - b);
  }

  // The cursor at the value nearest to x, and what every line has there.
  show(x) {
    const near = this.shown().map((each) => ({ each, point: nearest(each.points, x, this.plot) }));
    const known = near.filter(({ point }) => point);
    if (!known.length) return this.leave();
    const at = known.map(({ point }) => point[0]).reduce((a, b) => (Math.abs(b - x) < Math.abs(a - x) ? b : a));
    const told = known.filter(({ point }) => Math.abs(across(this.plot, point[0]) - across(this.plot, at)) < 12);
    this.at = at;
    const head = `${this.plot.names[0] || "x"} ${this.plot.powers ? short(10 ** at, 3) : short(at)}`;
    const lines = told.map(({ each, point }) => `${each.name} ${short(point[1])}`);
    this.paint(at, told, [head, ...lines]);
    return `${head}: ${lines.join(", ")}`;
  }

  paint(at, told, lines) {
    const { plot } = this;
    const x = across(plot, at);
    const wide = 16 + Math.max(...lines.map((line) => line.length)) * CHARACTER;
    const high = 10 + lines.length * 16;
    const left = x + 12 + wide > plot.right ? Math.max(2, x - 12 - wide) : x + 12;
    const top = Math.max(2, Math.min(plot.top + 6, plot.bottom - high));
    this.cursor.replaceChildren(
      draw("line", { x1: x, x2: x, y1: plot.top, y2: plot.bottom, class: "rule" }),
      ...told.map(({ each, point }) =>
        draw("circle", { cx: across(plot, point[0]), cy: up(plot, point[1]), r: 4, class: `dot ${each.tone}` })),
      draw("rect", { x: left, y: top, width: wide, height: high, rx: 4, class: "box" }),
      ...lines.map((line, row) =>
        draw("text", { x: left + 8, y: top + 17 + 16 * row, class: row ? "label" : "label strong" }, line)),
    );
    return this;
  }

  leave() {
    this.at = null;
    this.cursor.replaceChildren();
  }

  key(event) {
    const places = this.places();
    if (!places.length) return;
    const here = this.at === null ? -1 : places.findIndex((x) => x >= this.at - 1e-12);
    const last = places.length - 1;
    const to = { ArrowRight: Math.min(here + 1, last), ArrowLeft: Math.max(here - 1, 0), Home: 0, End: last }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      this.say(this.show(places[to]));
    } else if (event.key === "Escape") {
      this.leave();
    }
  }
}

function nearest(points, x, plot) {
  let best = null;
  for (const point of points) {
    if (!Number.isFinite(point[1]) || point[0] < plot.x[0] || point[0] > plot.x[1]) continue;
    if (best === null || Math.abs(point[0] - x) < Math.abs(best[0] - x)) best = point;
  }
  return best;
}

// Tables --------------------------------------------------------------------------------------------------------------

// Puts a button into each heading of the table that has `data-sort`, and tells `sorted(column, way)` when it is used.
// A first click sorts as `data-sort` says: `up` smallest first, `down` largest first.
function headings(table, sorted) {
  const heads = [...table.querySelectorAll("thead th[data-sort]")];
  for (const head of heads) {
    const button = make("button", { type: "button", class: "sort" }, ...head.childNodes);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const first = head.dataset.sort === "down" ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const way = before === first ? other : first;
      mark(table, head, way);
      sorted(head.cellIndex, way);
    });
  }
}

function mark(table, head, way) {
  for (const each of table.querySelectorAll("thead th[aria-sort]")) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", way);
}

// What a cell is sorted by: its `data-v` as a number or as text; what has none comes last either way.
function valueOf(cell) {
  const text = cell.dataset.v ?? cell.textContent.trim();
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

function compare(a, b, way) {
  const missing = (value) => value === "" || value === null || value === undefined;
  if (missing(a) || missing(b)) return Number(missing(a)) - Number(missing(b));
  const both = typeof a === "number" && typeof b === "number";
  const order = both ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
  return way === "descending" ? -order : order;
}

function sortable(table, say) {
  headings(table, (column, way) => {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row, place) => ({ row, place, value: valueOf(row.cells[column]) }));
    rows.sort((a, b) => compare(a.value, b.value, way) || a.place - b.place);
    body.append(...rows.map(({ row }) => row));
    table.classList.add("sorted");
    say(`sorted by ${table.tHead.rows[0].cells[column].textContent.trim()}, ${way}`);
  });
}

// Light and dark ------------------------------------------------------------------------------------------------------

// A button that turns light into dark and back; the choice is kept where the browser lets a page keep anything.
function themeSwitch(button) {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const label = () => {
    button.setAttribute("aria-pressed", String(isDark()));
    button.textContent = isDark() ? "\u263e dark" : "\u2600 light";
  };
  const kept = remembered();
  if (kept) root.dataset.theme = kept;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember(root.dataset.theme);
    label();
  });
  dark.addEventListener("change", label);
  button.hidden = false;
  label();
}

function remembered() {
  try {
    const kept = window.localStorage.getItem("assay-theme");
    return kept === "dark" || kept === "light" ? kept : null;
  } catch {
    return null; // a page in a sandbox has no storage
  }
}

function remember(theme) {
  try {
    window.localStorage.setItem("assay-theme", theme);
  } catch {
    // then it is not kept
  }
}

// Tells screen readers what has changed, in the region of the page that is there for it.
function announcer(region) {
  return (text) => {
    if (region && text) region.textContent = text;
  };
}
