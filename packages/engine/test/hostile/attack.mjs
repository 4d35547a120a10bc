// What a hostile pull request would try, each with what it got. Run unguarded by the test too, where all of it succeeds.
//
//   node attack.mjs <targets as JSON>      prints one line of JSON
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';

const { secret, files, addresses, sockets, proxied, children } = JSON.parse(process.argv[2] ?? '{}');
const got = {};

got.environment = JSON.stringify(process.env).includes(secret);
got.processes = readable('/proc/1/environ').includes(secret);
for (const [name, path] of Object.entries(files ?? {})) got[name] = readable(path).includes(secret);
for (const [name, { host, port }] of Object.entries(addresses ?? {}))
  got[name] = await reaches({ host, port });
for (const [name, path] of Object.entries(sockets ?? {})) got[name] = await reaches({ path });
for (const [name, url] of Object.entries(proxied ?? {})) got[name] = await throughProxy(url);
if (children !== undefined) got.children = await bomb(children);
console.log(`GOT ${JSON.stringify(got)}`);
process.exit(0);

function readable(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Whether the listener that plays the target answers. */
function reaches(where) {
  return new Promise((resolve) => {
    const socket = connect({ ...where, timeout: 1_500 });
    socket.once('data', () => resolve(true));
    socket.once('timeout', () => resolve(false));
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
    socket.once('connect', () => socket.write('GET / HTTP/1.0\r\n\r\n'));
  });
}

/** The status and first line with which the proxy, or what lies behind it, answers. */
function throughProxy(url) {
  const proxy = process.env.HTTP_PROXY;
  if (proxy === undefined) return reaches({ host: new URL(url).hostname, port: Number(new URL(url).port) });
  return new Promise((resolve) => {
    const { hostname, port } = new URL(proxy);
    const asked = request({ host: hostname, port, path: url, timeout: 3_000 }, async (answer) => {
      let body = '';
      for await (const chunk of answer) body += chunk;
      resolve(`${answer.statusCode} ${body.trim().slice(0, 200)}`);
    });
    asked.once('timeout', () => asked.destroy());
    asked.once('error', (error) => resolve(error.message));
    asked.end();
  });
}

/** How many processes could be started before there were no more to be had. */
async function bomb(most) {
  const started = [];
  for (let count = 0; count < most; count += 1) {
    const child = spawn('/bin/sleep', ['60'], { stdio: 'ignore' });
    const isThere = await new Promise((resolve) => {
      child.once('spawn', () => resolve(true));
      child.once('error', () => resolve(false));
    });
    if (!isThere) break;
    started.push(child);
  }
  for (const child of started) child.kill('SIGKILL');
  return started.length;
}
