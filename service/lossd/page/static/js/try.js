// Try: arrays as sheets in brackets, the answer beside them, the error in its cell, the call in the address.
import { attempt, flat, latest, make, numbers, prose, Refused, request, shade, shape, show } from "./api.js";
import { cell, parse, readFile } from "./files.js";
import { copy } from "./shell.js";
import { GENERAL, snippets } from "./snippets.js";

const $ = (selector) => document.querySelector(selector);
const which = $("#which");
const [sheets, options, answerList, problem, tools] = ["sheets", "options", "answer", "problem", "tools"].map((name) => $(`[data-${name}]`));
const known = new Map();
let loss; // the catalogue's entry
let losses = 1; // of the last answer, unreduced
let state; // the call as the reader wrote it: what the address holds and what "copy as curl" says

const entry = async (name) => {
  if (known.has(name)) return known.get(name);
  const response = await request(`v1/losses/${encodeURIComponent(name)}`);
  const found = await response.json();
  if (!response.ok) throw new Refused(response.status, found);
  known.set(name, found);
  return found;
};
const rowsOf = (value) => (Array.isArray(value) ? value : [value]).map((row) => (Array.isArray(row) ? row : [row]));
const LARGEST_SHEET = 400;
const isSheet = (value) => shape(value).length <= 2 && flat(value).length <= LARGEST_SHEET;
const argumentsOf = () => [...loss.arguments, ...GENERAL.map((name) => ({ name }))].filter(({ name }) => name in state);
/** A value for each unreduced loss: 1, or true. */
const likeLosses = (value, of) => (Array.isArray(of) ? of.map((part) => likeLosses(value, part)) : value);

function sheet(label, value, shaded) {
  if (flat(value).length > 4 * LARGEST_SHEET || shape(value).length > 2) {
    const text = JSON.stringify(value).slice(0, 4000);
    return make("figure", { className: "array" }, make("figcaption", { textContent: label }), make("textarea", { value: text, readOnly: true, ariaLabel: label }));
  }
  const largest = shaded ? Math.max(...flat(value).map(Number).filter(Number.isFinite).map(Math.abs), 0) : 0;
  const body = make("table");
  for (const row of rowsOf(value)) {
    const line = body.insertRow();
    for (const x of row) Object.assign(line.insertCell(), { className: shaded ? shade(Number(x), largest) : "", textContent: show(Number(x)) });
  }
  return make("figure", { className: "array" }, make("figcaption", { textContent: label }), make("div", { className: "brackets" }, body));
}

function editor(name) {
  const value = state[name];
  const figure = make("figure", { className: "array" }, make("figcaption", { textContent: name }));
  figure.dataset.argument = name;
  figure.ondragover = (event) => event.preventDefault();
  figure.ondrop = async (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (!file) return;
    try {
      const found = await readFile(file);
      const named = Object.entries(found).filter(([key]) => loss.arguments.some((argument) => argument.name === key));
      // Arrays under the names of arguments go to those; one without a name goes where it was dropped.
      if (named.length) for (const [key, array] of named) state[key] = array;
      else state[name] = Object.values(found)[0];
      draw();
      changed();
    } catch (error) {
      say(`${file.name} does not read as an array: ${error.message}`);
    }
  };
  if (!isSheet(value)) {
    const area = make("textarea", { value: JSON.stringify(value), ariaLabel: name, spellcheck: false });
    area.oninput = () => {
      try {
        state[name] = parse(area.value);
      } catch {
        state[name] = area.value;
      }
      changed();
    };
    figure.append(area);
    return figure;
  }
  const depth = shape(value).length;
  const body = make("table");
  rowsOf(value).forEach((row, r) => {
    const line = body.insertRow();
    row.forEach((x, c) => {
      const place = [r, c].slice(0, depth);
      const input = make("input", {
        value: typeof x === "number" ? String(x) : x,
        autocomplete: "off",
        spellcheck: false,
        ariaLabel: [name, depth > 0 && `row ${r}`, depth > 1 && `column ${c}`].filter(Boolean).join(", "),
      });
      input.dataset.at = name + place.map((i) => `[${i}]`).join("");
      input.oninput = () => {
        if (depth === 0) state[name] = cell(input.value);
        else if (depth === 1) state[name][r] = cell(input.value);
        else state[name][r][c] = cell(input.value);
        changed();
      };
      input.onpaste = (event) => {
        const text = event.clipboardData.getData("text");
        if (!/[[\t\n,]/.test(text.trim())) return;
        event.preventDefault();
        try {
          state[name] = parse(text);
          draw();
          changed();
        } catch {
          say(`That does not read as an array: ${text.slice(0, 60)}`);
        }
      };
      input.onkeydown = (event) => {
        const step = { ArrowDown: 1, Enter: 1, ArrowUp: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        body.rows[r + step]?.cells[c].firstChild.focus();
      };
      line.insertCell().append(input);
    });
  });
  figure.append(make("div", { className: "brackets" }, body));
  return figure;
}

/** One more or one less along an axis, for every array that is as long there as the first one. */
function resize(axis, by) {
  const size = shape(state[argumentsOf()[0].name])[axis];
  if (size + by < 1) return;
  const change = (list) => (by > 0 ? [...list, structuredClone(list.at(-1))] : list.slice(0, -1));
  for (const { name } of argumentsOf()) {
    if (shape(state[name])[axis] !== size) continue;
    state[name] = axis ? state[name].map(change) : change(state[name]);
  }
  draw();
  changed();
}

function stepper(noun, axis) {
  const button = (text, by) => make("button", { type: "button", textContent: text, ariaLabel: `${by > 0 ? "add a" : "remove the last"} ${noun}`, onclick: () => resize(axis, by) });
  return make("span", { className: "stepper" }, `${noun}s`, button("−", -1), button("+", 1));
}

function draw() {
  sheets.replaceChildren(...argumentsOf().map(({ name }) => editor(name)), make("span", { className: "maps", ariaHidden: "true", textContent: "→" }), make("div", { className: "sheets equation results", role: "group", ariaLabel: "Answer" }));
  const first = shape(state[argumentsOf()[0].name]);
  tools.replaceChildren();
  if (first.length && first.length <= 2) tools.append(...["row", "column"].slice(0, first.length).map(stepper));
  for (const argument of loss.arguments.filter(({ optional }) => optional)) {
    const { name } = argument;
    const add = make("button", { type: "button", className: "link", textContent: name in state ? `without ${name}` : `with ${name}` });
    add.onclick = () => {
      if (name in state) delete state[name];
      else {
        const like = state[loss.arguments[0].name] ?? state[argumentsOf()[0].name];
        state[name] = argument.shape === "(C)" ? rowsOf(like)[0].map(() => 1) : numbers(like).map((row) => (Array.isArray(row) ? row.map(() => 1) : 1));
      }
      draw();
      changed();
    };
    tools.append(add);
  }
  for (const [name, value] of [["sample_weight", 1], ["mask", true]]) {
    const onclick = () => {
      if (name in state) delete state[name];
      else state[name] = likeLosses(value, losses);
      draw();
      changed();
    };
    const button = make("button", { type: "button", className: "link", textContent: name in state ? `without ${name}` : `with ${name}`, onclick });
    button.dataset.at = `with-${name}`;
    tools.append(described(button, button, loss.options[name].description));
  }
  tools.append(make("button", { type: "button", className: "link", textContent: "back to the example", onclick: () => open(loss.name) }));
}

/** The words that a schema lets choose from; an absent one is empty. */
function wordsOf(schema) {
  if (schema.enum) return schema.enum;
  const one = schema.anyOf?.find(({ enum: words, const: word }) => words || word);
  return one && ["", ...(one.enum ?? [one.const])];
}

/** Show what a control means while the pointer or the focus rests on it; Escape puts it away until either comes back. */
function described(host, control, text = "") {
  const tip = make("span", { className: "tip", role: "tooltip", id: `tip-${control.dataset.at}`, textContent: text.replaceAll("`", "") });
  control.setAttribute("aria-describedby", tip.id);
  const box = make("div", { className: "tipped" }, host, tip);
  box.onkeydown = ({ key }) => (tip.hidden = key === "Escape");
  box.onpointerenter = control.onfocus = () => {
    tip.hidden = false;
    tip.style.translate = "0";
    const beyond = tip.getBoundingClientRect().right + 16 - document.documentElement.clientWidth;
    if (beyond > 0) tip.style.translate = `${-beyond}px`;
  };
  return box;
}

function field(name, schema, special) {
  const value = state[name] ?? schema.default ?? "";
  const change = (input) => {
    const next = /^[[]/.test(input.value) ? parse(input.value) : input.type === "checkbox" ? input.checked : input.tagName === "SELECT" ? cell(input.value) : Array.isArray(value) ? parse(input.value) : cell(input.value);
    if (next === schema.default || next === "") delete state[name];
    else state[name] = next;
    changed();
  };
  let input;
  const words = special ?? wordsOf(schema);
  if (words) {
    input = make("select", {}, ...words.map((x) => make("option", { textContent: x, value: x, selected: x === value })));
  } else if (schema.type === "boolean" || schema.anyOf?.[0]?.type === "boolean") {
    input = make("input", { type: "checkbox", checked: value === true });
  } else {
    input = make("input", { type: "text", value: Array.isArray(value) ? JSON.stringify(value) : String(value ?? "") });
  }
  input.oninput = () => change(input);
  input.dataset.at = name;
  const label = make("label");
  if (input.type === "checkbox") {
    label.className = "check";
    label.append(input, name);
  } else label.append(make("span", { textContent: name }), input);
  return described(label, input, schema.description);
}

function drawOptions() {
  const { reduction, ...rest } = loss.options;
  const simple = ["hessian", "broadcast", "check_finite", "check_target", "empty", "convention", "dtype", "denominator", "axis"];
  const chosen = simple.filter((name) => name in rest);
  options.replaceChildren(
    ...Object.entries(loss.settings).map(([name, schema]) => field(name, schema)),
    field("reduction", { default: "mean", description: reduction.description }, ["mean", "sum", "none", "batchmean", "weighted_mean"]),
    ...chosen.map((name) => field(name, rest[name])),
  );
}

function say(text, errors = []) {
  problem.hidden = !text;
  problem.replaceChildren(...prose(text));
  for (const old of document.querySelectorAll("[aria-invalid]")) old.removeAttribute("aria-invalid");
  for (const old of document.querySelectorAll(".wrong")) old.classList.remove("wrong");
  if (!errors.length) return;
  problem.replaceChildren(...errors.flatMap(({ at, expected, got }) => [make("b", { textContent: at }), ...prose(` should be ${expected}; it is ${got}. `)]));
  for (const { at } of errors) {
    // `target[3]` names a cell, `target` a whole array, `delta` a setting: each has its element.
    const place = document.querySelector(`[data-at="${CSS.escape(at)}"]`);
    place?.setAttribute("aria-invalid", "true");
    place?.scrollIntoView({ block: "nearest", inline: "nearest" });
    document.querySelector(`[data-argument="${CSS.escape(at.split("[")[0])}"]`)?.classList.add("wrong");
  }
}

const SLOW = 400; // milliseconds after which a request is seen to take long
const waiting = $("[data-waiting]");
const ask = latest(async () => {
  const results = $(".results");
  const stop = new AbortController();
  const start = performance.now();
  const timer = setInterval(() => {
    waiting.hidden = performance.now() - start < SLOW;
    waiting.querySelector("span").textContent = `${((performance.now() - start) / 1000).toFixed(1)} s`;
  }, SLOW / 4);
  $("[data-stop]").onclick = () => stop.abort();
  try {
    // Beside the reduction that was chosen, each row's own loss, and their sum.
    const chosen = state.reduction ?? "mean";
    const answer = await attempt(loss.name, { ...state, gradient: true, reduction: [...new Set(["none", chosen, "sum"])] }, stop.signal);
    say("");
    losses = answer.loss.none;
    const names = Object.keys(answer.gradient[chosen]);
    const news = answered?.loss !== loss.name;
    answered = { loss: loss.name, names };
    if (news) write();
    const many = Object.keys(answer.gradient[chosen]).length > 1;
    results.replaceChildren(
      sheet("loss", answer.loss.none),
      ...Object.entries(answer.gradient[chosen]).map(([name, value]) => sheet(many ? `∂ ${name}` : "gradient", value, true)),
      ...(answer.hessian ? Object.values(answer.hessian[chosen]).map((value) => sheet("curvature", value, true)) : []),
    );
    for (const part of [results, answerList]) part.classList.remove("stale");
    const rows = { ...(chosen === "none" ? {} : { [chosen]: answer.loss[chosen] }), sum: answer.loss.sum, count: answer.count, denominator: answer.denominator, took: `${answer.ms.toFixed(1)} ms` };
    answerList.replaceChildren(
      ...Object.entries(rows).map(([name, value]) => make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: typeof value === "string" && value.endsWith("ms") ? value : show(Number(value)) }))),
    );
  } catch (error) {
    for (const part of [results, answerList]) part.classList.add("stale");
    if (!results.children.length) answerList.replaceChildren(); // it belongs to arrays that are gone
    if (error.name === "AbortError") say("Stopped. Change a number to send it again.");
    else if (error instanceof Refused) say(error.message, error.errors.filter(({ at }) => at));
    else say(error.message);
  } finally {
    clearInterval(timer);
    waiting.hidden = true;
  }
});

function changed() {
  const text = JSON.stringify(state);
  history.replaceState(null, "", `#${loss.name}=${encodeURIComponent(text)}`);
  write();
  ask();
}

const write = latest(async () => {
  const code = await snippets({ ...loss, gradient: gradients() }, state);
  for (const [language, text] of Object.entries(code)) $(`[data-code="${language}"]`).textContent = text;
});

/** The arguments that the loss's source differentiates: those of the last answer, or the first that can be. */
let answered = null;
const gradients = () => (answered?.loss === loss.name ? answered.names : [loss.picture.argument]);

async function open(name, body) {
  try {
    loss = await entry(name);
  } catch (error) {
    which.value = loss?.name ?? "";
    return say(error.message);
  }
  which.value = loss.name;
  state = body ?? {};
  // An address without arrays has the example's.
  if (!argumentsOf().length) state = { ...structuredClone(loss.example.request), gradient: true, ...body };
  $("[data-family]").replaceChildren(make("a", { href: `losses/${loss.name}`, textContent: `About ${loss.name}` }));
  document.title = `Try ${loss.name} · lossd`;
  draw();
  drawOptions();
  changed();
}

function fromAddress() {
  const [, name = "huber", text] = location.hash.match(/^#([^=]+)(?:=(.*))?$/) ?? [];
  try {
    const body = JSON.parse(decodeURIComponent(text ?? "{}"));
    open(decodeURIComponent(name), body instanceof Object && !Array.isArray(body) ? body : {});
  } catch {
    open("huber");
  }
}
which.onchange = () => open(which.value);
options.onsubmit = (event) => event.preventDefault();
addEventListener("hashchange", fromAddress);
$("[data-copy-link]").onclick = (event) => copy(event.target, location.href);
fromAddress();
