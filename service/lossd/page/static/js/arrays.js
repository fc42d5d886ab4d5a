// Arrays as JSON writes them: nested lists, `{real, imag}`, or `{dtype, shape, data}`. Nothing here touches the page.

export const flat = (value) => [value].flat(Infinity);
export const shape = (value) => (Array.isArray(value) ? [value.length, ...(value.length ? shape(value[0]) : [])] : []);

export const isObject = (value) => value instanceof Object && !Array.isArray(value);
export const isComplex = (value) => isObject(value) && "real" in value && "imag" in value;
/** The shape of an array in any form. */
export const shapeOf = (value) => (isComplex(value) ? shape(value.real) : isObject(value) ? (value.shape ?? []) : shape(value));

/** A list of a shape that holds one value everywhere. */
export const filled = (sizes, value) => (sizes.length ? Array.from({ length: sizes[0] }, () => filled(sizes.slice(1), value)) : value);

/** A list with `change` applied to every list that stands along an axis; what is no list stays. */
export const along = (value, axis, change) => (!Array.isArray(value) ? value : axis ? value.map((part) => along(part, axis - 1, change)) : change(value));

/** A list with `change` applied to every number. */
export const each = (value, change) => (Array.isArray(value) ? value.map((part) => each(part, change)) : change(value));

/** A complex array as a nested list of `{real, imag}`; other arrays as they are. */
export const paired = (value) => (isComplex(value) ? pair(value.real, value.imag) : value);
const pair = (real, imag) => (Array.isArray(real) ? real.map((part, i) => pair(part, imag[i])) : { real, imag });
