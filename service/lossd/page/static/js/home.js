// The front page: the live call, and the search.
import { call, latest, show } from "./api.js";
import { range, residual, sample } from "./curve.js";
import { nearest, Plot } from "./plot.js";

// Search: letters and digits only, so that BCEWithLogits, bce_with_logits and reg:squarederror are all found;
// of a dotted name like keras.losses.Huber the last part counts.
const input = document.querySelector("#q");
const plain = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
const last = (text) => text.split(/[./]/).pop();
const stem = (name) => name.replace(/loss$/, "") || name;
const items = [...document.querySelectorAll(".cards li")].map((item) => ({
  item,
  link: item.querySelector("a"),
  alias: item.querySelector(".alias code"),
  names: item.dataset.names.split(" "),
  plainNames: item.dataset.names.split(" ").map(plain),
  common: item.dataset.common.split(" "), // counts as a whole: "ce" is a part of many names
  words: [...item.dataset.text.split(/[^a-z0-9]+/), ...item.dataset.text.split(/\s+/).map(plain)],
}));
/** What names mean that no loss has, since they would mean another number. */
const explanations = [...document.querySelectorAll(".meant")].map((place) => ({
  place,
  names: place.dataset.names.split(" "),
  loss: items.find(({ names }) => names[0] === place.dataset.loss),
}));
let found = items;

/** How many letters may be wrong in a word: none in a short one, which would be near to anything. */
const slack = (word) => (word.length < 4 ? 0 : word.length < 8 ? 1 : 2);

/**
 * The least number of letters to add, leave out, change or swap with a neighbour that makes `word` a part of `text`
 * (Sellers' algorithm: an edit distance whose start and end in the text are free).
 */
function misspelt(word, text) {
  let before = [];
  let row = Array(text.length + 1).fill(0);
  for (let i = 1; i <= word.length; i++) {
    const next = [i];
    for (let j = 1; j <= text.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (word[i - 1] === text[j - 1] ? 0 : 1));
      if (i > 1 && j > 1 && word[i - 1] === text[j - 2] && word[i - 2] === text[j - 1]) next[j] = Math.min(next[j], before[j - 2] + 1);
    }
    [before, row] = [row, next];
  }
  return Math.min(...row);
}

/** How many letters are wrong in a query, were it meant for a loss; infinite if too many are. */
function wrongLetters(wanted, { plainNames, words }) {
  const wrong = wanted.map((word) => {
    const least = Math.min(...[...plainNames, ...words].map((text) => misspelt(word, text)));
    return least <= slack(word) ? least : Infinity;
  });
  return wrong.reduce((sum, each) => sum + each, 0);
}
const frameworks = [...document.querySelectorAll("#frameworks details")].map((details) => ({
  details,
  count: details.querySelector("small"),
  rows: [...details.querySelectorAll("tbody tr")].map((row) => {
    const [name, loss] = [row.cells[0].textContent, row.cells[1].textContent.trim()];
    return { row, loss, text: plain(`${details.dataset.framework} ${name} ${loss}`) };
  }),
}));

/**
 * Return the words of a query, the query as one name, the loss that people call so, if any, and what the name means that is
 * not offered. Arguments in parentheses matter where the name with them is another loss's.
 */
function readQuery(query) {
  const [, called, given = ""] = query.match(/^([^(]*)(\(.*)?$/s);
  const wanted = called.split(/\s+/).map((word) => plain(last(word) || word)).filter(Boolean);
  const commonly = (name) => items.find(({ common }) => name && common.includes(stem(name)));
  const [name, call] = [plain(last(called)), plain(last(called) + given)];
  const whole = commonly(call) ? call : name;
  const explained = whole === name ? explain(called.trim()) : undefined;
  return { wanted, whole, meant: commonly(whole) ?? explained?.loss, explained };
}

/** What a name means that is not offered; spelt otherwise it may be one that is. */
function explain(called) {
  const name = last(called);
  const alike = (each) => stem(plain(each)) === stem(plain(name));
  if (!plain(name) || items.some(({ names }) => names.includes(called))) return undefined;
  const exact = explanations.find(({ names }) => names.includes(name));
  if (exact) return { ...exact, name };
  if (items.some(({ plainNames }) => plainNames.includes(plain(name)) || plainNames.includes(plain(called)))) return undefined;
  const found = explanations.find(({ names }) => names.some(alike));
  return found && { ...found, name: found.names.find(alike) };
}

/** Return the losses that have every word: within a name, or at the start of a word of what is said of them; and the one meant. */
function matches({ wanted, meant }) {
  const has = ({ plainNames, words }) => (word) => plainNames.some((name) => name.includes(word)) || words.some((one) => one.startsWith(word));
  return items.filter((entry) => entry === meant || (wanted.length > 0 && wanted.every(has(entry))));
}

/** Return the losses that need the fewest corrections, were the query misspelt; none if all need too many. */
function corrections({ wanted }) {
  const wrong = items.map((entry) => wrongLetters(wanted, entry));
  const least = Math.min(...wrong);
  return items.filter((_, i) => wrong[i] === least && least < Infinity);
}

/** Show the cards of the losses found, each with the name that it was found by. */
function showCards(wanted, corrected) {
  const hits = corrected ? (word, name) => misspelt(word, name) <= slack(word) : (word, name) => name.includes(word);
  for (const entry of items) {
    const { item, alias, names } = entry;
    const fits = (name) => wanted.length > 0 && wanted.every((word) => hits(word, plain(name)));
    const ranked = names.filter(fits).sort((a, b) => a.length - b.length);
    item.hidden = !found.includes(entry);
    alias.textContent = ranked.find((name) => name !== names[0]) ?? names[1] ?? "";
    alias.classList.toggle("hit", ranked.length > 0);
  }
  for (const family of document.querySelectorAll(".family")) family.hidden = !family.querySelector("li:not([hidden])");
  document.querySelector(".none").hidden = found.length > 0;
}

/** Show the frameworks' names that `keep` accepts; `open` opens the frameworks that have some. */
function showFrameworks(keep, open) {
  for (const { details, count, rows } of frameworks) {
    for (const each of rows) each.row.hidden = !keep(each);
    const shown = rows.filter(({ row }) => !row.hidden).length;
    details.hidden = shown === 0;
    details.open = open && shown > 0;
    count.textContent = `${shown < rows.length ? `${shown} of ` : ""}${rows.length} name${rows.length > 1 ? "s" : ""}`;
  }
  document.querySelector("#frameworks").hidden = frameworks.every(({ details }) => details.hidden);
}

/** Show what the query finds, and return the loss that Enter opens. */
function search() {
  const text = input.value.trim();
  const query = readQuery(text);
  const { wanted, whole, meant, explained } = query;
  found = text ? matches(query) : items;
  // Only a query that finds nothing is read as misspelt.
  const spelt = found.length > 0;
  if (!spelt && wanted.length) found = corrections(query);
  const corrected = !spelt && found.length > 0;
  showCards(wanted, corrected);
  for (const { place } of explanations) place.hidden = place !== explained?.place;
  if (explained) explained.place.querySelector("code").textContent = explained.name;
  const named = new Set(found.map(({ names }) => names[0]));
  const hasAll = (row) => !text || row.loss === meant?.names[0] || (wanted.length > 0 && wanted.every((word) => row.text.includes(word)));
  showFrameworks(corrected ? ({ loss }) => named.has(loss) : hasAll, wanted.length > 0);
  const some = `${found.length} of ${items.length} losses${corrected ? ", spelt alike" : ""}`;
  document.querySelector("[data-count]").textContent = text ? some : `${items.length} losses`;
  return found.find(({ names }) => names.some((name) => plain(name) === whole)) ?? meant ?? found[0];
}
input.addEventListener("input", () => {
  search();
  if (input.value) document.querySelector("#catalogue").scrollIntoView({ block: "start" }); // what is found is in view
});
// Enter opens the loss of that name, else the first one found.
input.form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (input.value.trim()) search()?.link.click();
});
// The arrow keys go from the field to what was found, and back.
document.querySelector("#catalogue").addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const stops = [input, ...found.map(({ link }) => link)];
  const at = stops.indexOf(document.activeElement);
  if (!step || at < 0 || !stops[at + step]) return;
  event.preventDefault();
  stops[at + step].focus();
});
const asked = new URLSearchParams(location.search).get("q");
if (asked) {
  input.value = asked;
  search();
  document.querySelector("#catalogue").scrollIntoView();
}

// The live call, which the search does not wait for.
const xs = range(-4, 4);
const wire = (key) => document.querySelector(`[data-wire="${key}"]`);
const demo = document.querySelector(".demo .plots");

/** Show what the service answered, or why it did not. */
function report(status, note, value = "–", gradient = "–") {
  wire("status").textContent = status;
  wire("note").textContent = note;
  wire("value").textContent = value;
  wire("gradient").textContent = gradient;
}
const key = document.querySelector("[data-key]");
function refuse(error) {
  report(error.status ?? "", error.message);
  key.hidden = error.status !== 401;
}

// Nobody asked for the first curve, so it asks for no key: a button does, which makes the first call that needs one.
async function start(quiet) {
  const curve = await sample(residual("huber"), xs, {}, { quiet });
  key.hidden = true;
  // The curve is one call; each movement is another, and what it answers is what stands below the plot.
  const ask = latest(async (x) => {
    wire("x").textContent = x;
    const answer = await call("huber", { input: [x], target: [0], gradient: true });
    const [value, gradient] = [answer.loss.mean, answer.gradient.mean.input[0]].map((number) => Number(Number(number).toPrecision(6)));
    report(200, `in ${answer.ms.toFixed(1)} ms`, value, gradient);
  }, refuse);
  const onMove = (at) => ask(xs[nearest(xs, at)]);
  const say = (at) => {
    const i = nearest(xs, at);
    return `input ${show(xs[i])}, loss ${show(curve.value[i])}, gradient ${show(curve.gradient[i])}`;
  };
  const plot = new Plot(demo, { label: "huber loss with its tangent: move the input", onMove, say, left: 40, right: 18 });
  plot.update({
    x: [-4, 4],
    xLabel: "input, for a target of 0",
    at: 0.7,
    panels: [{ key: "value", height: 252, y: [-0.4, 3.7], tangent: curve.gradient, lines: [{ cls: "line value", xs, ys: curve.value }] }],
  });
  onMove(0.7);
}
key.onclick = () => start(false).catch(refuse);
start(true).catch(refuse);
