// Two boxes: drag a box to move it, its corner to resize it; arrows show where descent would take its edges.
import { call, latest, numbers, show, teller } from "./api.js";
import { svg } from "./plot.js";

const HEIGHT = 420;
const TALL = 5.2; // units from bottom to top
const BELOW = 14; // pixels under y = 0
const DOT = 9; // pixels from the middle of a corner's dot to its rim
const NAMES = ["boxes1", "boxes2"];
const within = (low, high, at) => Math.max(low, Math.min(high, at));
const START = [
  [0.5, 0.5, 2.5, 3],
  [1.75, 1.5, 4.5, 4],
];

export default function boxes(host, spec, { settings, onSlide, read, live, hint }) {
  const placed = START.map((box) => [...box]);
  const root = svg("svg", { class: "plot", height: HEIGHT, role: "group", "aria-label": "Two boxes to drag" });
  host.replaceChildren(root);
  const unit = () => Math.min(HEIGHT / TALL, host.clientWidth / 5.6);
  const left = () => (host.clientWidth - 5 * unit()) / 2;
  const X = (x) => left() + x * unit();
  const Y = (y) => HEIGHT - BELOW - y * unit();
  /** The lowest and the highest place of an axis at which a corner's dot is still seen whole. */
  const limits = (axis) => (axis ? [DOT - BELOW, HEIGHT - BELOW - DOT] : [DOT - left(), host.clientWidth - left() - DOT]).map((pixels) => pixels / unit());
  const overlap = svg("rect", { class: "overlap" });
  const hull = svg("rect", { class: "hull" });
  root.append(hull, overlap);

  const parts = placed.map((box, b) => {
    const body = svg("rect", { class: `box box${b}`, tabindex: 0, role: "slider", "aria-label": `${NAMES[b]}: place` });
    const corner = svg("circle", { class: `point box${b}`, r: 8, tabindex: 0, role: "slider", "aria-label": `${NAMES[b]}: second corner` });
    const name = svg("text", { class: "end" }, NAMES[b]);
    const arrows = svg("path", { class: "arrow" });
    // What is kept is not rounded, and a drag counts from where it began: steps of a pixel would lose or gain a part each.
    const move = (from, ...by) => {
      by.forEach((step, axis) => {
        const [low, high] = limits(axis);
        const shift = within(low - from[axis], high - from[axis + 2], step);
        for (const i of [axis, axis + 2]) placed[b][i] = from[i] + shift;
      });
      ask();
    };
    const stretch = (from, ...by) => {
      by.forEach((step, axis) => (placed[b][axis + 2] = within(from[axis], limits(axis)[1], from[axis + 2] + step)));
      ask();
    };
    const keys = (element, act) =>
      (element.onkeydown = (event) => {
        const by = { ArrowUp: [0, 0.1], ArrowDown: [0, -0.1], ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0] }[event.key];
        if (!by) return;
        event.preventDefault();
        act([...placed[b]], ...by);
      });
    const drag = (element, act) =>
      (element.onpointerdown = (event) => {
        event.preventDefault();
        element.focus({ focusVisible: false });
        element.setPointerCapture(event.pointerId);
        const from = [...placed[b]];
        element.onpointermove = ({ clientX, clientY }) => act(from, (clientX - event.clientX) / unit(), (event.clientY - clientY) / unit());
        element.onpointerup = () => (element.onpointermove = null);
      });
    keys(body, move);
    drag(body, move);
    keys(corner, stretch);
    drag(corner, stretch);
    root.append(body, arrows, corner, name);
    return { body, corner, name, arrows };
  });
  hint("Drag a box to move it, its corner to resize it, or focus them and use the arrow keys. An arrow is minus the gradient of an edge.");

  const rectangle = (element, [x1, y1, x2, y2]) => {
    const shown = x2 > x1 && y2 > y1;
    element.setAttribute("x", X(x1));
    element.setAttribute("y", Y(y2));
    element.setAttribute("width", shown ? (x2 - x1) * unit() : 0);
    element.setAttribute("height", shown ? (y2 - y1) * unit() : 0);
  };
  const area = ([x1, y1, x2, y2]) => Math.max(x2 - x1, 0) * Math.max(y2 - y1, 0);
  let answer;
  function draw() {
    root.setAttribute("viewBox", `0 0 ${host.clientWidth} ${HEIGHT}`);
    const [one, other] = placed;
    const both = [Math.max(one[0], other[0]), Math.max(one[1], other[1]), Math.min(one[2], other[2]), Math.min(one[3], other[3])];
    rectangle(overlap, both);
    rectangle(hull, [Math.min(one[0], other[0]), Math.min(one[1], other[1]), Math.max(one[2], other[2]), Math.max(one[3], other[3])]);
    const largest = Math.max(1e-9, ...NAMES.flatMap((name) => answer.gradient[name]).map(Math.abs).filter(Number.isFinite));
    parts.forEach(({ body, corner, name, arrows }, b) => {
      const box = placed[b];
      rectangle(body, box);
      corner.setAttribute("cx", X(box[2]));
      corner.setAttribute("cy", Y(box[3]));
      name.setAttribute("x", X(box[0]) + 8);
      name.setAttribute("y", Y(b ? box[3] : box[1]) + (b ? 18 : -8));
      const slope = answer.gradient[NAMES[b]];
      const middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
      arrows.setAttribute("d", slope.map((g, i) => edge(i, box[i], middle, (-48 * g) / largest)).join(""));
      for (const [element, at] of [[body, box[0]], [corner, box[2]]]) {
        const [low, high] = limits(0);
        for (const [name, value] of Object.entries({ valuemin: low, valuemax: high, valuenow: at })) element.setAttribute(`aria-${name}`, value.toFixed(2));
        element.setAttribute("aria-valuetext", `${box.map((x) => x.toFixed(2)).join(", ")}; gradient ${slope.map(show).join(", ")}`);
      }
    });
    const iou = area(both) / (area(one) + area(other) - area(both)) || 0;
    read("value", "loss").textContent = show(answer.loss);
    read("at", "IoU of what is drawn").textContent = show(iou);
    fresh();
    live.textContent = `answered in ${answer.ms.toFixed(1)} ms`;
  }
  /** An arrow from the middle of edge i, so many pixels long. */
  function edge(i, at, [mx, my], length) {
    if (!Number.isFinite(length) || Math.abs(length) < 2) return "";
    const [x, y] = i % 2 ? [X(mx), Y(at)] : [X(at), Y(my)];
    const [ex, ey] = i % 2 ? [x, y - length] : [x + length, y];
    const back = Math.sign(length) * 6;
    const tips = i % 2 ? [[ex - 4, ey + back], [ex + 4, ey + back]] : [[ex - back, ey - 4], [ex - back, ey + 4]];
    return `M${x} ${y}L${ex} ${ey}M${tips[0].join(" ")}L${ex} ${ey}L${tips[1].join(" ")}`;
  }
  const { tell, fresh } = teller(live, host);
  const ask = latest(async () => {
    const found = await call(spec.loss, { boxes1: [placed[0]], boxes2: [placed[1]], ...settings(), gradient: NAMES });
    answer = { ms: found.ms, loss: Number(found.loss.mean), gradient: Object.fromEntries(NAMES.map((name) => [name, numbers(found.gradient.mean[name])[0]])) };
    draw();
  }, tell);
  new ResizeObserver(() => answer && draw()).observe(host);
  onSlide(ask);
  ask();
}
