// Vectors in the plane: drag them, and each shows the step that descent would take it.
import { call, latest, numbers, show, teller } from "./api.js";
import { besidePoints } from "./labels.js";
import { svg } from "./plot.js";

const HEIGHT = 420;
const KINDS = ["anchor", "positive", "negative"];
const MARGIN = 1.35;
const NARROW = 480; // pixels, in which coordinates beside the names run into arrows

export default function plane(host, spec, { settings, onSlide, read, live, hint }) {
  const { start, vectors, labels, rays } = spec;
  const points = vectors.flatMap((vector, v) =>
    start[vector].map(([x, y], i) => {
      const label = v === 0 && labels ? start[labels][i] : labels && vectors.length > 1 ? i : undefined;
      const kind = label === undefined ? KINDS[v % 3] : ["anchor", "negative", "third"][label % 3];
      const name = label === undefined ? (start[vector].length > 1 ? `${vector} ${i}` : vector) : String(label);
      return { vector, index: i, x, y, cls: v && labels ? `${kind} hollow` : kind, name, said: `${vector} ${i}` };
    }),
  );
  const reach = MARGIN * Math.max(...points.map(({ x, y }) => Math.max(Math.abs(y), Math.abs(x) / 1.6)));
  const root = svg("svg", { class: "plot", height: HEIGHT, role: "group", "aria-label": "Vectors to drag" });
  host.replaceChildren(root);
  const size = () => Math.min(HEIGHT / (2 * reach), host.clientWidth / (3.2 * reach)); // pixels of one unit, both ways
  const under = svg("g");
  const parts = points.map((point) => {
    const arrow = svg("path", { class: "arrow" });
    const dot = svg("circle", { class: `point ${point.cls}`, r: 9, tabindex: 0, role: "slider", "aria-label": point.said, "aria-orientation": "vertical", "aria-valuemin": -reach, "aria-valuemax": reach });
    const name = svg("text", { class: "end" }, point.name);
    const move = (x, y) => {
      const wide = host.clientWidth / 2 / size() - 0.3;
      Object.assign(point, { x: Number(Math.max(-wide, Math.min(wide, x)).toFixed(2)), y: Number(Math.max(-reach, Math.min(reach, y)).toFixed(2)) });
      ask();
    };
    dot.onkeydown = (event) => {
      const step = reach / 36;
      const by = { ArrowUp: [0, step], ArrowDown: [0, -step], ArrowLeft: [-step, 0], ArrowRight: [step, 0] }[event.key];
      if (!by) return;
      event.preventDefault();
      move(point.x + by[0], point.y + by[1]);
    };
    dot.onpointerdown = (event) => {
      event.preventDefault();
      dot.focus({ focusVisible: false });
      dot.setPointerCapture(event.pointerId);
      dot.onpointermove = ({ clientX, clientY }) => {
        const box = root.getBoundingClientRect();
        move((clientX - box.left - box.width / 2) / size(), (box.top + HEIGHT / 2 - clientY) / size());
      };
      dot.onpointerup = () => (dot.onpointermove = null);
    };
    return { point, arrow, dot, name };
  });
  const axes = svg("path", { class: "cross" });
  root.append(axes, under, ...parts.flatMap(({ arrow, dot, name }) => [arrow, dot, name]));
  hint("Drag a point, or focus it and use the arrow keys. An arrow is minus the gradient: the way descent would take the point.");

  const arrayOf = (vector) => points.filter((point) => point.vector === vector).map(({ x, y }) => [x, y]);
  const body = () => ({
    ...start,
    ...Object.fromEntries(vectors.map((vector) => [vector, arrayOf(vector)])),
    ...settings(),
    gradient: vectors,
  });

  let answer;
  let largest = 1e-9;
  function draw() {
    const unit = size();
    const [middle, width] = [host.clientWidth / 2, host.clientWidth];
    const X = (x) => middle + x * unit;
    const Y = (y) => HEIGHT / 2 - y * unit;
    root.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    axes.setAttribute("d", `M0 ${HEIGHT / 2}H${width}M${middle} 0V${HEIGHT}`);
    const slopes = points.map(({ vector, index }) => answer.gradient.mean[vector][index].map((g) => (Number.isFinite(g) ? g : 0)));
    const longest = Math.max(...slopes.map(([x, y]) => Math.hypot(x, y)));
    // The longest arrow seen so far is a sixth of the height: a gradient that fades is seen to fade.
    largest = Math.max(largest, longest);
    const scale = HEIGHT / 6 / unit / largest;
    const line = (cls, a, b) => svg("line", { class: cls, x1: X(a.x), y1: Y(a.y), x2: X(b.x), y2: Y(b.y) });
    const zero = { x: 0, y: 0 };
    const drawn = [];
    const ties = rays
      ? points.map((point) => line(point.cls.includes("hollow") ? "tie apart" : "tie", zero, point))
      : points
          .filter(({ vector }) => vector !== vectors[0])
          .map((point) => line(point.vector === "negative" ? "tie apart" : "tie", points.find((p) => p.vector === vectors[0] && p.index === point.index), point));
    under.replaceChildren(...ties);
    drawn.push(...ties.map((tie) => Object.fromEntries(["x1", "y1", "x2", "y2"].map((end) => [end, Number(tie.getAttribute(end))]))));
    parts.forEach(({ point, arrow, dot }, i) => {
      const [dx, dy] = slopes[i].map((g) => -g * scale * unit);
      const [x, y] = [X(point.x), Y(point.y)];
      const length = Math.hypot(dx, dy);
      const [ux, uy] = length ? [dx / length, dy / length] : [0, 0];
      const [sx, sy] = [x + ux * 11, y - uy * 11];
      const [ex, ey] = [sx + dx, sy - dy];
      const tip = (side) => `${ex - 7 * ux + side * 4.5 * uy} ${ey + 7 * uy + side * 4.5 * ux}`;
      arrow.setAttribute("d", length > 1 ? `M${sx} ${sy}L${ex} ${ey}M${tip(1)}L${ex} ${ey}L${tip(-1)}` : "");
      dot.setAttribute("cx", x);
      dot.setAttribute("cy", y);
      dot.setAttribute("aria-valuenow", point.y);
      dot.setAttribute("aria-valuetext", `${point.x}, ${point.y}; gradient ${slopes[i].map(show).join(", ")}`);
      if (length > 1) drawn.push({ x1: sx, y1: sy, x2: ex, y2: ey });
    });
    // A word says where its point is; numbers of many points would hide them.
    const texts = points.map(({ name, x, y }) => (vectors.length > 1 && !labels && width > NARROW ? `${name} (${show(x)}, ${show(y)})` : name));
    besidePoints(points.map(({ x, y }, i) => ({ x: X(x), y: Y(y), text: texts[i] })), drawn, width, HEIGHT).forEach(({ x, y }, i) => {
      parts[i].name.setAttribute("x", x);
      parts[i].name.setAttribute("y", y);
      parts[i].name.textContent = texts[i];
    });
    read("value", "loss").textContent = show(Number(answer.loss.mean));
    read("gradient", "longest gradient").textContent = show(longest);
    fresh();
    live.textContent = `answered in ${answer.ms.toFixed(1)} ms`;
  }
  const { tell, fresh } = teller(live, host);
  const ask = latest(async () => {
    const found = await call(spec.loss, body());
    for (const name in found.gradient.mean) found.gradient.mean[name] = numbers(found.gradient.mean[name]);
    answer = found;
    draw();
  }, tell);
  new ResizeObserver(() => answer && draw()).observe(host);
  onSlide(ask);
  ask();
}
