// Plots: a few hundred points as SVG paths, drawn at the size of their box, coloured by the style sheet.
import { show } from "./api.js";

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Round numbers between `low` and `high`, about `count` of them, and two at least: one alone tells no scale. */
export function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const steps = [1, 2, 5, 10].map((k) => k * power);
  const wanted = steps.findIndex((step) => step >= rough * 0.99);
  return steps.slice(0, wanted + 1).map((step) => multiples(low, high, step)).findLast(({ length }) => length > 1);
}

function multiples(low, high, step) {
  const found = [];
  for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + step * 1e-9; t += step) found.push(Number(t.toPrecision(9)));
  return found;
}

/** A path; what is not finite lifts the pen, what is far out of range is cut off. */
export function path(xs, ys, X, Y, [low, high]) {
  const far = 2 * (high - low);
  let d = "";
  let pen = "M";
  for (let i = 0; i < xs.length; i++) {
    if (!Number.isFinite(ys[i])) pen = "M";
    else {
      d += pen + X(xs[i]).toFixed(1) + " " + Y(Math.min(Math.max(ys[i], low - far), high + far)).toFixed(1);
      pen = "L";
    }
  }
  return d;
}

/**
 * Panels under each other that share their x axis and their cross-hair.
 *
 * `update({x, xLabel, panels: [{key, name, y, height, tangent, lines: [{cls, xs, ys}]}], at})` draws; pointing and
 * the arrow keys move `at` and call `onMove`. The figure is one slider to the keyboard and to a screen reader.
 */
export class Plot {
  constructor(host, { label, onMove, say, left = 48, right = 20 }) {
    Object.assign(this, { host, label, onMove, say, left, right, state: null });
    this.root = svg("svg", { class: "plot" });
    if (onMove) {
      this.root.setAttribute("tabindex", "0");
      this.root.setAttribute("role", "slider");
      this.root.setAttribute("aria-label", label);
      const point = (event) => {
        const box = this.root.getBoundingClientRect();
        const { x } = this.state;
        const share = (event.clientX - box.left - this.left) / (box.width - this.left - this.right);
        this.move(x[0] + Math.min(1, Math.max(0, share)) * (x[1] - x[0]));
      };
      this.root.onpointermove = (event) => this.state && point(event);
      this.root.onpointerdown = (event) => this.state && point(event);
      this.root.onkeydown = (event) => {
        const { x, at } = this.state;
        const step = ((x[1] - x[0]) / 80) * (event.shiftKey ? 5 : 1);
        const to = { ArrowRight: at + step, ArrowUp: at + step, ArrowLeft: at - step, ArrowDown: at - step, Home: x[0], End: x[1] }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        this.move(Math.min(x[1], Math.max(x[0], to)));
      };
    } else {
      this.root.setAttribute("role", "img");
      this.root.setAttribute("aria-label", label);
    }
    new ResizeObserver(() => this.state && this.draw()).observe(host);
  }

  move(at) {
    this.state.at = at;
    this.cross();
    this.onMove(at);
  }

  update(state) {
    this.state = { at: this.state?.at, ...state };
    this.draw();
  }

  draw() {
    const { x, xLabel, panels } = this.state;
    const width = this.host.clientWidth;
    if (!width) return;
    const { left, right } = this;
    const X = (this.X = (v) => left + ((v - x[0]) / (x[1] - x[0])) * (width - left - right));
    let top = 0;
    const parts = [];
    this.layout = panels.map((panel) => {
      const above = panel.name ? 30 : 14;
      const [low, high] = panel.y;
      const bottom = top + panel.height;
      const Y = (v) => bottom - 6 - ((v - low) / (high - low)) * (panel.height - above - 6);
      const id = `clip-${this.label.replace(/\W/g, "")}-${panel.key}`;
      const clip = svg("clipPath", { id }, svg("rect", { x: left, y: top + above - 8, width: width - left - right, height: panel.height - above + 10 }));
      parts.push(clip);
      for (const t of ticks(low, high, Math.max(2, panel.height / 48))) {
        parts.push(svg("line", { class: t === 0 ? "zero" : "grid", x1: left, x2: width - right, y1: Y(t), y2: Y(t) }));
        parts.push(svg("text", { x: left - 9, y: Y(t) + 4, "text-anchor": "end" }, panel.format?.(t) ?? show(t)));
      }
      for (const t of ticks(x[0], x[1], Math.max(4, width / 90))) {
        parts.push(svg("line", { class: t === 0 ? "zero" : "grid", x1: X(t), x2: X(t), y1: top + above - 6, y2: bottom }));
      }
      if (panel.name) parts.push(svg("text", { class: `name ${panel.key}`, x: left, y: top + 17 }, panel.name));
      const body = svg("g", { "clip-path": `url(#${id})` });
      for (const { cls, xs, ys } of panel.lines) body.append(svg("path", { class: cls, d: path(xs, ys, X, Y, panel.y) }));
      const over = svg("g", { "clip-path": `url(#${id})` });
      parts.push(body, over);
      if (panel.ends) parts.push(...ends(panel, Y, width - right + 5));
      const place = { panel, X, Y, over, top: top + above - 6, bottom, left, right: width - right };
      top = bottom;
      return place;
    });
    for (const t of ticks(x[0], x[1], Math.max(4, width / 90))) parts.push(svg("text", { x: X(t), y: top + 18, "text-anchor": "middle" }, show(t)));
    parts.push(svg("text", { x: width - right, y: top + 38, "text-anchor": "end" }, xLabel));
    this.overlay = svg("g");
    parts.push(this.overlay);
    this.root.setAttribute("viewBox", `0 0 ${width} ${top + 48}`);
    this.root.setAttribute("height", top + 48);
    this.root.replaceChildren(...parts);
    if (!this.root.isConnected) this.host.replaceChildren(this.root); // until then stands what the page came with
    this.cross();
    this.after?.(this.layout);
  }

  cross() {
    const { at, x } = this.state;
    if (at === undefined || !this.layout) return;
    const column = this.X(at);
    this.overlay.replaceChildren(svg("line", { class: "cross", x1: column, x2: column, y1: this.layout[0].top, y2: this.layout.at(-1).bottom }));
    for (const { panel, X, Y, over } of this.layout) {
      over.replaceChildren();
      for (const { cls, xs, ys, quiet } of panel.lines) {
        if (quiet) continue;
        const i = nearest(xs, at);
        if (!Number.isFinite(ys[i])) continue;
        if (panel.tangent) {
          // The gradient is the slope of the curve: the tangent is drawn with the slope that the service gave.
          const slope = panel.tangent[i];
          const reach = (0.17 * (x[1] - x[0])) / Math.hypot(1, (slope * (Y(0) - Y(1))) / (X(1) - X(0)));
          over.append(svg("line", { class: "tangent", x1: X(xs[i] - reach), x2: X(xs[i] + reach), y1: Y(ys[i] - slope * reach), y2: Y(ys[i] + slope * reach) }));
        }
        over.append(svg("circle", { class: cls.replace("line", "dot"), cx: X(xs[i]), cy: Y(ys[i]), r: 5.5 }));
      }
    }
    if (this.onMove) {
      this.root.setAttribute("aria-valuemin", x[0]);
      this.root.setAttribute("aria-valuemax", x[1]);
      this.root.setAttribute("aria-valuenow", Number(at.toFixed(3)));
      if (this.say) this.root.setAttribute("aria-valuetext", this.say(at));
    }
  }
}

const NAME_HEIGHT = 14; // pixels
const LEAD = 24;

/**
 * Names at the right ends of the lines. Each hangs on its line by a piece of it, in its colour and dashes, so that
 * lines that end together are told apart; a line that leaves the panel is named where it left.
 */
function ends({ lines, y: [low, high] }, Y, x) {
  const named = lines.map(({ name, cls, ys }) => ({ name, cls, end: Y(Math.min(high, Math.max(low, ys.at(-1)))) })).sort((a, b) => a.end - b.end);
  const places = apart(named.map(({ end }) => end), Y(high), Y(low));
  return named.flatMap(({ name, cls, end }, i) => [
    svg("path", { class: `${cls} lead`, d: `M${x - 5} ${end}L${x + 4} ${places[i]}H${x + LEAD}` }),
    svg("text", { class: "end", x: x + LEAD + 5, y: places[i] + 4 }, name),
  ]);
}

/**
 * The places nearest to `wanted`, which ascend, that leave a name's height between each other: least squares, by
 * pooling neighbours that are too near (isotonic regression of `wanted[i] - i * NAME_HEIGHT`).
 */
function apart(wanted, top, bottom) {
  const pools = [];
  wanted.forEach((place, i) => {
    let pool = { mean: place - i * NAME_HEIGHT, count: 1 };
    while (pools.length && pools.at(-1).mean > pool.mean) {
      const above = pools.pop();
      const count = above.count + pool.count;
      pool = { mean: (above.mean * above.count + pool.mean * pool.count) / count, count };
    }
    pools.push(pool);
  });
  const lowest = bottom - (wanted.length - 1) * NAME_HEIGHT;
  return pools.flatMap(({ mean, count }) => Array(count).fill(Math.max(top, Math.min(lowest, mean)))).map((place, i) => place + i * NAME_HEIGHT);
}

/** The index of the sample next to `at`, for samples evenly spaced: what is read out is what was computed. */
export const nearest = (xs, at) =>
  Math.min(xs.length - 1, Math.max(0, Math.round(((at - xs[0]) / (xs.at(-1) - xs[0])) * (xs.length - 1))));
