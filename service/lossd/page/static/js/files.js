// Arrays from files: .npy and .npz as NumPy saves them; every other file is text.
import { cell, keepReading, parse } from "./pasted.js";
export { cell, parse, readingOf } from "./pasted.js";

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

/** A float of 16 bits, which not every browser's DataView has: sign, 5 bits of exponent, 10 of fraction. */
function half(bits) {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}

const READERS = {
  f8: [8, (view, at, little) => view.getFloat64(at, little)],
  f4: [4, (view, at, little) => view.getFloat32(at, little)],
  f2: [2, (view, at, little) => half(view.getUint16(at, little))],
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

/** An array as NumPy saves one; `note` is said beside it. */
export function readNpy(buffer, ...note) {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  if (String.fromCharCode(...bytes.slice(1, 6)) !== "NUMPY") throw new Error("not a .npy file");
  whole(buffer, 12, "a header");
  const long = bytes[6] > 1;
  const start = (long ? 12 : 10) + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  whole(buffer, start, "a header");
  const header = new TextDecoder().decode(bytes.slice(long ? 12 : 10, start));
  const [, order, kind] = header.match(/'descr': '([<>|=])(\w+)'/) ?? [];
  const [size, read] = READERS[kind] ?? [];
  if (!read) throw new Error(`a .npy file of type ${kind ?? header.slice(0, 40)} is not read here`);
  const shape = header.match(/'shape': \(([^)]*)\)/)[1].split(",").filter((part) => part.trim()).map(Number);
  const backwards = header.includes("'fortran_order': True");
  const count = shape.reduce((a, b) => a * b, 1);
  whole(buffer, start + count * size, `${count} numbers of ${size} bytes`);
  const values = Array.from({ length: count }, (_, i) => written(read(view, start + i * size, order !== ">")));
  const steps = shape.map((_, axis) => (backwards ? shape.slice(0, axis) : shape.slice(axis + 1)).reduce((a, b) => a * b, 1));
  const nest = (axis, at) => (axis === shape.length ? values[at] : Array.from({ length: shape[axis] }, (_, i) => nest(axis + 1, at + i * steps[axis])));
  return keepReading(nest(0, 0), ...note);
}

function whole(buffer, size, what) {
  if (buffer.byteLength < size) throw new Error(`expected ${size} bytes up to the end of ${what}, got ${buffer.byteLength}: the file is cut short`);
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
    const key = label.replace(/\.npy$/, "");
    found[key] = readNpy(plain, `array ${key} of the file`);
    at += 46 + name + extra + comment;
  }
  return found;
}

/** Arrays of a file by name; a file of one array has it under the name "". */
export async function readFile(file) {
  if (file.name.endsWith(".npz")) return readNpz(await file.arrayBuffer());
  if (file.name.endsWith(".npy")) return { "": readNpy(await file.arrayBuffer()) };
  return { "": parse(await file.text()) };
}
