// Arrays of Try: those of a call as cells to edit, those of an answer as cells to read.
import { make, shade, show } from "./api.js";
import { flat, isComplex, paired, shape } from "./arrays.js";
import { cellAmong, parse, readFile, readingOf } from "./files.js";

const LARGEST_SHEET = 400;
const LONGEST_TEXT = 4000; // characters
const rowsOf = (value) => (Array.isArray(value) ? value : [value]).map((row) => (Array.isArray(row) ? row : [row]));
const isSheet = (value) => !flat(value).some((x) => x instanceof Object) && shape(value).length <= 2 && flat(value).length <= LARGEST_SHEET;

const shown = (x) => (isComplex(x) ? `${show(Number(x.real))} ${Number(x.imag) < 0 ? "−" : "+"} ${show(Math.abs(Number(x.imag)))}i` : show(Number(x)));
const spelled = (x) => (Array.isArray(x) ? `[${x.map(spelled).join(", ")}]` : isComplex(x) ? `${x.real}+${x.imag}i` : String(x));

/** An array of an answer. */
export function sheet(label, value, shaded) {
  const array = paired(value);
  if (flat(array).length > 4 * LARGEST_SHEET || shape(array).length > 2) return longText(label, array);
  const largest = shaded ? Math.max(...flat(array).map(Number).filter(Number.isFinite).map(Math.abs), 0) : 0;
  const body = make("table");
  for (const row of rowsOf(array)) {
    const line = body.insertRow();
    for (const x of row) Object.assign(line.insertCell(), { className: shaded ? shade(Number(x), largest) : "", textContent: shown(x) });
  }
  return figure(label, make("div", { className: "brackets" }, body));
}

/** An array that is no sheet, as text that ends behind a number; the caption says how many it shows. */
function longText(label, array) {
  const whole = spelled(array);
  if (whole.length <= LONGEST_TEXT) return figure(label, make("textarea", { value: whole, readOnly: true, ariaLabel: label }));
  const text = whole.slice(0, whole.lastIndexOf(",", LONGEST_TEXT));
  const caption = `${label}: the first ${text.split(",").length} of ${flat(array).length} numbers`;
  return figure(caption, make("textarea", { value: `${text}, …`, readOnly: true, ariaLabel: caption }));
}

const figure = (caption, ...parts) => make("figure", { className: "array" }, make("figcaption", { textContent: caption }), ...parts);

/**
 * An array of a call. `put` takes its new value as it is typed, `replace` the new values of arrays by name, to be drawn anew;
 * `say` tells what does not read as an array.
 */
export function editor(name, value, { put, replace, say }) {
  const editing = figure(name, isSheet(value) ? cells(name, value, { put, replace, say }) : area(name, value, put));
  editing.dataset.argument = name;
  if (readingOf(value)) editing.append(make("p", { className: "reading", textContent: readingOf(value) }));
  editing.ondragover = (event) => event.preventDefault();
  editing.ondrop = async (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (!file) return;
    try {
      replace(await readFile(file), name);
    } catch (error) {
      say(`${file.name} does not read as an array: ${error.message}`);
    }
  };
  return editing;
}

function area(name, value, put) {
  const text = make("textarea", { value: JSON.stringify(value), ariaLabel: name, spellcheck: false });
  text.dataset.at = name;
  text.oninput = () => {
    try {
      put(parse(text.value));
    } catch {
      put(text.value);
    }
  };
  return text;
}

function cells(name, value, { put, replace, say }) {
  const depth = shape(value).length;
  const body = make("table");
  const paste = (event) => {
    const text = event.clipboardData.getData("text");
    if (!/[[{\t\n,]/.test(text.trim())) return;
    event.preventDefault();
    try {
      replace({ "": parse(text) }, name);
    } catch (error) {
      say(`That does not read as an array: ${error.message}`);
    }
  };
  rowsOf(value).forEach((row, r) => {
    const line = body.insertRow();
    row.forEach((x, c) => {
      const input = make("input", {
        value: typeof x === "number" ? String(x) : x,
        autocomplete: "off",
        spellcheck: false,
        ariaLabel: [name, depth > 0 && `row ${r}`, depth > 1 && `column ${c}`].filter(Boolean).join(", "),
        onpaste: paste,
      });
      input.dataset.at = name + [r, c].slice(0, depth).map((i) => `[${i}]`).join("");
      input.oninput = () => {
        const others = rowsOf(value).flatMap((other, i) => other.filter((_, j) => i !== r || j !== c));
        const typed = cellAmong(input.value, others);
        if (depth === 1) value[r] = typed;
        if (depth === 2) value[r][c] = typed;
        put(depth ? value : typed);
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
  return make("div", { className: "brackets" }, body);
}
