// The page of a loss: its picture, the sliders beside it, the edges and snippets that follow them, the check of its gradient.
import { call, latest, make, origin, post, request, show, teller } from "./api.js";
import { limits, range, sample } from "./curve.js";
import { nearest, Plot } from "./plot.js";

const main = document.querySelector("main");
const spec = JSON.parse(main.dataset.spec);
const { loss, kind } = spec;
const live = document.querySelector("[data-live]");
const readout = document.querySelector("[data-readout]");

/** A line of the read-out. */
function read(key, label) {
  let line = readout.querySelector(`[data-read="${key}"]`);
  if (!line) {
    line = make("dd");
    line.dataset.read = key;
    const box = make("div", { className: key }, make("dt", { textContent: label }), line);
    readout.append(box);
  }
  return line;
}

/** Sliders, choices and boxes; a slider in decades stands for `start * 10 ** position`. */
const controls = [...document.querySelectorAll(".controls [data-setting]")].map((box) => {
  const input = box.querySelector("input, select");
  const value = () => {
    if (input.type === "checkbox") return input.checked;
    if (input.tagName === "SELECT") return Number.isNaN(Number(input.value)) ? input.value : Number(input.value);
    const position = input.valueAsNumber;
    return box.dataset.log ? Number((box.dataset.log * 10 ** position).toPrecision(3)) : position;
  };
  return { name: box.dataset.setting, box, input, value };
});
const settings = () => Object.fromEntries(controls.map(({ name, value }) => [name, value()]));

function onSlide(then) {
  for (const { name, box, input, value } of controls) {
    input.addEventListener("input", () => {
      const text = String(value());
      const output = box.querySelector("output");
      if (output) {
        output.textContent = text.replace("-", "−");
        input.setAttribute("aria-valuetext", text);
      }
      for (const bound of document.querySelectorAll(`[data-bind="${name}"]`)) bound.textContent = text;
      then();
    });
  }
}

const hint = (text) => (document.querySelector("[data-hint]").textContent = text);

function curves(figure) {
  const { symbol, label } = spec;
  const x = [spec.low, spec.high];
  const xs = range(...x);
  const rows = [...document.querySelectorAll(".edges tbody tr")];
  const given = rows.map(({ dataset }) => JSON.parse(dataset.given));
  const grown = {};
  let curve;
  let ghost;
  hint(`Point at the plot, or focus it and use the arrow keys.${controls.length ? " The thin grey line is where the sliders stood at first." : ""}`);

  const say = (at) => {
    const i = nearest(xs, at);
    return `${symbol} ${show(xs[i])}, loss ${show(curve.value[i])}, gradient ${show(curve.gradient[i])}, curvature ${show(curve.curvature[i])}`;
  };
  const onMove = (at) => {
    const i = nearest(xs, at);
    read("at", `at ${symbol}`).textContent = show(xs[i]);
    for (const [key, name] of [["value", "loss"], ["gradient", "gradient"], ["curvature", "curvature"]]) read(key, name).textContent = show(curve[key][i]);
  };
  const plot = new Plot(figure, { label: `${loss}: loss, gradient and curvature against the ${label}`, onMove, say });

  const { tell, fresh } = teller(live, figure, ...document.querySelectorAll(".edges"));
  const ask = latest(async () => {
    const chosen = settings();
    // The edges ride along with the curve: one request per movement.
    const edges = rows.map(({ dataset: { at } }) => (at in chosen ? chosen[at] : Number.isFinite(Number(at)) ? Number(at) : at));
    const all = await sample(spec, [...xs, ...edges], chosen, { given });
    fresh();
    live.textContent = `${xs.length + edges.length} points in ${all.ms.toFixed(1)} ms`;
    curve = { ...all };
    for (const key of ["value", "gradient", "curvature"]) curve[key] = all[key].slice(0, xs.length);
    ghost ??= curve;
    const panels = [
      ["value", "loss", 236],
      ["gradient", "gradient", 132],
      ["curvature", "curvature", 100],
    ].map(([key, name, height]) => {
      // A range grows with the curve and never shrinks, so that a slider moves the curve and not the axis.
      const [low, high] = limits(curve[key]);
      const pad = 0.06 * (high - low);
      grown[key] = [Math.min(grown[key]?.[0] ?? Infinity, low - pad, 0), Math.max(grown[key]?.[1] ?? -Infinity, high + pad, 0.2)];
      const lines = [{ cls: `line ${key}`, xs, ys: curve[key] }];
      if (ghost !== curve) lines.unshift({ cls: "ghost", xs, ys: ghost[key], quiet: true });
      return { key, name, height, y: grown[key], lines, tangent: key === "value" ? curve.gradient : null };
    });
    const at = plot.state?.at ?? x[0] + 0.575 * (x[1] - x[0]);
    plot.update({ x, xLabel: label, panels, at });
    onMove(at);
    rows.forEach((row, i) => {
      row.cells[1].textContent = show(Number(edges[i]));
      ["value", "gradient", "curvature"].forEach((key, k) => (row.cells[k + 2].textContent = show(all[key][xs.length + i])));
    });
  }, tell);
  onSlide(ask);
  ask();
}

const figure = document.querySelector("[data-picture]");
const tools = { settings, onSlide, read, live, hint };
if (kind === "curve") curves(figure);
else (await import(`./${kind}.js`)).default(figure, spec, tools);

// What is changed in Try begins with the example's numbers and the settings chosen here.
const change = document.querySelector("[data-change]");
const [address, example] = change.href.split("=", 2).map((part, i) => (i ? JSON.parse(decodeURIComponent(part)) : part));
onSlide(() => {
  const chosen = Object.entries(settings()).filter(([name]) => !(name in (spec.held ?? {})));
  change.href = `${address}=${encodeURIComponent(JSON.stringify({ ...example, ...Object.fromEntries(chosen) }))}`;
});

// Snippets name this server.
for (const code of document.querySelectorAll("#call code")) {
  for (const node of code.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) node.textContent = node.textContent.replaceAll("http://127.0.0.1:8000", origin);
  }
}

// The gradient of the worked example against differences of the loss.
const check = document.querySelector("[data-check]");
check.hidden = false;
check.onclick = async () => {
  const said = document.querySelector("[data-checked]");
  try {
    const { gradient: _, ...example } = (await request(`v1/losses/${loss}`).then((r) => r.json())).example.request;
    const answer = await post(`v1/losses/${loss}/gradcheck`, example);
    const worst = answer.largest;
    said.textContent = `${answer.evaluations} evaluations: ` + (worst === null ? "no number could be compared" : `the largest deviation is ${show(Number(worst.deviation))}, at ${worst.at}: ${show(Number(worst.analytic))} against ${show(Number(worst.numerical))}`);
  } catch (error) {
    teller(said).tell(error);
  }
};
export { call };
