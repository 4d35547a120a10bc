import { OrderProblem } from './orders.js';

const BYTES_MAX = 64 * 1024;

/** Reads a form or a JSON body into an object. */
export async function readBody(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > BYTES_MAX) throw new OrderProblem('That is too much for one order.');
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  if (!request.headers['content-type']?.startsWith('application/json')) {
    return Object.fromEntries(new URLSearchParams(text));
  }
  try {
    const value = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch {}
  throw new OrderProblem('The order is not a JSON object.');
}
