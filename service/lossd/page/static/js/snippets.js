// The same call in several languages. `lossd/page/snippets.py` fills in the same programs where a page is read without scripts.
import { origin } from "./api.js";
import { flat, shape } from "./arrays.js";
import { GENERAL } from "./changes.js";

const programs = fetch(new URL("../snippets.json", import.meta.url)).then((response) => response.json());
const WORDS = { NaN: 'float("nan")', Infinity: 'float("inf")', "-Infinity": 'float("-inf")', true: "True", false: "False", null: "None" };

const list = (value) => (Array.isArray(value) ? `[${value.map(list).join(", ")}]` : JSON.stringify(value));
const python = (value) => (Array.isArray(value) ? `[${value.map(python).join(", ")}]` : (WORDS[value] ?? JSON.stringify(value)));
// What `lossd.client.torch` decides itself, and the reductions of which it takes one.
const OF_AUTOGRAD = ["gradient", "upstream", "hessian", "hvp", "convention", "partial", "encoding"];
const LONGEST_ARGUMENT = 100_000; // characters; Linux takes 131,072 bytes in one

/** The body of a request as curl takes it: as an argument, or from its input where it is too long for one. */
const curlData = (body) => (body.length > LONGEST_ARGUMENT ? `--data-binary @- <<'JSON'\n${body}\nJSON` : `-d '${body.replaceAll("'", `'\\''`)}'`);

const isDirection = (name) => name.startsWith("hvp.");
const isGeneral = (name) => GENERAL.includes(name) || name === "group" || isDirection(name);
const isBridged = (name) => !OF_AUTOGRAD.includes(name) && !isDirection(name);

/** A call as the Python client takes it, which has one keyword for all directions and encodes by itself. */
function keywords(call, names, first) {
  const several = names.some(isDirection);
  const directions = names.filter((name) => several && isDirection(`${name}.`));
  const plain = names.filter((name) => !directions.includes(name) && name !== "encoding");
  const lines = plain.map((name) => `    ${name}=${python(call[name])},\n`);
  const each = directions.map((name) => `"${name.slice("hvp.".length) || first}": ${python(call[name])}`);
  return [...lines, ...(each.length ? [`    hvp={${each.join(", ")}},\n`] : [])].join("");
}

const reductions = (call) => (Array.isArray(call.reduction) ? [...new Set(call.reduction)] : []);

/** The value and whatever derivatives are asked for, by reduction where there are several. */
function pythonPrint(call, names) {
  const kinds = ["hessian", "hvp"].filter((kind) => names.some((name) => name.split(".")[0] === kind));
  const parts = (of) => ["value", "gradient", ...kinds].map((kind) => `${of}.${kind}`).join(", ");
  const several = reductions(call);
  if (several.length < 2) return `print(${parts("result")})`;
  return `for reduction in ${python(several)}:\n    print(reduction, ${parts("result[reduction]")})`;
}

/** Which options the program leaves out, since that changes what it computes. */
function torchLeftOut(call, options, taken) {
  const left = options.filter((name) => !isBridged(name) && !["gradient", "encoding"].includes(name));
  left.push(...reductions(call).filter((name) => name !== taken).map((name) => `the reduction ${name}`));
  return left.length ? `# This program leaves out ${left.join(", ")}.\n` : "";
}

/** The options of a call that PyTorch's bridge takes: of several reductions the first that gives one number. */
function torchOptions(call, options) {
  const { reduction } = call;
  const one = [reduction ?? []].flat().find((each) => each !== "none") ?? reduction;
  const taken = options.filter(isBridged);
  return Object.fromEntries(taken.map((name) => [name, name === "reduction" ? [one].flat()[0] : call[name]]));
}

const isBoolean = (value) => flat(value).every((x) => typeof x === "boolean");
const isWhole = (values, value) => isBoolean(value) || (values.startsWith("whole numbers") && flat(value).every(Number.isInteger));

/** Language to code. `entry` is the catalogue's; `call` are arguments, settings and options. */
export async function snippets(entry, call) {
  const known = Object.fromEntries(entry.arguments.map((argument) => [argument.name, argument]));
  const names = Object.keys(call);
  const arrays = names.filter((name) => name in known);
  const options = names.filter((name) => !(name in known));
  const grows = entry.gradient;
  const members = names.map((name) => `"${name}": ${list(call[name])}`);
  const json = `{\n${members.map((member) => `  ${member}`).join(",\n")}\n}`;
  const bridged = torchOptions(call, options);
  const isNumber = bridged.reduction !== "none" && bridged.axis == null;
  const differentiated = `${arrays.find((name) => grows.includes(name)) ?? arrays[0]}.grad`;
  const infer = () => {
    const inputs = [...arrays, ...options.filter(isGeneral)].map((name) => {
      const value = call[name];
      const values = known[name]?.values ?? (name === "group" ? "whole numbers" : "numbers");
      const kind = isBoolean(value) ? "BOOL" : isWhole(values, value) ? "INT64" : "FP64";
      return `    {"name": "${name}", "datatype": "${kind}", "shape": ${list(shape(value))}, "data": ${list(flat(value))}}`;
    });
    return `{\n  "parameters": {${options.filter((name) => !isGeneral(name)).map((name) => `"${name}": ${list(call[name])}`).join(", ")}},\n  "inputs": [\n${inputs.join(",\n")}\n  ]\n}`;
  };
  const ends = [`{${members[0] ?? ""}`, ...members.slice(1)];
  const filled = {
    url: origin,
    loss: entry.name,
    json,
    shell_data: curlData(json),
    line: `{${members.join(", ")}}`,
    c: ends.map((part, i) => `"${(part + (i + 1 < ends.length ? ", " : "}")).replaceAll('"', '\\"')}"`).join("\n        "),
    keywords: keywords(call, names, entry.arguments.find((argument) => argument.differentiable)?.name),
    python_print: pythonPrint(call, names),
    torch_arrays: arrays
      .map((name) => `${name} = torch.tensor(${python(call[name])}${isWhole(known[name].values, call[name]) ? "" : ", dtype=torch.float64"}${grows.includes(name) ? ", requires_grad=True" : ""})`)
      .join("\n"),
    torch_settings: Object.entries(bridged).map(([name, value]) => `, ${name}=${python(value)}`).join(""),
    torch_left_out: torchLeftOut(call, options, bridged.reduction),
    torch_arguments: arrays.map((name) => `${name}=${name}`).join(", "),
    torch_backward: isNumber ? `loss.backward()\nprint(loss.item(), ${differentiated})` : `loss.sum().backward()\nprint(loss, ${differentiated})`,
    infer_data: curlData(infer()),
  };
  const written = await programs;
  // Lines that begin with this mark are for servers that ask for a key.
  const mark = "{{guarded}}";
  const guarded = "guarded" in document.documentElement.dataset;
  const kept = (code) => code.filter((line) => guarded || !line.startsWith(mark)).map((line) => line.replace(mark, ""));
  return Object.fromEntries(written.map(({ language, code }) => [language, kept(code).join("\n").replaceAll(/\{\{(\w+)\}\}/g, (_, name) => filled[name])]));
}
