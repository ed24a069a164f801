// The report's own part: it finds what can be read, zoomed, sorted and filtered, and makes it so.

const say = announcer(document.getElementById("said"));

// A chart of lines or dots: read by pointer and keys; zoomed by dragging, by + and -, and back by a double click.
function liven(svg) {
  const plot = JSON.parse(svg.dataset.plot);
  const series = [...svg.querySelectorAll("[data-line]"), ...svg.querySelectorAll(".line.quiet")].map((path) => ({
    path,
    name: path.dataset.name || "",
    quiet: path.dataset.line === undefined,
    tone: [...path.classList].find((kind) => /^t\d$/.test(kind)) || "t0",
    key: path.dataset.line === undefined ? null : svg.querySelector(`[data-key="${path.dataset.line}"]`),
    points: pointsOf(path),
  }));
  const dots = [...svg.querySelectorAll(".cloud circle")];
  if (dots.length) series.push(cloud(dots, plot));
  if (!series.length) return;
  svg.classList.add("readable");
  const chart = new Readable(svg, plot, series, say);
  if (svg.querySelector(".field") && svg.querySelector(".axes")) zoomable(chart, { ...plot });
}

function pointsOf(path) {
  if (!path.dataset.points) return [];
  return path.dataset.points.split(" ").map((pair) => pair.split(",").map(Number));
}

// Dots know their places only; their values follow from the sides of the plot.
function cloud(dots, plot) {
  const points = dots.map((dot) => [
    plot.x[0] + ((dot.cx.baseVal.value - plot.left) / (plot.right - plot.left)) * (plot.x[1] - plot.x[0]),
    plot.y[0] + ((plot.bottom - dot.cy.baseVal.value) / (plot.bottom - plot.top)) * (plot.y[1] - plot.y[0]),
  ]);
  return { path: dots[0], name: plot.names[1], quiet: false, tone: "t0", key: null, points };
}

let clips = 0;

function zoomable(chart, whole) {
  const { svg, plot } = chart;
  const field = svg.querySelector(".field");
  const axes = svg.querySelector(".axes");
  const drawn = axes.innerHTML;
  clips += 1;
  const clip = draw("clipPath", { id: `clip-${clips}` });
  clip.append(draw("rect", { x: plot.left - 2, y: plot.top - 2, width: plot.right - plot.left + 4, height: plot.bottom - plot.top + 4 }));
  const frame = draw("g", { "clip-path": `url(#clip-${clips})` });
  field.replaceWith(frame);
  frame.append(field);
  svg.append(clip);

  function zoom(x, y) {
    const back = x === null;
    [plot.x, plot.y] = back ? [whole.x, whole.y] : [x, y];
    const [wide, high] = [(whole.x[1] - whole.x[0]) / (plot.x[1] - plot.x[0]), (whole.y[1] - whole.y[0]) / (plot.y[1] - plot.y[0])];
    const left = plot.left - across(whole, plot.x[0]) * wide;
    const low = plot.bottom - up(whole, plot.y[0]) * high;
    field.setAttribute("transform", back ? "" : `matrix(${wide} 0 0 ${high} ${left} ${low})`);
    svg.querySelector(".flags")?.classList.toggle("away", !back);
    if (back) axes.innerHTML = drawn;
    else drawAxes(axes, plot);
    chart.leave();
  }

  // The heights that the lines have between two places, with a little room.
  function heights(x) {
    const seen = chart.shown().flatMap((each) => each.points.filter((point) => point[0] >= x[0] && point[0] <= x[1]).map((point) => point[1]));
    const [low, high] = [Math.min(...seen), Math.max(...seen)];
    const room = (high - low) * 0.06;
    return room > 0 ? [low - room, high + room] : plot.y;
  }

  function near(factor) {
    const middle = chart.at ?? (plot.x[0] + plot.x[1]) / 2;
    const half = ((plot.x[1] - plot.x[0]) * factor) / 2;
    const x = [Math.max(whole.x[0], middle - half), Math.min(whole.x[1], middle + half)];
    if (x[1] - x[0] > (whole.x[1] - whole.x[0]) * 0.98) return zoom(null);
    if (x[1] - x[0] > (whole.x[1] - whole.x[0]) / 200) zoom(x, heights(x));
    return say(`${plot.names[0]} from ${short(plot.x[0])} to ${short(plot.x[1])}`);
  }

  dragged(chart, (from, to) => {
    const at = ([px, py]) => [
      plot.x[0] + ((px - plot.left) / (plot.right - plot.left)) * (plot.x[1] - plot.x[0]),
      plot.y[0] + ((plot.bottom - py) / (plot.bottom - plot.top)) * (plot.y[1] - plot.y[0]),
    ];
    const [a, b] = [at(from), at(to)];
    const x = [Math.min(a[0], b[0]), Math.max(a[0], b[0])];
    zoom(x, Math.abs(from[1] - to[1]) < 24 ? heights(x) : [Math.min(a[1], b[1]), Math.max(a[1], b[1])]);
  });
  svg.addEventListener("dblclick", () => zoom(null));
  svg.addEventListener("keydown", (event) => {
    if (event.target !== svg) return;
    if (event.key === "+" || event.key === "=") near(0.5);
    if (event.key === "-") near(2);
    if (event.key === "Escape" || event.key === "0") zoom(null);
  });
}

// Tells the corners of what was drawn over with the pointer held down; a click draws over nothing.
function dragged(chart, done) {
  const { svg, plot } = chart;
  const held = ([x, y]) => [Math.min(Math.max(x, plot.left), plot.right), Math.min(Math.max(y, plot.top), plot.bottom)];
  let from = null;
  let box = null;
  const end = () => {
    box?.remove();
    [from, box] = [null, null];
  };
  svg.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.pointerType !== "touch" && chart.inside(chart.spot(event))) from = held(chart.spot(event));
  });
  svg.addEventListener("pointermove", (event) => {
    if (!from) return;
    const to = held(chart.spot(event));
    if (!box && Math.abs(to[0] - from[0]) < 8) return;
    if (!box) {
      svg.setPointerCapture(event.pointerId);
      box = draw("rect", { class: "zoom" });
      svg.append(box);
    }
    const flat = Math.abs(to[1] - from[1]) < 24;
    const [y, high] = flat ? [plot.top, plot.bottom - plot.top] : [Math.min(from[1], to[1]), Math.abs(to[1] - from[1])];
    for (const [name, value] of Object.entries({ x: Math.min(from[0], to[0]), width: Math.abs(to[0] - from[0]), y, height: high })) box.setAttribute(name, value);
  });
  svg.addEventListener("pointerup", (event) => {
    const [begun, to] = [box ? from : null, held(chart.spot(event))];
    end();
    if (begun && Math.abs(to[0] - begun[0]) >= 8) done(begun, to);
  });
  svg.addEventListener("pointercancel", end);
}

// The confusion matrix in counts, in shares of the true class, or in shares of the predicted one.
function switchable(svg) {
  const { cells } = JSON.parse(svg.dataset.plot);
  const squares = [...svg.querySelectorAll(".square")];
  const down = cells.map((row) => row.reduce((a, b) => a + b, 0));
  const over = cells.map((_, j) => cells.reduce((sum, row) => sum + row[j], 0));
  const views = { counts: null, "share of the true class": (i) => down[i], "share of the predicted class": (i, j) => over[j] };
  const tools = make("div", { class: "tools", role: "group", "aria-label": "What the cells show" });
  const buttons = Object.entries(views).map(([name, total]) => {
    const button = make("button", { type: "button", "aria-pressed": String(total === null) }, name);
    button.addEventListener("click", () => {
      for (const each of buttons) each.setAttribute("aria-pressed", String(each === button));
      squares.forEach((square, at) => fill(square, Math.floor(at / cells.length), at % cells.length, total));
      say(`the cells show ${name}`);
    });
    return button;
  });
  function fill(square, i, j, total) {
    const value = cells[i][j];
    const whole = (total || ((row) => down[row]))(i, j);
    const share = whole ? value / whole : 0;
    const [first, second] = [square.querySelector(".count"), square.querySelector(".share")];
    const tight = !second && total; // a small square has room for a whole number only
    if (first) first.textContent = tight ? fixed(100 * share, 0) : total ? percent(share) : fixed(value, 0);
    if (second) second.textContent = total ? fixed(value, 0) : percent(share);
    square.querySelector(".right, .wrong")?.setAttribute("fill-opacity", (0.04 + 0.5 * Math.sqrt(share)).toFixed(3));
  }
  tools.append(...buttons);
  svg.closest("figure").prepend(tools);
}

// The ledger by outcome (which needs no script), by stage and by a text.
function searchable(form) {
  const [stage, text, told] = ["stage", "text", "shown"].map((name) => form.querySelector(`[data-ledger="${name}"]`));
  const parts = [...document.querySelectorAll("#ledger details[data-stage]")];
  const filter = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const off = [...form.querySelectorAll("input[type=checkbox]:not(:checked)")].map((box) => box.id.replace("show-", "o-"));
    let [shown, all] = [0, 0];
    for (const part of parts) {
      const rows = [...part.querySelectorAll("tbody tr")];
      for (const row of rows) {
        const content = row.textContent.toLowerCase();
        row.hidden = (stage.value && part.dataset.stage !== stage.value) || !words.every((word) => content.includes(word));
      }
      const left = rows.filter((row) => !row.hidden && !off.some((kind) => row.classList.contains(kind)));
      part.hidden = left.length === 0;
      shown += left.length;
      all += rows.length;
    }
    told.textContent = `${fixed(shown, 0)} of ${fixed(all, 0)} practices shown`;
  };
  for (const each of form.querySelectorAll("[data-ledger]")) each.closest("label, output").hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("change", filter);
  filter();
}

document.documentElement.classList.add("scripted");
for (const button of document.querySelectorAll("button.theme")) themeSwitch(button);
for (const svg of document.querySelectorAll("svg[data-plot]")) (JSON.parse(svg.dataset.plot).cells ? switchable : liven)(svg);
for (const table of document.querySelectorAll("table.sortable")) sortable(table, say);
for (const form of document.querySelectorAll("#ledger .filter")) searchable(form);
