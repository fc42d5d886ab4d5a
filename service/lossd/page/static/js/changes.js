// What the buttons under the arrays of Try change in a call: an axis of every array that has it, and arrays that may be absent.
// Nothing here touches the page: a button is its text and the call after it.
import { along, each, filled, flat, shape, shapeOf } from "./arrays.js";

/** Arrays that go with every loss. */
export const GENERAL = ["sample_weight", "mask", "upstream", "hvp"];
const PER_LOSS = { sample_weight: 1, mask: true };

const isList = (value) => !(value instanceof Object) || Array.isArray(value);
const isBatch = (name) => name.startsWith("batch");
const isFixed = (name) => /^\d+$/.test(name);
const isPresent = (state) => ({ name }) => name in state;

/** Every way to write a shape of the catalogue, `(T, ..., C)`: letters or sizes in front of the batch and after it. */
function formsOf(argument) {
  return argument.shape.split(" or ").map((text) => {
    const axes = text.slice(text.indexOf("(") + 1, -1).split(", ").filter(Boolean);
    const at = axes.indexOf("...");
    return { batched: at >= 0, before: axes.slice(0, Math.max(at, 0)), after: axes.slice(at + 1) };
  });
}

/** The name of each axis of an array: the letter of the catalogue, or a batch axis's number counted from the last. */
function namesOf({ batched, before, after }, rank, classAxis) {
  const count = rank - before.length - after.length;
  if (batched ? count < 0 : count !== 0) return null;
  const batch = Array.from({ length: count }, (_, i) => `batch ${count - i}`);
  if (classAxis === undefined || after.join() !== "C" || rank < 2) return [...before, ...batch, ...after];
  batch.splice(classAxis < 0 ? classAxis + rank : classAxis, 0, "C");
  return batch;
}

/**
 * The axes of every array of a call by name. Where a shape has several forms, that one counts whose letters have the sizes
 * that the arrays before it gave them: a target of cross_entropy is either an index for each row or has the classes too.
 */
function axesOf(loss, state) {
  const sizes = {};
  const axes = {};
  const classAxis = "class_axis" in loss.settings ? (state.class_axis ?? loss.settings.class_axis.default) : undefined;
  for (const argument of loss.arguments.filter(isPresent(state))) {
    const size = shapeOf(state[argument.name]);
    // Only the first array says what the batch is; an array that broadcasts against it has a size of 1.
    const isFirst = !Object.keys(axes).length;
    const fit = (name, i) => (name in sizes ? sizes[name] === size[i] || (size[i] === 1 && isBatch(name)) : isFirst || !isBatch(name));
    const possible = formsOf(argument).map((form) => namesOf(form, size.length, classAxis));
    axes[argument.name] = possible.find((names) => names?.every((name, i) => (isFixed(name) ? Number(name) === size[i] : fit(name, i))));
    axes[argument.name]?.forEach((name, i) => (sizes[name] ??= size[i]));
  }
  const first = Object.values(axes)[0] ?? [];
  const moved = loss.arguments.find(({ name, differentiable }) => differentiable && name in state);
  for (const name of Object.keys(state).filter((name) => name.startsWith("hvp"))) axes[name] = axes[name === "hvp" ? moved?.name : name.slice("hvp.".length)];
  for (const name of ["sample_weight", "mask", "upstream"].filter((name) => name in state)) axes[name] = perLoss(first, sizes, shapeOf(state[name]));
  return { axes, sizes, first };
}

/** The axes of what goes with the unreduced losses, which have the batch's axes, then letters in their order: (N) of (N, D). */
function perLoss(first, sizes, size) {
  const batch = first.filter(isBatch);
  const ordered = [...batch, ...first.filter((name) => !isBatch(name))];
  const names = size.length < batch.length ? batch.slice(batch.length - size.length) : ordered.slice(0, size.length);
  return size.every((length, i) => length === 1 || length === sizes[names[i]]) ? names : undefined;
}

/** Indices that stay below the size of their axis, as `whole numbers in [0, C)` says, and lengths up to it. */
function bounded(argument, value, sizes, own) {
  const [, letter, end] = argument.values.match(/^whole numbers in \[0, ([A-Z])([\])])/) ?? [];
  const hasProbabilities = argument.values.includes(" or numbers") && own.includes(letter);
  if (!(letter in sizes) || hasProbabilities) return value;
  const largest = sizes[letter] - Number(end === ")");
  return each(value, (x) => (typeof x === "number" && x > largest ? largest : x));
}

/** The call with one more or one less along an axis, in every array that has it. */
function resized(loss, state, axis, by) {
  const { axes, sizes } = axesOf(loss, state);
  const change = (list) => (by > 0 ? [...list, structuredClone(list.at(-1))] : list.slice(0, -1));
  const next = { ...state };
  for (const [name, own] of Object.entries(axes)) {
    own.forEach((letter, i) => {
      // An array that broadcasts has a size of 1 there, and keeps it.
      if (letter === axis && shape(next[name])[i] === sizes[axis]) next[name] = along(next[name], i, change);
    });
  }
  const after = { ...sizes, [axis]: sizes[axis] + by };
  for (const argument of loss.arguments.filter(isPresent(next))) next[argument.name] = bounded(argument, next[argument.name], after, axes[argument.name]);
  return next;
}

/** Whether an index became one that a setting forbids, as ctc forbids its blank among the targets. */
function hasForbidden(loss, state) {
  return loss.arguments.filter(isPresent(state)).some(({ name, values }) => {
    const [, setting] = values.match(/ other than (\w+)$/) ?? [];
    return setting && flat(state[name]).includes(state[setting] ?? loss.settings[setting].default);
  });
}

/** Steppers for the axes of the first array: `noun` says what one of them is; `add`, and `remove` if it can be, make the call after it. */
export function steppers(loss, state) {
  const { axes, sizes, first } = axesOf(loss, state);
  // Arrays whose axes are not all known, or that are no lists, would not follow.
  if ("group" in state || !Object.entries(axes).every(([name, known]) => known && isList(state[name]))) return [];
  const nouns = first.length > 2 ? [] : ["row", "column"].slice(0, first.length);
  return nouns.flatMap((noun, i) => {
    const axis = first[i];
    if (isFixed(axis) || !sizes[axis]) return [];
    // Arrays may be edited before a button is pressed: the calls are made then.
    const remove = () => resized(loss, state, axis, -1);
    return [{ noun, remove: sizes[axis] > 1 && !hasForbidden(loss, remove()) ? remove : null, add: () => resized(loss, state, axis, 1) }];
  });
}

/** Arguments of which a call has one: those that its example lacks though they are no option, and what stands there for them. */
function alternativesOf({ arguments: all, example }) {
  const lacking = all.filter(({ name, optional }) => !optional && !(name in example.request));
  return lacking.flatMap((one) => [one.name, ...all.filter(({ name, optional, shape: of }) => optional && of === one.shape && name in example.request).map(({ name }) => name)]);
}

/** An array for an argument that was absent: ones, or the whole length of an axis, of which it says how much is used. */
function fresh(loss, state, argument) {
  const { sizes } = axesOf(loss, state);
  const [form] = formsOf(argument);
  const batch = Object.keys(sizes).filter(isBatch).sort().reverse();
  const named = [...form.before, ...(form.batched ? batch : []), ...form.after];
  const [, letter] = argument.values.match(/^whole numbers in \[0, ([A-Z])\]/) ?? [];
  return filled(named.map((name) => sizes[name] ?? Number(name)), sizes[letter] ?? 1);
}

/** The shape of the unreduced losses, where an answer did not have them: that of the batch, or of items that stand for one. */
function batchOf(loss, state) {
  const { sizes, first } = axesOf(loss, state);
  const batch = first.filter(isBatch);
  return (batch.length ? batch : first.slice(0, 1)).map((name) => sizes[name]);
}

const without = (state, name) => Object.fromEntries(Object.entries(state).filter(([key]) => key !== name));

/**
 * Buttons that add an array, take it away or put one in the place of another: `text`, the `name` of the array, and `next` makes
 * the call after it. `lastLosses` returns the unreduced losses of the last answer, or null where it had none.
 */
export function toggles(loss, state, lastLosses) {
  const taken = (name) => ({ name, text: `without ${name}`, next: () => without(state, name) });
  const given = (name, value) => ({ name, text: `with ${name}`, next: () => ({ ...state, [name]: value() }) });
  const toggle = (name, value) => (name in state ? taken(name) : given(name, value));
  const alternatives = alternativesOf(loss);
  const present = alternatives.find((name) => name in state);
  const absent = present ? alternatives.filter((name) => !(name in state)) : [];
  const swaps = absent.map((name) => ({ name, text: `${name} in place of ${present}`, next: () => ({ ...without(state, present), [name]: state[present] }) }));
  const optional = loss.arguments.filter(({ name, optional: may }) => may && !alternatives.includes(name));
  const like = (value) => (lastLosses() === null ? filled(batchOf(loss, state), value) : each(lastLosses(), () => value));
  return [
    ...swaps,
    ...optional.map((argument) => toggle(argument.name, () => fresh(loss, state, argument))),
    ...Object.entries(PER_LOSS).map(([name, value]) => toggle(name, () => like(value))),
  ];
}
