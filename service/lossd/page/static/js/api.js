// The service, and numbers as it writes and as people read them.

/** Where the service stands: pages also work behind a proxy that serves it under a path. */
export const root = new URL(document.documentElement.dataset.root, location.href);
export const origin = root.href.replace(/\/$/, "");

/** What the service refused: `errors` names each error and its place. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `status ${status}`);
    this.status = status;
    this.errors = problem.errors ?? [];
  }
}

/** The request or its answer got lost: the server is gone, or something before it answered in its place. */
const lost = () => new Error("The server does not answer.");

/** Parts of a text, in which the names between backticks are code. */
export const prose = (text) => text.split("`").map((part, i) => (i % 2 ? make("code", { textContent: part }) : part));

/** Return what shows an error in its place; `parts`, which it leaves as they were, are pale until `fresh` is called. */
export function teller(place, ...parts) {
  const tell = (error) => {
    place.replaceChildren(...prose(error.message));
    for (const part of parts) part.classList.add("stale");
  };
  const fresh = () => parts.forEach((part) => part.classList.remove("stale"));
  return { tell, fresh };
}

// A key lives in this variable alone, until the page is closed.
let key = "";
let asking = null;
function askForKey(refused) {
  asking ??= new Promise((resolve) => {
    const dialog = document.querySelector("dialog.access");
    dialog.querySelector(".refused").hidden = !refused;
    dialog.querySelector("form").onsubmit = () => {
      key = dialog.querySelector("input").value;
      dialog.querySelector("input").value = "";
    };
    dialog.onclose = () => {
      asking = null;
      resolve();
    };
    dialog.showModal();
  });
  return asking;
}

/** Send a request; where the server asks for a key, ask for it, unless `quiet`, and send the request again. */
export async function request(path, { quiet = false, ...options } = {}) {
  for (;;) {
    const sent = key;
    const headers = { ...options.headers, ...(sent && { Authorization: `Bearer ${sent}` }) };
    const response = await fetch(new URL(path, root), { ...options, headers }).catch((error) => {
      throw error.name === "AbortError" ? error : lost();
    });
    if (response.status !== 401 || quiet) return response;
    if (sent === key) {
      key = "";
      await askForKey(Boolean(sent));
      if (!key) throw new Refused(401, await response.json());
    }
  }
}

export async function post(path, body, signal, quiet = false) {
  const start = performance.now();
  const response = await request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
    quiet,
  });
  const answer = await response.json().catch((error) => {
    throw error.name === "AbortError" ? error : lost();
  });
  if (!response.ok) throw new Refused(response.status, answer);
  // The browser's own timing of the request, free of what else the page was doing; its log is short, so empty it.
  const timing = performance.getEntriesByName(response.url).at(-1);
  performance.clearResourceTimings();
  return { ...answer, ms: timing ? timing.responseEnd - timing.requestStart : performance.now() - start };
}

export const call = (name, body, signal, quiet) => post(`v1/losses/${name}`, body, signal, quiet);

/** A place, or a message that names places, of a batch of one as of its call: without the call's own place. */
const inCall = (text) => text.replace(/(^|- at `)calls\[0\]\./g, "$1");

/**
 * A call with what a person typed. It goes as a batch of one, whose status is 200 also where the call is refused: browsers
 * log every other status as an error of the page, which a number being typed is not.
 */
export async function attempt(name, body, signal) {
  try {
    const { results, ms } = await post("v1/batch", { calls: [{ ...body, loss: name }] }, signal);
    const { status, answer, problem } = results[0];
    if (problem) throw new Refused(status, problem);
    return { ...answer, ms };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    // The batch as a whole may be refused too, as for its size.
    error.message = inCall(error.message);
    error.errors = error.errors.map((each) => ({ ...each, at: inCall(each.at) }));
    throw error;
  }
}

/** JSON has no NaN and no infinity: the service writes them as strings, and `Number` reads those. */
export const numbers = (value) => (Array.isArray(value) ? value.map(numbers) : Number(value));

const DIGITS = 4;
const MORE_DIGITS = 7;
const FEW_DIGITS = 2; // so few are left of four by chance once in a hundred numbers

/**
 * Four significant digits and a true minus sign; seven where four would look exact and are not: 999999.5 is not 1e6.
 * `shown` in `lossd/page/numbers.py` is the same.
 */
export function show(x) {
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  if (x === 0) return "0";
  const short = rounded(x, DIGITS);
  const looksExact = short.replace(/e.*|\D/g, "").replace(/^0+|0+$/g, "").length <= FEW_DIGITS;
  return (looksExact ? rounded(x, MORE_DIGITS) : short).replaceAll("-", "−");
}

function rounded(x, digits) {
  const size = Math.abs(x);
  const plain = String(Number(x.toPrecision(digits)));
  const power = x.toExponential(digits - 1).replace(/\.?0*e/, "e").replace("+", "");
  return size < 1e-4 || (size >= 1e5 && (size >= 10 ** digits || power.length < plain.length)) ? power : plain;
}

/** The class that shades a cell: sign, and magnitude in nine steps. */
export function shade(x, largest) {
  if (!Number.isFinite(x) || !x || !largest) return "";
  return `${x < 0 ? "neg" : "pos"} m${Math.max(1, Math.ceil((9 * Math.abs(x)) / largest))}`;
}

/**
 * One request in flight, and only the latest wish waits. A slider that moves sixty times a second then asks
 * exactly as often as the service answers: nothing queues, nothing arrives out of order, no delay is guessed.
 */
export function latest(work, onError = (error) => console.warn(String(error))) {
  let busy = false;
  let next = null;
  return async function ask(...wish) {
    next = wish;
    if (busy) return;
    busy = true;
    while (next) {
      const now = next;
      next = null;
      try {
        await work(...now);
      } catch (error) {
        onError(error);
      }
    }
    busy = false;
  };
}

/** An element with properties and children. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}
