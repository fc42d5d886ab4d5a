// What Try asks of the service beside what was written, and what of the answer it shows. Nothing here touches the page.

const chosenOf = ({ reduction }) => [reduction ?? "mean"].flat();

/** The call to send: beside the reductions that were chosen each row's own loss and their sum, and a gradient in any case. */
export function asked(state) {
  const chosen = chosenOf(state);
  const reduction = chosen.length ? [...new Set(["none", ...chosen, "sum"])] : chosen;
  return { ...state, gradient: state.gradient || true, reduction, ...(state.encoding === "base64" && { encoding: "list" }) };
}

/** An error about the reductions that were asked for, with the place that it has in the call as it was written. */
export function asWritten(error, state) {
  const place = (at) => {
    const [, index] = at.match(/^reduction\[(\d+)\]$/) ?? [];
    const name = asked(state).reduction[index];
    return index === undefined ? at : Array.isArray(state.reduction) ? `reduction[${state.reduction.indexOf(name)}]` : "reduction";
  };
  if (error.errors) error.errors = error.errors.map((each) => ({ ...each, at: each.at && place(each.at) }));
  return error;
}

/** Derivatives of an answer: what each is called where it is alone, and among several. */
const DERIVATIVES = { gradient: ["gradient", "∂"], hessian: ["curvature", "curvature of"], hvp: ["Hessian times direction", "Hessian times direction of"] };

function derivatives(answer, chosen) {
  return Object.entries(DERIVATIVES).flatMap(([part, [alone, of]]) => {
    const found = answer[part] ?? {};
    // A convention may answer with another reduction than was chosen.
    const reductions = chosen.filter((reduction) => reduction in found);
    const shown = reductions.length ? reductions : Object.keys(found);
    return shown.flatMap((reduction) => {
      const arrays = Object.entries(found[reduction]);
      const under = shown.length > 1 ? ` under ${reduction}` : "";
      return arrays.map(([name, value]) => ({ label: (arrays.length > 1 ? `${of} ${name}` : alone) + under, value, shaded: true }));
    });
  });
}

/** What is shown of an answer: arrays, and numbers. An axis makes arrays of what is else a number. */
export function shownOf(answer, state) {
  const { none, ...reduced } = answer.loss;
  const values = Object.entries({ ...reduced, count: answer.count, denominator: answer.denominator }).map(([label, value]) => ({ label, value }));
  const isArray = ({ value }) => value instanceof Object;
  return {
    arrays: [...(none === undefined ? [] : [{ label: "loss", value: none }]), ...values.filter(isArray), ...derivatives(answer, chosenOf(state))],
    numbers: values.filter((each) => !isArray(each)),
  };
}
