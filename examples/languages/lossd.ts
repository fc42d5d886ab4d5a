// Post calls to a lossd server with types from its own contract: a misspelt option does not compile.
//
//   npm init --yes && npm pkg set type=module
//   npm install openapi-fetch openapi-typescript typescript @types/node
//   npx openapi-typescript http://127.0.0.1:8000/openapi.json --default-non-nullable=false --output contract.ts
//   npx tsc --strict --module nodenext --types node --skipLibCheck lossd.ts
//   LOSSD_URL=http://127.0.0.1:8000 node lossd.js
//
// --default-non-nullable=false because an option that has a default may be left out of a request.

import createClient from "openapi-fetch";
import type { components, paths } from "./contract.js";

type Call = components["schemas"]["HuberRequest"];
type Answer = components["schemas"]["Answer"];
type Json = "application/json" | "application/problem+json"; // the contract has array formats too

const server = createClient<paths, Json>({ baseUrl: process.env.LOSSD_URL ?? "http://127.0.0.1:8000" });

async function huber(body: Call): Promise<Answer> {
  const { data, error } = await server.POST("/v1/losses/huber", { body });
  if (error) throw new Error(`huber: ${error.status}: ${error.detail}`);
  return data;
}

const answer = await huber({ input: [1, 2, 5, 2], target: [1.5, 2, 2, 4], delta: 1, gradient: true });
console.log("huber loss", answer.loss.mean);
// A gradient is there only if asked for; as JSON it is a list unless the call said `encoding: "base64"`.
console.log("huber gradient", ...(answer.gradient?.mean?.input as number[]));
