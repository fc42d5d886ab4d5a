// Presses every button under the arrays of Try: calls from the standard input, each with what its buttons make of it to the output.
import { readFileSync } from "node:fs";

const { steppers, toggles } = await import(`file://${process.argv[2]}/changes.js`);
const calls = JSON.parse(readFileSync(0, "utf8"));
const pressed = ({ loss, state, losses }) => [
  ...steppers(loss, state).flatMap(({ noun, add, remove }) => [
    { text: `add a ${noun}`, next: add },
    { text: `remove the last ${noun}`, next: remove },
  ]),
  ...toggles(loss, state, () => losses),
];
console.log(JSON.stringify(calls.map((call) => pressed(call).filter(({ next }) => next).map(({ text, next }) => ({ text, state: next() })))));
