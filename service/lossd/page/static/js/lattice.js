// Scores of symbols over time, and beside them what the labels make of them: the posterior of each symbol at each step.
import { attempt, latest, make, numbers, show, teller } from "./api.js";
import { shape } from "./arrays.js";

export default function lattice(host, spec, { settings, onSlide, read, live, hint }) {
  const { argument, labels, aligned, start, low, high } = spec;
  const nested = shape(start[argument]).length === 3;
  const scores = structuredClone(nested ? start[argument][0] : start[argument]);
  let chosen = [start[labels]].flat(Infinity);
  const [steps, symbols] = [scores.length, scores[0].length];

  const field = make("input", { value: chosen.join(" "), autocomplete: "off", spellcheck: false, size: 12 });
  const asked = make("label", { className: "labels" }, make("span", { textContent: labels }), field);
  field.oninput = () => {
    const typed = field.value.split(/[\s,]+/).filter(Boolean).map(Number); // none is a word too: every step blank
    if (typed.every(Number.isInteger)) {
      chosen = typed;
      ask();
    }
  };
  const grids = [argument, "posterior"].map((name, editable) => {
    const table = make("table", { className: "grid" }, make("caption", { textContent: name }));
    table.createTHead().insertRow().append(make("td"), ...scores.map((_, t) => make("th", { scope: "col", textContent: t })));
    const body = table.createTBody();
    const cells = Array.from({ length: symbols }, (_, c) => {
      const line = body.insertRow();
      line.append(make("th", { scope: "row", textContent: c }));
      return scores.map((_, t) => (editable === 0 ? slider(line.insertCell(), t, c) : line.insertCell()));
    });
    return { table, cells };
  });
  host.append(asked, ...grids.map(({ table }) => table));
  hint("Drag a score up or down, or focus it and use the arrow keys. Rows are symbols, columns are steps; the posterior is how likely each symbol is at each step, given the labels.");

  function slider(cell, t, c) {
    Object.assign(cell, { tabIndex: 0, role: "slider", ariaLabel: `score of symbol ${c} at step ${t}`, ariaValueMin: low, ariaValueMax: high });
    const set = (value) => {
      scores[t][c] = Number(Math.max(low, Math.min(high, value)).toFixed(2));
      ask();
    };
    cell.onkeydown = (event) => {
      const by = { ArrowUp: 0.25, ArrowRight: 0.25, ArrowDown: -0.25, ArrowLeft: -0.25 }[event.key];
      if (!by) return;
      event.preventDefault();
      set(scores[t][c] + by);
    };
    cell.onpointerdown = (event) => {
      event.preventDefault();
      cell.focus({ focusVisible: false });
      cell.setPointerCapture(event.pointerId);
      const [from, value] = [event.clientY, scores[t][c]];
      cell.onpointermove = ({ clientY }) => set(value + (from - clientY) / 24);
      cell.onpointerup = () => (cell.onpointermove = null);
    };
    return cell;
  }

  function body() {
    const sent = { ...start, [argument]: nested ? [scores] : scores, ...settings(), gradient: [argument], reduction: ["sum"] };
    sent[labels] = nested ? [chosen] : chosen;
    if ("target_lengths" in start) sent.target_lengths = chosen.length;
    return sent;
  }
  const { tell, fresh } = teller(live, host);
  const ask = latest(
    async () => {
      const answer = await attempt(spec.loss, body());
      const slopes = numbers(answer.gradient.sum[argument]);
      const gradient = nested ? slopes[0] : slopes;
      scores.forEach((row, t) => {
        const top = Math.max(...row);
        const total = row.reduce((sum, score) => sum + Math.exp(score - top), 0);
        row.forEach((score, c) => {
          // The gradient is what the scores alone say less what the labels add: softmax - posterior, or marginal - label.
          const alone = aligned ? Number(chosen[t] === c) : Math.exp(score - top) / total;
          const posterior = aligned ? alone + gradient[t][c] : alone - gradient[t][c];
          const [own, told] = [grids[0].cells[c][t], grids[1].cells[c][t]];
          own.textContent = show(score);
          own.ariaValueNow = score;
          own.className = aligned && chosen[t] === c ? "true" : "";
          told.textContent = show(Number(Math.max(0, posterior).toFixed(3)));
          told.className = `ink m${Math.max(1, Math.min(9, Math.ceil(9 * posterior)))}${aligned && chosen[t] === c ? " true" : ""}`;
        });
      });
      read("value", "loss").textContent = show(Number(answer.loss.sum));
      live.textContent = `answered in ${answer.ms.toFixed(1)} ms`;
      fresh();
    },
    tell,
  );
  onSlide(ask);
  ask();
}
