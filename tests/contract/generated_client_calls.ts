// Runs beside the types that openapi-typescript made: puts parts together, and sends a batch. Prints one JSON object.

import createClient from "openapi-fetch";
import type { components, paths } from "./contract.js";

type Schemas = components["schemas"];
type Json = "application/json" | "application/problem+json";

const server = createClient<paths, Json>({ baseUrl: process.env.LOSSD_URL ?? "" });

async function huber(input: number[], partial?: Schemas["Partial"]): Promise<Schemas["Answer"]> {
  const body: Schemas["HuberRequest"] = { input, target: input.map(() => 0), ...(partial && { partial }) };
  const { data, error } = await server.POST("/v1/losses/huber", { body });
  if (error) throw new Error(`huber: ${error.status}: ${error.detail}`);
  return data;
}

function combine(parts: Schemas["Part"][]) {
  return server.POST("/v1/losses/{name}/combine", { params: { path: { name: "huber" } }, body: { parts } });
}

const block = (await huber([1], { first: 0 })).part!.rows_per_block;
const numbers = Array.from({ length: block + 200 }, (_, place) => (place % 7) / 3);
const whole = await huber(numbers);
const first = await huber(numbers.slice(0, block), { first: 0, of: numbers.length });
const second = await huber(numbers.slice(block), { first: block, of: numbers.length });
const together = await combine([second.part!, first.part!]);
const lost = await combine([first.part!]);

const calls: Schemas["BatchCall"][] = [
  { loss: "mse", input: [1], target: [3] },
  { loss: "huber", input: [1], target: [3], delta: -1 },
];
const batch = await server.POST("/v1/batch", { body: { calls } });
const results = batch.data?.results.map((each) => [each.status, each.answer?.loss.mean, each.problem?.errors[0]?.at]);

console.log(
  JSON.stringify({
    whole: [whole.loss.mean, whole.count],
    together: [together.data?.loss.mean, together.data?.count],
    lost: [lost.error?.status, lost.error?.errors[0]?.at],
    batch: results,
  }),
);
