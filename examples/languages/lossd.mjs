// Post calls to a lossd server from Node 18 or later, or from a browser: nothing to install.
// Run: LOSSD_URL=http://127.0.0.1:8000 node lossd.mjs

const url = globalThis.process?.env.LOSSD_URL ?? "http://127.0.0.1:8000";

/** Post a body and return the response; throw the server's own words where it refuses the call. */
async function post(path, body, headers) {
  const response = await fetch(url + path, { method: "POST", body, headers });
  if (!response.ok) {
    const problem = await response.json(); // RFC 9457: problem.errors lists each fault and its place
    throw new Error(`${path}: ${response.status}: ${problem.detail}`);
  }
  return response;
}

/** JSON: plain arrays in, plain arrays out. */
async function huber(input, target, options) {
  const body = JSON.stringify({ input, target, ...options });
  const response = await post("/v1/losses/huber", body, { "Content-Type": "application/json" });
  return response.json();
}

/** Typed arrays: their bytes as they are, in both directions. Options go into the query string. */
async function crossEntropy(input, shape, target, options) {
  const format = "application/vnd.safetensors";
  const body = writeSafetensors({
    input: { dtype: "F32", shape, data: input },
    target: { dtype: "I64", shape: [target.length], data: target },
  });
  const query = new URLSearchParams(options);
  const headers = { "Content-Type": format, Accept: format };
  const response = await post(`/v1/losses/cross_entropy?${query}`, body, headers);
  return readSafetensors(await response.arrayBuffer());
}

/** safetensors: the header's length (8 bytes, little-endian), a JSON header, the arrays one after another. */
function writeSafetensors(tensors) {
  const header = {};
  let end = 0;
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [end, (end += data.byteLength)] };
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(text.length), true);
  return new Blob([length, text, ...Object.values(tensors).map(({ data }) => data)]);
}

const ARRAYS = { F32: Float32Array, F64: Float64Array, I64: BigInt64Array };

function readSafetensors(buffer) {
  const start = 8 + Number(new DataView(buffer).getBigUint64(0, true));
  const { __metadata__, ...header } = JSON.parse(new TextDecoder().decode(buffer.slice(8, start)));
  const arrays = Object.entries(header).map(([name, { dtype, data_offsets: [begin, end] }]) => {
    return [name, new ARRAYS[dtype](buffer.slice(start + begin, start + end))];
  });
  return Object.fromEntries(arrays);
}

const answer = await huber([1, 2, 5, 2], [1.5, 2, 2, 4], { delta: 1, gradient: true });
console.log("huber loss", answer.loss.mean);
console.log("huber gradient", ...answer.gradient.mean.input);

const logits = new Float32Array([0, 0, 0, 0, Math.log(3), 0, 0, 0]); // two rows of four classes
const classes = new BigInt64Array([2n, 0n]);
const arrays = await crossEntropy(logits, [2, 4], classes, { gradient: true });
console.log("cross_entropy loss", ...arrays["loss.mean"]);
console.log("cross_entropy gradient", ...arrays["gradient.mean.input"]);
