// A row of numbers beside their gradients: logits, scores, pixels, risks, values of steps.
import { attempt, latest, make, numbers, show, teller } from "./api.js";
import { shape } from "./arrays.js";

export default function bars(host, spec, { settings, onSlide, read, live, hint }) {
  const { argument, low, high, columns, ranked, each, start } = spec;
  const nested = shape(start[argument]).length === 2;
  const row = (value) => (nested ? value[0] : value);
  const wrap = (value) => (nested ? [value] : value);
  const one = columns.find(({ control }) => control === "one");
  const others = columns.filter((column) => column !== one);
  const zero = (100 * Math.min(Math.max(0 - low, 0), high - low)) / (high - low);
  const extra = others.length + Number(ranked) + Number(each);
  host.style.setProperty("--extra", Math.max(extra, 0));
  host.classList.toggle("plain", !extra);
  host.classList.toggle("many", extra > 3);

  const head = make("div", { className: "head" }, ...["", argument, ""].map((textContent) => make("span", { textContent })));
  // What is neither the number nor its gradient has a line of its own where the page is narrow, and its name there.
  const names = [...(ranked ? ["rank"] : []), ...others.map(({ name }) => name), ...(each ? ["loss"] : [])];
  const more = (cells) => (cells.length ? [make("span", { className: "more" }, ...cells)] : []);
  const cell = (name, content) => {
    const found = make("span", { className: "n" }, content);
    found.dataset.name = name;
    return found;
  };
  head.append(...more(names.map((textContent) => make("span", { className: "n", textContent }))));
  head.append(make("span", { textContent: "gradient" }), make("span"));
  host.append(head);

  const places = row(start[argument]).map((number, i) => {
    const box = make("div", { className: "class" });
    const label = make(one ? "label" : "span", { className: "which" });
    const chosen = make("input", { type: "radio", name: "one", value: i, checked: one && flatIndex(start[one.name]) === i, ariaLabel: `${one?.name} is ${i}` });
    label.append(...(one ? [chosen] : []), String(i));
    const range = make("input", { type: "range", min: low, max: high, step: high - low > 2 ? 0.025 : 0.005, value: number, ariaLabel: `${argument} ${i}` });
    const said = make("span", { className: "n" });
    const rank = make("span");
    const fields = others.map(({ name, control }) => fieldOf(name, control, start[name], row, i));
    const own = make("span");
    const bar = make("i");
    const slope = make("span", { className: "n" });
    const extras = [...(ranked ? [rank] : []), ...fields, ...(each ? [own] : [])];
    box.append(label, range, said, ...more(extras.map((content, k) => cell(names[k], content))), make("span", { className: "meter" }, bar), slope);
    host.append(box);
    return { chosen, range, said, rank, fields, own, bar, slope };
  });
  hint(`Drag a bar, or focus it and use the arrow keys.${one ? " The ring marks the true one; choose another." : ""} A gradient to the right means: less would be better.`);

  function body() {
    const sent = { ...start, [argument]: wrap(places.map(({ range }) => range.valueAsNumber)) };
    if (one) sent[one.name] = [places.findIndex(({ chosen }) => chosen.checked)];
    others.forEach(({ name, control }, k) => {
      const values = places.map(({ fields }) => (fields[k].type === "checkbox" ? fields[k].checked : fields[k].valueAsNumber));
      if (control === "set") {
        const named = values.flatMap((yes, i) => (yes ? [i] : []));
        sent[name] = [values.map((_, i) => named[i] ?? -1)];
      } else if (control === "yes") {
        sent[name] = wrap(typeof flatIndex(start[name]) === "boolean" ? values : values.map(Number));
      } else sent[name] = wrap(values);
    });
    return { ...sent, ...settings(), gradient: [argument], reduction: ["none", "mean"] };
  }

  let largest = 1e-9;
  const { tell, fresh } = teller(live, host);
  const ask = latest(async () => {
    const answer = await attempt(spec.loss, body());
    const gradient = row(numbers(answer.gradient.mean[argument]));
    const values = each ? numbers(answer.loss.none).flat() : [];
    largest = Math.max(largest, ...gradient.filter(Number.isFinite).map(Math.abs));
    read("value", "loss").textContent = show(Number(answer.loss.mean));
    read("gradient", "gradients sum to").textContent = show(Number(gradient.reduce((a, b) => a + b).toFixed(12)));
    fresh();
    live.textContent = `answered in ${answer.ms.toFixed(1)} ms`;
    places.forEach(({ slope, bar, own }, i) => {
      const share = Number.isFinite(gradient[i]) ? gradient[i] / largest : 0;
      slope.textContent = show(gradient[i]);
      bar.className = gradient[i] < 0 ? "neg" : "pos";
      bar.style.setProperty("--left", `${50 + Math.min(0, share) * 50}%`);
      bar.style.setProperty("--width", `${Math.abs(share) * 50}%`);
      if (each) own.textContent = show(values[i]);
    });
  }, tell);

  const paint = () => {
    const scores = places.map(({ range }) => range.valueAsNumber);
    places.forEach(({ range, said, rank }, i) => {
      // The thumb's centre runs from 10px to width - 10px; the bar meets it there.
      const share = (100 * (range.valueAsNumber - low)) / (high - low);
      const at = (percent) => `calc(10px + (100% - 20px) * ${percent / 100})`;
      range.style.setProperty("--from", at(Math.min(zero, share)));
      range.style.setProperty("--to", at(Math.max(zero, share)));
      said.textContent = show(Number(range.valueAsNumber.toFixed(4)));
      rank.textContent = 1 + scores.filter((score, j) => score > scores[i] || (score === scores[i] && j < i)).length;
    });
    ask();
  };
  host.addEventListener("input", paint);
  onSlide(ask);
  paint();
}

const flatIndex = (value) => [value].flat(Infinity)[0];

function fieldOf(name, control, value, row, i) {
  if (control === "set") return make("input", { type: "checkbox", checked: listed(row(value)).includes(i), ariaLabel: `${name} has ${i}` });
  const own = row(value)[i];
  if (control === "yes") return make("input", { type: "checkbox", checked: Boolean(own), ariaLabel: `${name} ${i}` });
  return make("input", { type: "number", step: "any", value: own, ariaLabel: `${name} ${i}` });
}

/** The classes in front of the first -1. */
const listed = (row) => row.slice(0, row.includes(-1) ? row.indexOf(-1) : row.length);
