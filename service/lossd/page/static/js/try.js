// Try: arrays as sheets in brackets, the answer beside them, the error in its cell, the call in the address.
import { attempt, latest, make, prose, Refused, request, show } from "./api.js";
import { asked, asWritten, shownOf } from "./answers.js";
import { GENERAL, steppers, toggles } from "./changes.js";
import { described, field } from "./options.js";
import { editor, sheet } from "./sheets.js";
import { copy } from "./shell.js";
import { snippets } from "./snippets.js";

const $ = (selector) => document.querySelector(selector);
const which = $("#which");
const [sheets, options, answerList, problem, tools] = ["sheets", "options", "answer", "problem", "tools"].map((name) => $(`[data-${name}]`));
const known = new Map();
let loss; // the catalogue's entry
let losses = null; // of the last answer, unreduced, if it had them
let state; // the call as the reader wrote it: what the address holds and what "copy as curl" says

const entry = async (name) => {
  if (known.has(name)) return known.get(name);
  const response = await request(`v1/losses/${encodeURIComponent(name)}`);
  const found = await response.json();
  if (!response.ok) throw new Refused(response.status, found);
  known.set(name, found);
  return found;
};
const arraysOf = () => {
  const more = Object.keys(state).filter((name) => name === "group" || name.startsWith("hvp."));
  return [...loss.arguments.map(({ name }) => name), ...GENERAL, ...more].filter((name) => name in state);
};

/** Take arrays by name, as a file has them; one without a name of the call's goes to `name`. */
function replace(found, name) {
  const known = [...loss.arguments.map((argument) => argument.name), ...GENERAL];
  const named = Object.entries(found).filter(([key]) => known.includes(key));
  for (const [key, array] of named) state[key] = array;
  if (!named.length) state[name] = Object.values(found)[0];
  draw();
  changed();
}

const edited = (name) => {
  const put = (value) => {
    state[name] = value;
    changed();
  };
  return editor(name, state[name], { put, replace, say });
};

/** A button that goes on to another call; without one it stands still. */
function button(properties, at, next) {
  const onclick = () => {
    state = next();
    draw();
    changed();
  };
  const made = make("button", { type: "button", disabled: !next, onclick, ...properties });
  made.dataset.at = at;
  return made;
}

function stepper({ noun, remove, add }) {
  const less = button({ textContent: "−", ariaLabel: `remove the last ${noun}` }, `remove-${noun}`, remove);
  const more = button({ textContent: "+", ariaLabel: `add a ${noun}` }, `add-${noun}`, add);
  return make("span", { className: "stepper" }, `${noun}s`, less, more);
}

function toggle({ name, text, next }) {
  const made = button({ className: "link", textContent: text }, `with-${name}`, next);
  const meaning = loss.options[name]?.description;
  return meaning ? described(made, made, meaning) : made;
}

function draw() {
  const focused = document.activeElement?.dataset.at;
  sheets.replaceChildren(...arraysOf().map(edited), make("span", { className: "maps", ariaHidden: "true", textContent: "→" }), make("div", { className: "sheets equation results", role: "group", ariaLabel: "Answer" }));
  const again = make("button", { type: "button", className: "link", textContent: "back to the example", onclick: () => open(loss.name) });
  tools.replaceChildren(...steppers(loss, state).map(stepper), ...toggles(loss, state, () => losses).map(toggle), again);
  // The buttons are new ones: the focus stays where it was, or beside it.
  const same = focused && tools.querySelector(`[data-at="${CSS.escape(focused)}"]`);
  (same?.disabled ? same.nextElementSibling : same)?.focus();
}

const OPTIONS = ["hessian", "broadcast", "check_finite", "check_target", "empty", "convention", "dtype", "denominator", "axis"];
const REDUCTIONS = ["mean", "sum", "none", "batchmean", "weighted_mean"];

function drawOptions() {
  const own = { ...loss.settings, reduction: { enum: REDUCTIONS, default: "mean", description: loss.options.reduction.description } };
  const general = OPTIONS.filter((name) => name in loss.options).map((name) => [name, loss.options[name]]);
  options.replaceChildren(
    ...[...Object.entries(own), ...general].map(([name, schema]) =>
      field(name, schema, state[name], (value) => {
        if (value === undefined) delete state[name];
        else state[name] = value;
        changed();
      }),
    ),
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
    const answer = await attempt(loss.name, asked(state), stop.signal).catch((error) => {
      throw asWritten(error, state);
    });
    say((answer.warnings ?? []).join(" "));
    losses = answer.loss.none ?? null;
    const { arrays, numbers } = shownOf(answer, state);
    const news = answered?.loss !== loss.name;
    answered = { loss: loss.name, names: Object.keys(Object.values(answer.gradient)[0]) };
    if (news) write();
    results.replaceChildren(...arrays.map(({ label, value, shaded }) => sheet(label, value, shaded)));
    for (const part of [results, answerList]) part.classList.remove("stale");
    const rows = [...numbers.map(({ label, value }) => [label, show(Number(value))]), ["took", `${answer.ms.toFixed(1)} ms`]];
    answerList.replaceChildren(...rows.map(([name, text]) => make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: text }))));
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
  losses = null;
  state = body ?? {};
  // An address without arrays has the example's.
  if (!arraysOf().length) state = { ...structuredClone(loss.example.request), gradient: true, ...body };
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
