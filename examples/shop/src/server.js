import { createServer } from 'node:http';
import { serveAsset } from './assets.js';
import { pool } from './database.js';
import { environment } from './environment.js';
import { listProducts } from './list-products.js';
import { findOrder, latestOrders, OrderProblem, placeOrder, readOrder } from './orders.js';
import { messagePage, orderPage, shopPage } from './page.js';
import { announceOrder, connectQueue, subscribeStates } from './queue.js';
import { readBody } from './read-body.js';
import { listReceipts, readReceipt } from './receipts.js';
import { createSockets } from './sockets.js';
import { readStatus } from './status.js';

const redis = connectQueue();
const subscriber = connectQueue();

const routes = [
  ['GET', /^\/$/, showShop],
  ['GET', /^\/healthz$/, showHealth],
  ['GET', /^\/api\/status$/, async (_, response) => sendJson(response, 200, await readStatus(redis))],
  ['POST', /^\/orders$/, takeForm],
  ['POST', /^\/api\/orders$/, takeJson],
  ['GET', /^\/orders\/(\d{1,18})$/, showOrder],
  ['GET', /^\/api\/orders\/(\d{1,18})$/, sendOrder],
  ['GET', /^\/receipts\/([\w.-]+)$/, showReceipt],
  ['GET', /^\/assets\/([\w./-]+)$/, (_, response, name) => serveAsset(response, name)],
];

async function showShop(_request, response) {
  const [status, products, orders, receipts] = await Promise.all([
    readStatus(redis),
    listProducts(),
    latestOrders(),
    listReceipts(),
  ]);
  sendPage(response, 200, shopPage({ status, products, orders, receipts }));
}

async function showHealth(_request, response) {
  await Promise.all([pool.query('select 1'), redis.ping()]);
  sendJson(response, 200, { ok: true, commit: environment.commit });
}

async function takeForm(request, response) {
  const id = await order(await readBody(request));
  response.writeHead(303, { location: `/orders/${id}` }).end();
}

async function takeJson(request, response) {
  sendJson(response, 201, { id: await order(await readBody(request)) });
}

async function order(body) {
  const id = await placeOrder(readOrder(body));
  // The order is safe in the database; a queue that is away only makes the worker notice it later.
  await announceOrder(redis, id).catch((error) => console.error(`queue: ${error.message}`));
  return id;
}

async function showOrder(_request, response, id) {
  const [status, found] = await Promise.all([readStatus(redis), findOrder(id)]);
  if (found === undefined) return await notFound(response);
  sendPage(response, 200, orderPage({ status, order: found }));
}

async function sendOrder(_request, response, id) {
  const found = await findOrder(id);
  sendJson(response, found === undefined ? 404 : 200, found ?? { error: 'There is no such order.' });
}

async function showReceipt(_request, response, name) {
  const text = await readReceipt(name);
  if (text === undefined) return await notFound(response);
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end(text);
}

async function notFound(response) {
  const status = await readStatus(redis);
  sendPage(response, 404, messagePage({ status, title: 'Not found', message: 'There is no such page.' }));
}

function sendPage(response, code, page) {
  response
    .writeHead(code, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' })
    .end(page);
}

function sendJson(response, code, value) {
  response.writeHead(code, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(value));
}

async function answer(request, response) {
  const path = new URL(request.url ?? '/', 'http://shop').pathname;
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  for (const [wanted, pattern, handle] of routes) {
    const match = wanted === method ? pattern.exec(path) : null;
    if (match !== null) return await handle(request, response, match[1]);
  }
  await notFound(response);
}

async function fail(request, response, error) {
  const json = request.url?.startsWith('/api/') || request.url === '/healthz';
  const [code, message] =
    error instanceof OrderProblem ? [422, error.message] : [500, 'Something broke. We are on it.'];
  if (code === 500) console.error(error);
  if (response.headersSent) return response.destroy();
  if (json) return sendJson(response, code, { error: message });
  const status = await readStatus(redis).catch(() => undefined);
  if (status === undefined) return response.writeHead(code, { 'content-type': 'text/plain' }).end(message);
  sendPage(response, code, messagePage({ status, title: 'That did not work', message }));
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => fail(request, response, error));
});
const sockets = createSockets(server);
await subscribeStates(subscriber, sockets.broadcast);
server.listen(environment.port, '0.0.0.0', () => console.log(`shop: listening on port ${environment.port}`));

let stopping = false;
function stop() {
  if (stopping) return;
  stopping = true;
  // Answers under way get a second; nothing may keep the old release from going.
  setTimeout(() => process.exit(0), 1_500).unref();
  sockets.close();
  server.close(async () => {
    redis.disconnect();
    subscriber.disconnect();
    await pool.end();
    process.exit(0);
  });
  server.closeIdleConnections();
}
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
