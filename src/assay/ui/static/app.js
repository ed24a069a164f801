"use strict";
// The page of `assay ui`: it asks the server every other second what the folder holds, and redraws what has changed.

const EVERY = 2000; // milliseconds
const MOST_CARDS = 6;
const COLUMNS = ["name", "state", "data", "score", "baseline", "fit_seconds", "predict_us", "bytes", "date"];
const HOW = { run: "", study: "study", comparison: "comparison", "synthetic rows": "synthetic rows" };
const $ = (id) => document.getElementById(id);
const say = announcer($("said"));
const board = $("runs");
const state = { version: "", entries: [], sort: ["date", "descending"], asked: new Set(), closed: new Set(), rows: new Map(), cards: new Map() };

// Numbers in words ----------------------------------------------------------------------------------------------------

function seconds(value) {
  if (value < 1) return `${short(1000 * value, 2)} ms`;
  if (value < 59.95) return `${short(Number(value.toFixed(1)))} s`;
  const [minutes, rest] = [Math.floor(Math.round(value) / 60), Math.round(value) % 60];
  if (minutes < 60) return `${minutes} min${rest ? ` ${rest} s` : ""}`;
  return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
}

function size(value) {
  const [unit, factor] = [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]].find((each) => value >= each[1]) || ["B", 1];
  return `${short(value / factor, 3)} ${unit}`;
}

function day(text) {
  const moment = new Date(text);
  if (!text || Number.isNaN(moment.getTime())) return text;
  const two = (number) => String(number).padStart(2, "0");
  const date = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  return `${date} ${two(moment.getHours())}:${two(moment.getMinutes())}`;
}

const counted = (number, one, many = `${one}s`) => `${fixed(number, 0)} ${number === 1 ? one : many}`;

// The leaderboard -----------------------------------------------------------------------------------------------------

// Where a file of an entry is: every part of the path is escaped, for names of folders may hold anything.
function address(entry, file) {
  return `/runs/${[...entry.id.split("/"), ...file.split("/")].map(encodeURIComponent).join("/")}`;
}

function cell(kind, shown, below = "") {
  const made = make("td", kind ? { class: kind } : {}, shown);
  if (below) made.append(make("span", { class: "span" }, below));
  return made;
}

function known(value, words) {
  return value === null ? "–" : words(value);
}

function rowOf(entry) {
  const report = entry.pages[0];
  const name = report ? make("a", { href: address(entry, report.file) }, entry.name) : make("span", {}, entry.name);
  const head = make("th", { scope: "row" }, name);
  if (HOW[entry.kind]) head.append(make("span", { class: "span" }, HOW[entry.kind]));
  const how = cell("", make("span", { class: `tag ${entry.state}` }, entry.state));
  if (entry.reason) how.append(make("span", { class: "why" }, entry.reason));
  const interval = entry.low === null || entry.high === null ? "" : `${fixed(entry.low, entry.digits)} to ${fixed(entry.high, entry.digits)}`;
  const score = cell("num", known(entry.score, (value) => fixed(value, entry.digits)), interval);
  if (entry.metric && entry.score !== null) score.append(make("span", { class: "span" }, entry.metric));
  const links = make("td", { class: "links" });
  for (const page of entry.pages) links.append(make("a", { href: address(entry, page.file) }, page.title));
  if (entry.has_epochs) links.append(curvesButton(entry));
  return make(
    "tr", {}, head, how,
    cell("data", entry.data, entry.task),
    score,
    cell("num", known(entry.baseline, (value) => fixed(value, entry.digits)), entry.baseline_name),
    cell("num", known(entry.fit_seconds, seconds)),
    cell("num", known(entry.predict_us, (value) => short(value, 2))),
    cell("num", known(entry.bytes, size)),
    cell("date", day(entry.date)),
    links,
  );
}

function curvesButton(entry) {
  const button = make("button", { type: "button", "aria-expanded": "false", "aria-label": `curves of ${entry.name}` }, "curves");
  button.addEventListener("click", () => {
    if (state.cards.has(entry.id)) {
      close(entry.id);
    } else {
      state.asked.add(entry.id);
      state.closed.delete(entry.id);
      refreshCards().then(() => state.cards.get(entry.id)?.element.scrollIntoView({ block: "nearest" }));
    }
  });
  return button;
}

// What an entry is sorted by. Scores of one metric stand together, and the best of them is the largest.
function keyOf(entry, column) {
  if (column === "score" || column === "baseline") {
    const value = entry[column];
    return value === null ? null : entry.higher ? value : -value;
  }
  return entry[column] === "" ? null : entry[column];
}

function ordered(entries) {
  const [column, way] = state.sort;
  const grouped = column === "score" || column === "baseline";
  return [...entries].sort((a, b) => {
    const [x, y] = [keyOf(a, column), keyOf(b, column)];
    const together = grouped && x !== null && y !== null ? a.metric.localeCompare(b.metric) : 0;
    return together || compare(x, y, way) || a.id.localeCompare(b.id);
  });
}

function fitting() {
  const words = $("text").value.toLowerCase().split(/\s+/).filter(Boolean);
  const [data, kind, how] = [$("data").value, $("kind").value, $("state").value];
  return state.entries.filter((entry) => {
    const text = [entry.name, entry.data, entry.task, entry.metric, entry.kind, entry.state, entry.reason].join(" ").toLowerCase();
    return (!data || entry.data === data) && (!kind || entry.kind === kind) && (!how || entry.state === how) && words.every((word) => text.includes(word));
  });
}

function show() {
  const shown = ordered(fitting());
  const body = board.tBodies[0];
  const focused = document.activeElement;
  const rows = shown.map((entry) => {
    const text = JSON.stringify(entry);
    const kept = state.rows.get(entry.id);
    if (kept && kept.text === text) return kept.row;
    const row = rowOf(entry);
    state.rows.set(entry.id, { text, row });
    return row;
  });
  if (rows.length !== body.rows.length || rows.some((row, at) => row !== body.rows[at])) {
    body.replaceChildren(...rows);
    if (body.contains(focused)) focused.focus();
  }
  pressed();
  count(shown.length);
}

function count(shown) {
  const running = state.entries.filter((entry) => entry.state === "running").length;
  const all = counted(state.entries.length, "row");
  const words = `${shown === state.entries.length ? all : `${fixed(shown, 0)} of ${all}`}${running ? `, ${fixed(running, 0)} running` : ""}${state.leftOut ? "; the folder has more folders than are looked into" : ""}.`;
  if ($("count").textContent !== words) $("count").textContent = words;
  $("none").hidden = shown > 0;
  $("none").textContent = state.entries.length ? "No row fits the filter." : `There is no run in ${state.folder} yet. One that you start there shows up here by itself.`;
}

function options(select, values) {
  const wanted = [...new Set(values)].filter(Boolean).sort();
  const there = [...select.options].slice(1).map((option) => option.value);
  if (wanted.join("\n") === there.join("\n")) return;
  const chosen = select.value;
  select.replaceChildren(select.options[0], ...wanted.map((value) => make("option", { value }, value)));
  select.value = wanted.includes(chosen) ? chosen : "";
}

// Curves --------------------------------------------------------------------------------------------------------------

// A chart of lines over epochs that grows.
class Growing {
  constructor(label, lines) {
    this.svg = draw("svg", { class: "chart", viewBox: "0 0 400 220", width: 400, height: 220, "aria-label": label });
    this.plot = { left: 62, top: 26, right: 388, bottom: 180, x: [0, 1], y: [0, 1], whole: true, names: ["epoch", label] };
    this.axes = draw("g", { class: "axes" });
    this.svg.append(this.axes);
    let left = 62;
    const series = lines.map(({ name, tone }) => {
      const path = draw("path", { class: `line ${tone}` });
      const key = draw("g", { class: "key" });
      key.append(draw("line", { x1: left, x2: left + 18, y1: 10, y2: 10, class: `line ${tone}` }), draw("text", { x: left + 23, y: 14, class: "label" }, name));
      left += 40 + name.length * CHARACTER;
      this.svg.append(path, ...(lines.length > 1 ? [key] : []));
      return { name, tone, path, key: lines.length > 1 ? key : null, points: [], hidden: false };
    });
    this.readable = new Readable(this.svg, this.plot, series, say);
  }

  update(lists) {
    const every = lists.flat().filter((point) => Number.isFinite(point[1]));
    this.svg.classList.toggle("empty", every.length === 0);
    if (!every.length) return;
    const [xs, ys] = [every.map((point) => point[0]), every.map((point) => point[1])];
    const room = (low, high, share) => (low === high ? [low - (Math.abs(low) / 2 || 0.5), high + (Math.abs(high) / 2 || 0.5)] : [low - (high - low) * share, high + (high - low) * share]);
    this.plot.x = room(Math.min(...xs), Math.max(...xs), 0);
    this.plot.y = room(Math.min(...ys), Math.max(...ys), 0.05);
    drawAxes(this.axes, this.plot);
    this.readable.series.forEach((each, at) => {
      each.points = thinned(lists[at]);
      each.path.setAttribute("d", pathOf(each.points, this.plot));
    });
    if (this.readable.at !== null) this.readable.show(this.readable.at);
  }
}

function thinned(points) {
  const stride = Math.max(1, Math.ceil(points.length / 400));
  return points.filter((_, at) => at % stride === 0 || at === points.length - 1);
}

class Card {
  constructor(entry) {
    this.id = entry.id;
    this.end = 0;
    this.epochs = [];
    this.networks = [];
    this.charts = new Map();
    this.tag = make("span", { class: "tag" });
    const title = `card-${state.next = (state.next || 0) + 1}`;
    const shut = make("button", { type: "button", "aria-label": `close the curves of ${entry.name}` }, "close");
    shut.addEventListener("click", () => close(this.id));
    this.choice = make("select", { "aria-label": `network of ${entry.name}` });
    this.choice.addEventListener("change", () => this.draw());
    this.label = make("label", { hidden: "" }, "Network ", this.choice);
    this.last = make("p", { class: "fine" }, "No epoch has ended yet.");
    this.pair = make("div", { class: "pair" });
    this.element = make("article", { class: "card", "aria-labelledby": title }, make("h3", {}, make("span", { id: title }, entry.name), this.tag, shut), this.label, this.pair, this.last);
  }

  // What has come since the last time; a file that was begun anew is read from its beginning.
  async refresh(entry) {
    this.tag.className = `tag ${entry.state}`;
    this.tag.textContent = entry.state;
    for (let more = true; more; ) {
      const answer = await fetch(`/api/epochs?run=${encodeURIComponent(this.id)}&from=${this.end}`);
      if (!answer.ok) return;
      const found = await answer.json();
      if (found.start !== this.end) this.epochs = [];
      this.end = found.end;
      this.epochs.push(...found.epochs);
      more = found.more;
      if (found.epochs.length) this.draw();
    }
  }

  draw() {
    const names = [...new Set(this.epochs.map((epoch) => epoch.network))];
    if (names.join("\n") !== this.networks.join("\n")) {
      const follows = this.choice.value === (this.networks.at(-1) ?? "");
      const kept = this.choice.value;
      this.choice.replaceChildren(...names.map((name) => make("option", { value: name }, name || "the network")));
      this.choice.value = follows || !names.includes(kept) ? names.at(-1) : kept; // the newest, unless another was chosen
      this.networks = names;
      this.label.hidden = names.length < 2;
    }
    const epochs = this.epochs.filter((epoch) => epoch.network === this.choice.value);
    const line = (of) => epochs.map((epoch) => [epoch.epoch, epoch[of] === null ? NaN : epoch[of]]);
    this.chart("loss", [{ name: "training", tone: "t0" }, { name: "validation", tone: "t1" }]).update([line("train_loss"), line("valid_loss")]);
    const last = epochs.at(-1);
    if (!last) return;
    if (epochs.some((epoch) => epoch.valid_score !== null)) {
      this.chart("score", [{ name: last.score_name, tone: "t4" }], `validation ${last.score_name}`).update([line("valid_score")]);
    }
    const score = last.valid_score === null ? "" : `, ${last.score_name} ${short(last.valid_score)}`;
    this.last.textContent = `Epoch ${fixed(last.epoch, 0)}${last.network ? ` of ${last.network}` : ""}: training loss ${short(last.train_loss)}, validation loss ${short(last.valid_loss)}${score}; rate ${short(last.learning_rate, 2)}, after ${seconds(last.seconds)}.`;
  }

  chart(name, lines, label = name) {
    if (!this.charts.has(name)) {
      const made = new Growing(label, lines);
      this.charts.set(name, made);
      this.pair.append(make("figure", {}, made.svg));
    }
    return this.charts.get(name);
  }
}

function close(id) {
  const card = state.cards.get(id);
  const had = card && card.element.contains(document.activeElement);
  state.asked.delete(id);
  state.closed.add(id);
  state.cards.delete(id);
  card?.element.remove();
  $("live").hidden = state.cards.size === 0;
  pressed();
  if (had) (state.rows.get(id)?.row.querySelector("button") || $("text")).focus();
}

// Buttons say whether their curves are shown.
function pressed() {
  for (const [id, { row }] of state.rows) row.querySelector("button")?.setAttribute("aria-expanded", String(state.cards.has(id)));
}

// Curves of what runs and of what was asked for; those of a run that has ended stay until they are closed.
async function refreshCards() {
  const running = state.entries.filter((entry) => entry.state === "running" && entry.has_epochs && !state.closed.has(entry.id)).slice(0, MOST_CARDS);
  const wanted = new Set([...running.map((entry) => entry.id), ...state.asked, ...state.cards.keys()]);
  const there = state.entries.filter((entry) => wanted.has(entry.id) && entry.has_epochs);
  for (const id of state.cards.keys()) if (!there.some((entry) => entry.id === id)) close(id);
  for (const entry of there) {
    if (!state.cards.has(entry.id)) {
      const card = new Card(entry);
      state.cards.set(entry.id, card);
      $("cards").prepend(card.element);
    }
  }
  $("live").hidden = state.cards.size === 0;
  pressed();
  await Promise.all(there.map((entry) => state.cards.get(entry.id)?.refresh(entry)));
}

// What happens --------------------------------------------------------------------------------------------------------

async function refresh() {
  const answer = await fetch(`/api/runs?have=${state.version}`);
  if (answer.status === 200) {
    const { version, folder, left_out: leftOut, entries } = await answer.json();
    Object.assign(state, { version, folder, leftOut, entries });
    $("folder").textContent = `Runs in ${folder}`;
    document.title = `assay: ${folder}`;
    const there = new Set(entries.map((entry) => entry.id));
    for (const id of state.rows.keys()) if (!there.has(id)) state.rows.delete(id);
    options($("data"), entries.map((entry) => entry.data));
    options($("kind"), entries.map((entry) => entry.kind));
    options($("state"), entries.map((entry) => entry.state));
    show();
  }
  await refreshCards();
}

async function forever() {
  for (;;) {
    if (!document.hidden || !state.version) {
      try {
        await refresh();
        $("lost").hidden = true;
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // what fetch says when nobody answers
        if ($("lost").hidden) $("lost").textContent = `The server does not answer any more; what is shown is of ${new Date().toLocaleTimeString()}. Start assay ui again to go on.`;
        $("lost").hidden = false;
      }
    }
    await new Promise((done) => setTimeout(done, EVERY));
  }
}

themeSwitch($("theme"));
headings(board, (column, way) => {
  state.sort = [COLUMNS[column], way];
  show();
  say(`sorted by ${board.tHead.rows[0].cells[column].textContent.trim()}, ${way}`);
});
$("filter").addEventListener("input", show);
$("filter").addEventListener("reset", () => setTimeout(show));
$("filter").addEventListener("submit", (event) => event.preventDefault());
forever();
