// Arrays from text: what NumPy, pandas, Python and JSON write in brackets, and tables of CSV, spreadsheets and pandas.
// Text that can mean two arrays is refused, or how it was read is kept with the array: nothing is guessed without a word.

const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;
const WORDS = [
  [/^\+?(inf|infinity|∞)$/i, "Infinity"],
  [/^-(inf|infinity|∞)$/i, "-Infinity"],
  [/^nan$/i, "NaN"],
  [/^true$/i, true],
  [/^false$/i, false],
];
const DECIMAL_COMMA = /^([-+]?\d*),(\d+(e[-+]?\d+)?)$/i;
const MISSING = /^(#.*|n\/?a|null|none|nil|missing)$/i; // what programs write for no number, which names no column

const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const shortened = (text) => (text.length > 40 ? `${text.slice(0, 40)}…` : text);
const quoted = (word) => (word === "" ? "an empty cell" : `"${shortened(word)}"`);
const refuse = (expected, got, at) => {
  throw new Error(`expected ${expected}, got ${got} - at ${at}`);
};

/** The number that a word is, or the string that stands for it in JSON; undefined if it is none. */
function numberOf(text) {
  const word = text.trim().replace(/^[−–]/, "-");
  if (NUMBER.test(word)) return Number.isFinite(Number(word)) ? Number(word) : undefined;
  return WORDS.find(([pattern]) => pattern.test(word))?.[1];
}

/** What was typed: a number, a word that JSON has no number for, or else as it is, for the service to refuse. */
export const cell = (text) => numberOf(text) ?? text.trim();

const readings = new WeakMap();

/** How an array was read: its shape, and what was left out; empty for one that was not read from text or a file. */
export const readingOf = (array) => readings.get(array) ?? "";

/** Keep with an array how it was read. */
export function keepReading(array, ...notes) {
  if (Array.isArray(array)) readings.set(array, [sizeOf(array), ...notes].join("; "));
  return array;
}

function sizeOf(array) {
  const sizes = [];
  for (let part = array; Array.isArray(part); part = part[0]) sizes.push(part.length);
  const even = (part, [size, ...rest]) => (size === undefined ? !Array.isArray(part) : part.length === size && part.every((each) => even(each, rest)));
  if (sizes.length === 1) return plural(sizes[0], "number");
  if (!even(array, sizes)) return `${plural(sizes[0], "row")} of unequal lengths`;
  return sizes.length === 2 ? `${plural(sizes[0], "row")} × ${plural(sizes[1], "column")}` : sizes.join(" × ");
}

/** An array from text. What does not read as one is refused with its place: rows and columns of a table count from 1. */
export function parse(text) {
  if (text.trim().startsWith("{")) return JSON.parse(text); // base64, or complex parts
  const bare = text.replace(/^\uFEFF/, "").replace(/\s*\n\[\d+ rows x \d+ columns\]\s*$/, ""); // the end of a long DataFrame
  return bare.includes("[") ? parseBrackets(bare) : parseTable(bare);
}

// --- Brackets ---

// A call around numbers, as of `array(` and `np.float64(`, says nothing more; nor does `dtype=float32`.
const TOKEN = /[A-Za-z_][\w.]*\(|\)|,?\s*[A-Za-z_]\w*=[^,\])]+|"[^"]*"|'[^']*'|[[\],]|[^\s[\],()"']+/g;
const SAYS_NOTHING = /\($|^\)$|=/;

/** Nested lists, their numbers between commas or spaces. */
function parseBrackets(text) {
  const open = [];
  let last = "["; // what stood before, without spaces
  let whole;
  const place = () => open.map((list) => `[${list.length}]`).join("");
  for (const [token] of text.slice(text.indexOf("[")).matchAll(TOKEN)) {
    if (SAYS_NOTHING.test(token)) continue;
    if (whole && /[[\d]/.test(token)) refuse("one array", `more behind it, ${quoted(token)}`, "its end");
    if (whole) continue;
    if (token === "[") open.push([]);
    else if (token === "]") {
      const list = open.pop();
      if (open.length) open.at(-1).push(list);
      else whole = list;
    } else if (token !== ",") open.at(-1).push(numberOf(token.replace(/^(["'])(.*)\1$/, "$2")) ?? refuseWord(token, place()));
    else if (last === "," || last === "[") refuse("a number", "a comma", place());
    last = token;
  }
  if (!whole) refuse("a closing bracket", "the end of the text", place());
  return keepReading(whole);
}

const refuseWord = (word, at) => refuse("a number", /^(\.\.\.|…)$/.test(word) ? '"...": print the array whole' : quoted(word), at);

// --- Tables ---

// What stands between cells, surest first: beside a tab or a semicolon, a comma is a decimal comma.
const SEPARATORS = ["\t", ";", ","];
const SERIES = /\r?\n((Freq|Name|Length): [^\n]*)?dtype: \S+\s*$/; // the last line of one as pandas prints it

/** Rows of cells, with their numbers in the text. */
function rowsOf(text, separator) {
  const between = new RegExp(`${separator}(?:\\s*"[^"]*"\\s*(?=${separator}|$)|[^${separator}]*)`, "g");
  // With a separator in front of the line, each cell begins with one.
  const cellsOf = (line) => (separator ? (separator + line).match(between).map((part) => part.slice(1)) : line.trim().split(/\s+/)).map((part) => part.trim().replace(/^"(.*)"$/, "$1").trim());
  const rows = text.split(/\r\n?|\n/).map((line, i) => ({ row: i + 1, line, cells: cellsOf(line) }));
  const filled = rows.map(({ line }) => line.trim() !== "");
  return rows.slice(filled.indexOf(true), filled.lastIndexOf(true) + 1);
}

/** Whether a row names columns: none of its cells is a number, nor like one (`1%`, `$1`), nor stands for a missing one. */
function namesColumns({ cells }) {
  const names = (word) => word === "" || (numberOf(word) === undefined && !MISSING.test(word) && /^[\p{L}_]|^\D*$/u.test(word));
  return cells.every(names) && cells.some((word) => /\p{L}/u.test(word));
}

const counts = (cells) => cells.length > 0 && cells.every((word, i) => word === String(i));

/** How many rows are a header, and how many columns an index; names that are numbers, as pandas gives, count from 0. */
function frameOf(rows, separator, series) {
  const first = rows[0].cells;
  const body = rows.findIndex((row) => !namesColumns(row));
  const header = rows.slice(0, Math.max(body, 0));
  if (header.length) {
    const [names, width] = [header[0].cells, rows[body].cells.length];
    // pandas prints names to the right of an index, and a name may have spaces.
    const printed = !separator && /^\s/.test(header[0].line) && !/^\s/.test(rows[body].line);
    if (printed) return { header: header.length, index: 1, names: names.length === width - 1 ? names : [header[0].line.trim().replace(/\s{2,}/g, ", ")] };
    if (!separator && names.length !== width && names.length !== width - 1) refuse(`${width} names of columns`, names.length, `row ${header[0].row}`);
    if (separator && names.length !== width) refuse(`${width} names of columns`, names.length, `row ${header[0].row}`);
    return { header: header.length, index: separator ? names.findIndex(Boolean) : Number(names.length === width - 1), names: names.filter(Boolean) };
  }
  const longer = rows.length > 1 && rows.slice(1).every(({ cells }) => cells.length === first.length + 1);
  const counted = separator ? rows.length > 1 && first[0] === "" && counts(first.slice(1)) : longer && (counts(first) || /^\s/.test(rows[0].line));
  return counted ? { header: 1, index: 1, names: first.filter(Boolean) } : { header: 0, index: Number(series && first.length === 2), names: [] };
}

function parseTable(text) {
  const series = SERIES.test(text);
  const bare = text.replace(SERIES, "");
  const separator = SEPARATORS.find((each) => bare.includes(each)) ?? "";
  const rows = rowsOf(bare, separator);
  if (!rows.length) refuse("numbers", "an empty text", "row 1");
  const { header, index, names } = frameOf(rows, separator, series);
  const body = rows.slice(header);
  const width = body[0].cells.length;
  for (const { row, cells } of body) if (cells.length !== width) refuse(plural(width, "column"), cells.length, `row ${row}`);
  const comma = decimalComma(body, index, separator);
  const values = body.map(({ row, cells }) =>
    cells.slice(index).map((word, c) => numberOf(comma ? word.replace(DECIMAL_COMMA, "$1.$2") : word) ?? refuseWord(word, `row ${row}, column ${c + index + 1}`)),
  );
  return keepReading(
    values.length === 1 || width - index === 1 ? values.flat() : values,
    ...(header ? [`header left out: ${shortened(names.join(", "))}`] : []),
    ...(index ? ["index left out"] : []),
    ...(comma ? [`decimal commas: ${comma} is ${comma.replace(",", ".")}`] : []),
    ...(!header && mayBeDecimal(body, separator) ? ["commas separate columns (write decimals with a point)"] : []),
  );
}

/** The first cell with a decimal comma, if any; a table that has decimal points too is refused. */
function decimalComma(body, index, separator) {
  if (separator !== "\t" && separator !== ";") return undefined;
  const placed = body.flatMap(({ row, cells }) => cells.slice(index).map((word, c) => ({ word, at: `row ${row}, column ${c + index + 1}` })));
  const comma = placed.find(({ word }) => DECIMAL_COMMA.test(word));
  const point = placed.find(({ word }) => word.includes(".") && numberOf(word) !== undefined);
  if (comma && point) refuse("decimal commas or decimal points", `both, ${quoted(comma.word)} and ${quoted(point.word)}`, comma.at);
  return comma?.word;
}

/** Whether every comma between columns could as well be a decimal comma. */
const mayBeDecimal = (body, separator) => separator === "," && body.every(({ line, cells }) => cells.length % 2 === 0 && /^\s*[-+]?\d+(, ?[-+]?\d+(e[-+]?\d+)?)+\s*$/i.test(line));
