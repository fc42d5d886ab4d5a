// Asking the service for a curve: one POST samples value, gradient and curvature at many points at once.
import { call, numbers } from "./api.js";

export const range = (low, high, count = 401) =>
  Array.from({ length: count }, (_, i) => Number((low + ((high - low) * i) / (count - 1)).toFixed(6)));

/** The body that samples `xs`; `lossd/page/samples.py` asks for the same. `given` is what the last of them hold otherwise. */
export function bodyOf({ argument, wrapped, held }, xs, chosen, given = []) {
  const settings = { ...chosen };
  const body = { reduction: ["none"], gradient: [argument], hessian: [argument] };
  body[argument] = wrapped ? xs.map((x) => [x]) : xs;
  for (const [name, { value, shared }] of Object.entries(held)) {
    const number = settings[name] ?? value;
    delete settings[name];
    body[name] = shared ? [number] : xs.map((_, i) => given[i - xs.length + given.length]?.[name] ?? number);
  }
  return { ...body, ...settings };
}

/** Sample a loss; `send` is `attempt` where a person typed some of `chosen`. */
export async function sample(spec, xs, chosen = {}, { quiet = false, given = [], send = call } = {}) {
  const answer = await send(spec.loss, bodyOf(spec, xs, chosen, given), undefined, quiet);
  const listed = (value) => numbers(value).flat();
  return {
    xs: xs.map(Number),
    value: listed(answer.loss.none),
    gradient: listed(answer.gradient.none[spec.argument]),
    curvature: listed(answer.hessian.none[spec.argument]),
    ms: answer.ms,
  };
}

/** How a loss of the residual is sampled. */
export const residual = (loss) => ({ loss, argument: "input", held: { target: { value: 0 } } });

/** The range to show: all of it, unless the ends run away. `limits` in `lossd/page/drawing.py` is the same. */
export function limits(ys) {
  const finite = ys.filter(Number.isFinite).sort((a, b) => a - b);
  if (!finite.length) return [-1, 1];
  const cut = Math.floor(finite.length / 14);
  const [inner0, inner1] = [finite[cut], finite.at(-1 - cut)];
  const span = Math.max(inner1 - inner0, 1e-9);
  const low = inner0 - finite[0] < span ? finite[0] : inner0;
  const high = finite.at(-1) - inner1 < span ? finite.at(-1) : inner1;
  return high > low ? [low, high] : [low - 1, high + 1];
}
