// Compare: five losses over each other, and a line fitted under each.
import { attempt, call, latest, numbers, show, teller } from "./api.js";
import { range, residual, sample } from "./curve.js";
import { cell } from "./pasted.js";
import { nearest, Plot, svg } from "./plot.js";

const $ = (selector) => document.querySelector(selector);
const main = $("main").dataset;
const named = ({ loss, settings }) => [loss, ...Object.values(settings)].join(" ");
const LOSSES = JSON.parse(main.compared).map((entry) => ({ ...entry, label: named(entry), on: true }));
const on = () => LOSSES.filter((entry) => entry.on);
const drawable = () => on().filter(({ curve }) => curve);
const key = (entry) => {
  const line = svg("path", { class: `line s-${entry.key}`, d: "M0 4H26" });
  return svg("svg", { class: `legend-key s-${entry.key}`, viewBox: "0 0 26 8", "aria-hidden": "true" }, line);
};

// --- Curves ---
const xs = range(-4, 4);
let which = "value";
const legend = $("[data-legend]");
function addToLegend(entry) {
  const row = legend.insertRow();
  const head = document.createElement("th");
  head.scope = "row";
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
  box.onchange = () => {
    entry.on = box.checked;
    drawCurves();
    drawLines();
    refresh();
  };
  label.append(box, key(entry), entry.label);
  head.append(label);
  row.append(head);
  entry.cell = row.insertCell();
  entry.cell.className = "n";
}
LOSSES.forEach(addToLegend);
const overlay = new Plot($("[data-overlay]"), {
  label: "Losses against the residual",
  onMove: readOut,
  say: (at) => `residual ${show(xs[nearest(xs, at)])}: ` + drawable().map((e) => `${e.label} ${show(e.curve[which][nearest(xs, at)])}`).join(", "),
});
function readOut(at) {
  const i = nearest(xs, at);
  $("[data-at]").textContent = `at r = ${show(xs[i])}`;
  for (const entry of LOSSES) entry.cell.textContent = entry.curve ? show(entry.curve[which][i]) : "–";
}
function drawCurves() {
  if (!LOSSES.some(({ curve }) => curve)) return; // what the page came with stays until the first answer
  const y = which === "value" ? JSON.parse(main.range) : which === "gradient" ? [-4.4, 4.4] : [-0.15, 2.4];
  const lines = drawable().map((entry) => ({ cls: `line s-${entry.key}`, xs, ys: entry.curve[which] }));
  overlay.update({ x: [-4, 4], xLabel: "residual = input − target", at: overlay.state?.at ?? 2.4, panels: [{ key: which, name: "", height: 372, y, lines }] });
  readOut(overlay.state.at);
}
/** Ask for the curves that have not come yet: a call may be refused until a key is given. */
const askForCurves = latest(
  async () => {
    const missing = LOSSES.filter(({ curve }) => !curve);
    const asked = await Promise.allSettled(missing.map(async (entry) => (entry.curve = await sample(residual(entry.loss), xs, entry.settings))));
    if (missing.length) drawCurves();
    const refused = asked.find(({ status }) => status === "rejected");
    if (refused) throw refused.reason;
  },
  (error) => tell(error),
);
for (const input of $("[data-which]").querySelectorAll("input")) {
  input.onchange = () => {
    which = input.value;
    drawCurves();
  };
}

// --- Outliers ---
const START = [0.4, 1.1, 1.9, 2.6, 3.4, 4.1, 4.9, 5.7, 6.4, 7.2, 7.9, 8.6, 8.2, 9.3].map((x, i) => ({
  x,
  y: i < 12 ? 1.5 + 0.9 * x + [0.3, -0.4, 0.2, 0.5, -0.3, -0.2, 0.4, -0.5, 0.1, 0.3, -0.3, 0.2][i] : [0.9, 1.4][i - 12],
}));
let points = structuredClone(START);
const X = [0, 10];
const Y = [-1, 12];
const STEPS = 160;
const live = $("[data-live]");
const { tell, fresh } = teller(live, ...["[data-scatter]", "[data-descent]", "[data-fits]"].map($));
const fits = $("[data-fits]");

const scatter = new Plot($("[data-scatter]"), { label: "Points and the lines fitted to them", left: 40 });
const descent = new Plot($("[data-descent]"), { label: "Loss against step, as a share of the loss at the start", left: 46 });

// The points live above the plot and survive its redrawing, so that focus and a drag do too.
const dots = points.map((point, i) => {
  const dot = svg("circle", { class: `point${i > 11 ? " far" : ""}`, r: 7, tabindex: 0, role: "slider", "aria-label": `height of point ${i + 1}`, "aria-valuemin": Y[0], "aria-valuemax": Y[1] });
  const move = (x, y) => {
    points[i] = { x: Math.min(X[1], Math.max(X[0], x)), y: Math.min(Y[1], Math.max(Y[0], y)) };
    placeDots();
    fit();
  };
  dot.onpointerdown = (event) => {
    event.preventDefault();
    dot.focus({ focusVisible: false });
    dot.setPointerCapture(event.pointerId);
    dot.onpointermove = (event) => {
      const box = scatter.root.getBoundingClientRect();
      const [{ X: sx, Y: sy }] = scatter.layout;
      const [x0, y0] = [sx(0), sy(0)];
      move((event.clientX - box.left - x0) / (sx(1) - x0), (event.clientY - box.top - y0) / (sy(1) - y0));
    };
    dot.onpointerup = () => (dot.onpointermove = null);
  };
  dot.onkeydown = (event) => {
    const by = { ArrowUp: [0, 0.25], ArrowDown: [0, -0.25], ArrowLeft: [-0.2, 0], ArrowRight: [0.2, 0] }[event.key];
    if (!by) return;
    event.preventDefault();
    move(points[i].x + by[0], points[i].y + by[1]);
  };
  return dot;
});
const layer = svg("g", {}, ...dots);
function placeDots() {
  const [{ X: sx, Y: sy }] = scatter.layout;
  points.forEach(({ x, y }, i) => {
    dots[i].setAttribute("cx", sx(x));
    dots[i].setAttribute("cy", sy(y));
    dots[i].setAttribute("aria-valuenow", y.toFixed(2));
  });
}
scatter.after = () => {
  scatter.root.append(layer);
  placeDots();
};
scatter.root.setAttribute("role", "group");

function addToFits(entry) {
  const row = fits.insertRow();
  row.innerHTML = '<th scope="row"></th><td class="n"></td><td class="n"></td><td class="n start"></td><td class="n"></td>';
  row.cells[0].append(key(entry), Object.assign(document.createElement("code"), { textContent: entry.label }));
  entry.row = row;
}
LOSSES.forEach(addToFits);

function drawLines() {
  const drawn = on().filter((entry) => entry.history?.length);
  // Room for the longest name at the end of a line: what it hangs on, and letters of 7 pixels.
  scatter.right = descent.right = 42 + 7 * Math.max(...LOSSES.map(({ label }) => label.length));
  scatter.update({
    x: X,
    xLabel: "x",
    panels: [{ key: "fit", height: 352, y: Y, ends: true, lines: drawn.map((entry) => ({ name: entry.label, cls: `line s-${entry.key}`, xs: X, ys: X.map((x) => entry.b + entry.w * ((x - 5) / 5)) })) }],
  });
  descent.update({
    x: [0, STEPS],
    xLabel: "step",
    panels: [{ key: "descent", name: "loss, as a share of its start", height: 352, y: [0, 1.06], ends: true, lines: drawn.map((entry) => ({ name: entry.label, cls: `line s-${entry.key}`, xs: entry.history.map((_, i) => i), ys: entry.history.map((l) => l / entry.history[0]) })) }],
  });
  for (const entry of LOSSES) {
    entry.row.hidden = !entry.on;
    if (!entry.history?.length) continue;
    // The fit works on z = (x - 5) / 5; what is shown is slope and intercept in x.
    const said = [entry.w / 5, entry.b - entry.w, entry.history[0], entry.history.at(-1)];
    said.forEach((x, i) => (entry.row.cells[i + 1].textContent = i < 2 ? x.toFixed(3).replace("-", "−") : show(x)));
  }
}

/**
 * Descend. Each step is one call per loss, all losses at once over the browser's open connections; the steps of
 * one loss must follow each other. Adam, because the five losses differ in scale by a factor of a hundred.
 * A new wish (a point that moved) ends the run at its next step and starts from there.
 */
let wish = 0;
const descend = latest(async () => {
  const mine = wish;
  const z = points.map(({ x }) => (x - 5) / 5);
  const target = points.map(({ y }) => y);
  const runners = on();
  for (const entry of runners) Object.assign(entry, { w: 0, b: 0, history: [], m: [0, 0], v: [0, 0] });
  const start = performance.now();
  let calls = 0;
  for (let step = 1; step <= STEPS && mine === wish; step++) {
    const rate = 0.02 + 0.48 * (0.5 + 0.5 * Math.cos((Math.PI * step) / STEPS));
    await Promise.all(
      runners.map(async (entry) => {
        const input = z.map((z) => entry.b + entry.w * z);
        const answer = await call(entry.loss, { input, target, ...entry.settings, gradient: ["input"] });
        calls++;
        entry.history.push(Number(answer.loss.mean));
        const g = numbers(answer.gradient.mean.input);
        const gradient = [g.reduce((sum, g, i) => sum + g * z[i], 0), g.reduce((sum, g) => sum + g, 0)]; // the chain rule
        const move = gradient.map((g, k) => {
          entry.m[k] = 0.8 * entry.m[k] + 0.2 * g;
          entry.v[k] = 0.95 * entry.v[k] + 0.05 * g * g;
          return (rate * (entry.m[k] / (1 - 0.8 ** step))) / (Math.sqrt(entry.v[k] / (1 - 0.95 ** step)) + 1e-12);
        });
        entry.w -= move[0];
        entry.b -= move[1];
      }),
    );
    fresh();
    if (step === 1 || step % 4 === 0 || step === STEPS) {
      drawLines();
      live.textContent = `step ${step} of ${STEPS}, ${calls} calls in ${((performance.now() - start) / 1000).toFixed(1)} s`;
      await new Promise(requestAnimationFrame);
    }
  }
}, tell);
function fit() {
  wish++;
  descend();
}
function refresh() {
  fit();
  askForCurves();
}
$("[data-run]").onclick = refresh;
$("[data-reset]").onclick = () => {
  points = structuredClone(START);
  placeDots();
  refresh();
};

// What needs no answer is drawn before the first one: the points, and the curves as the server drew them into the page.
// The lines do not wait for the curves, nor for one that is refused.
drawLines();
refresh();

// --- More losses ---
/** The class of the line of the n-th added loss: four colours, each with four dashes. */
const lineOf = (n) => `more-${n % 4} dash-${Math.floor(n / 4) % 4}`;
const FIRST = LOSSES.length;
const form = $("[data-add]");
const chooser = form.elements.loss;
const setting = form.querySelector("[data-add-setting]");
const namesOf = () => chooser.selectedOptions[0].dataset;
chooser.onchange = () => {
  const [name] = JSON.parse(namesOf().settings);
  setting.hidden = !name;
  setting.querySelector("span").textContent = name ?? "";
  form.elements.value.value = JSON.parse(namesOf().defaults)[0] ?? "";
};
chooser.value = "cauchy"; // none of those that are drawn already
chooser.onchange();
form.onsubmit = async (event) => {
  event.preventDefault();
  const [name] = JSON.parse(namesOf().settings);
  const settings = name ? { [name]: cell(form.elements.value.value) } : {};
  const label = named({ loss: chooser.value, settings });
  if (LOSSES.some((entry) => entry.label === label)) return;
  const entry = { key: lineOf(LOSSES.length - FIRST), loss: chooser.value, settings, label, on: true };
  try {
    entry.curve = await sample(residual(entry.loss), xs, settings, { send: attempt });
  } catch (error) {
    tell(error);
    return;
  }
  LOSSES.push(entry);
  addToLegend(entry);
  addToFits(entry);
  drawCurves();
  drawLines();
  refresh();
};
