// Arrays from the clipboard and from files: JSON, what NumPy and pandas print, spreadsheets, CSV, .npy and .npz.

/** What was typed: a number, a word that JSON has no number for, or else as it is, for the service to refuse. */
export function cell(text) {
  const word = text.trim().replace("−", "-");
  if (/^[-+]?(inf|infinity|∞)$/i.test(word)) return word.startsWith("-") ? "-Infinity" : "Infinity";
  if (/^nan$/i.test(word)) return "NaN";
  if (/^(true|false)$/i.test(word)) return /^true$/i.test(word);
  return word !== "" && Number.isFinite(Number(word)) ? Number(word) : word;
}

/** What was typed into a setting: a list, or else as a cell is. */
export function typed(text) {
  if (!text.trim().startsWith("[")) return cell(text);
  try {
    return JSON.parse(text);
  } catch {
    return text; // still being typed: for the service to refuse
  }
}

/**
 * What was typed into an array, among its other cells. Where those are booleans, 0 and 1 are such too; what is of another
 * kind than they are goes as text: the service then names this cell, not the others that differ from it.
 */
export function cellAmong(text, others) {
  const value = cell(text);
  const kinds = new Set(others.map((other) => typeof other));
  if (kinds.has("boolean") && !kinds.has("number")) return value === 0 || value === 1 ? value === 1 : typeof value === "boolean" ? value : text;
  return kinds.has("number") && !kinds.has("boolean") && typeof value === "boolean" ? text : value;
}

const isNumber = (value) => typeof value !== "string" || /^(-?Infinity|NaN)$/.test(value);

/** An array from text. */
export function parse(text) {
  if (text.trim().startsWith("{")) return JSON.parse(text);
  if (text.includes("[")) {
    const inner = text.slice(text.indexOf("["), text.lastIndexOf("]") + 1).replace(/\bnan\b/gi, '"NaN"').replace(/(-?)\binf\b/gi, '"$1Infinity"').replace(/\bTrue\b/g, "true").replace(/\bFalse\b/g, "false");
    return JSON.parse(inner.replace(/(\d)\.(?=[\s,\]])/g, "$1.0").replace(/([\d"\]e])\s+(?=[-\d"[tf])/g, "$1, "));
  }
  let rows = text.trim().split(/\r?\n/).map((line) => line.trim().split(/\s*[\t,;]\s*|\s+/).map(cell));
  // pandas: a line of column names, and an index in front of every row.
  const headed = rows.length > 1 && !rows[0].every(isNumber);
  if (headed) {
    const header = rows[0];
    rows = rows.slice(1);
    if (rows.every((row) => row.length === header.length + 1)) rows = rows.map((row) => row.slice(1));
  }
  rows = rows.filter((row) => !/^(Name|dtype|Length):/.test(String(row[0])));
  return rows.every((row) => row.length === 1) ? rows.flat() : rows.length === 1 ? rows[0] : rows;
}

const READERS = {
  f8: [8, (view, at, little) => view.getFloat64(at, little)],
  f4: [4, (view, at, little) => view.getFloat32(at, little)],
  i8: [8, (view, at, little) => Number(view.getBigInt64(at, little))],
  i4: [4, (view, at, little) => view.getInt32(at, little)],
  i2: [2, (view, at, little) => view.getInt16(at, little)],
  i1: [1, (view, at) => view.getInt8(at)],
  u8: [8, (view, at, little) => Number(view.getBigUint64(at, little))],
  u4: [4, (view, at, little) => view.getUint32(at, little)],
  u2: [2, (view, at, little) => view.getUint16(at, little)],
  u1: [1, (view, at) => view.getUint8(at)],
  b1: [1, (view, at) => view.getUint8(at) !== 0],
};

const written = (x) => (typeof x === "boolean" || Number.isFinite(x) ? x : Number.isNaN(x) ? "NaN" : x > 0 ? "Infinity" : "-Infinity");

/** An array as NumPy saves one. */
export function readNpy(buffer) {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  if (String.fromCharCode(...bytes.slice(1, 6)) !== "NUMPY") throw new Error("not a .npy file");
  const long = bytes[6] > 1;
  const start = (long ? 12 : 10) + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder().decode(bytes.slice(long ? 12 : 10, start));
  const [, order, kind] = header.match(/'descr': '([<>|=])(\w+)'/) ?? [];
  const [size, read] = READERS[kind] ?? [];
  if (!read) throw new Error(`a .npy file of type ${kind ?? header.slice(0, 40)} is not read here`);
  const shape = header.match(/'shape': \(([^)]*)\)/)[1].split(",").filter((part) => part.trim()).map(Number);
  const backwards = header.includes("'fortran_order': True");
  const count = shape.reduce((a, b) => a * b, 1);
  const values = Array.from({ length: count }, (_, i) => written(read(view, start + i * size, order !== ">")));
  const steps = shape.map((_, axis) => (backwards ? shape.slice(0, axis) : shape.slice(axis + 1)).reduce((a, b) => a * b, 1));
  const nest = (axis, at) => (axis === shape.length ? values[at] : Array.from({ length: shape[axis] }, (_, i) => nest(axis + 1, at + i * steps[axis])));
  return nest(0, 0);
}

/** Every array of a .npz file by its name. */
async function readNpz(buffer) {
  const view = new DataView(buffer);
  let end = buffer.byteLength - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) throw new Error("not a .npz file");
  const found = {};
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    const [method, packed] = [view.getUint16(at + 10, true), view.getUint32(at + 20, true)];
    const [name, extra, comment] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const label = new TextDecoder().decode(new Uint8Array(buffer, at + 46, name));
    const local = view.getUint32(at + 42, true);
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    const body = buffer.slice(start, start + packed);
    const plain = method === 0 ? body : await new Response(new Blob([body]).stream().pipeThrough(new DecompressionStream("deflate-raw"))).arrayBuffer();
    found[label.replace(/\.npy$/, "")] = readNpy(plain);
    at += 46 + name + extra + comment;
  }
  return found;
}

/** Arrays of a file by name; a file of one array has it under the name "". */
export async function readFile(file) {
  if (file.name.endsWith(".npz")) return readNpz(await file.arrayBuffer());
  if (file.name.endsWith(".npy")) return { "": readNpy(await file.arrayBuffer()) };
  const found = parse(await file.text());
  if (![found].flat(Infinity).every(isNumber)) throw new Error("expected numbers, or a .npy, .npz, .csv or .json file of them");
  return { "": found };
}
