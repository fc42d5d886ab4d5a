// LaTeX on stdin, MathML on stdout: {"display": [...], "inline": [...]} to {"display": {latex: mathml}, ...}.
import { readFileSync } from "node:fs";
import temml from "temml";

const mathml = (latex, displayMode) =>
  temml
    .renderToString(latex, { displayMode, throwOnError: true })
    // The page's Content-Security-Policy refuses style attributes; its style sheet says what they would.
    .replaceAll(/ style="[^"]*"/g, "")
    .replaceAll(/ class="tml-display"/g, "");
const written = (formulas, displayMode) =>
  Object.fromEntries(formulas.map((latex) => [latex, mathml(latex, displayMode)]));

const { display, inline } = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify({ display: written(display, true), inline: written(inline, false) }, null, 1));
