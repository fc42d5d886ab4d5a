// Options of Try: a control for each setting, with what it means.
import { make } from "./api.js";
import { typed } from "./files.js";

/** The words that a schema lets choose from; an absent one is empty. */
function wordsOf(schema) {
  if (schema.enum) return schema.enum;
  const one = schema.anyOf?.find(({ enum: words, const: word }) => words || word);
  return one && ["", ...(one.enum ?? [one.const])];
}

const written = (value) => (value instanceof Object ? JSON.stringify(value) : String(value ?? ""));

const isBoolean = (schema) => schema.type === "boolean" || schema.anyOf?.[0]?.type === "boolean";

/** Controls: which settings each is for, how it shows a value and how it is read. The first that fits is taken. */
const CONTROLS = [
  {
    fits: (schema) => wordsOf(schema),
    // A value that is none of the words, as an address may have, is one more of them, so that the control shows what is sent.
    draw: (value, schema) => make("select", {}, ...[...new Set([...wordsOf(schema), value].map(written))].map((word) => make("option", { textContent: word, value: word, selected: word === written(value) }))),
    read: ({ value }) => typed(value),
  },
  {
    fits: (schema, value) => isBoolean(schema) && (value === "" || typeof value === "boolean"),
    draw: (value) => make("input", { type: "checkbox", checked: value === true }),
    read: ({ checked }) => checked,
  },
  {
    fits: () => true,
    draw: (value) => make("input", { type: "text", value: written(value) }),
    read: ({ value }) => typed(value),
  },
];

/** Show what a control means while the pointer or the focus rests on it; Escape puts it away until either comes back. */
export function described(host, control, text = "") {
  const tip = make("span", { className: "tip", role: "tooltip", id: `tip-${control.dataset.at}`, textContent: text.replaceAll("`", "") });
  control.setAttribute("aria-describedby", tip.id);
  const box = make("div", { className: "tipped" }, host, tip);
  // A listener, not a property: what a property's function returns may cancel the key.
  box.addEventListener("keydown", ({ key }) => {
    if (key === "Escape") tip.hidden = true;
  });
  box.onpointerenter = control.onfocus = () => {
    tip.hidden = false;
    tip.style.translate = "0";
    const beyond = tip.getBoundingClientRect().right + 16 - document.documentElement.clientWidth;
    if (beyond > 0) tip.style.translate = `${-beyond}px`;
  };
  return box;
}

/** A setting's control. `change` takes what it is set to: undefined where that is the default. */
export function field(name, schema, value, change) {
  const shown = value ?? schema.default ?? "";
  const control = CONTROLS.find(({ fits }) => fits(schema, shown));
  const input = control.draw(shown, schema);
  input.oninput = () => {
    const next = control.read(input);
    change(next === "" || next === schema.default ? undefined : next);
  };
  input.dataset.at = name;
  const isCheck = input.type === "checkbox";
  const label = make("label", { className: isCheck ? "check" : "" }, ...(isCheck ? [input, name] : [make("span", { textContent: name }), input]));
  return described(label, input, schema.description);
}
