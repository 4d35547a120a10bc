// The inner half of a door (outside.mjs): runs the sandbox's command and makes 127.0.0.1 in here what it would be without
// a network of its own. It is as little trusted as what it runs.
//
//   node inside.mjs      with /run/bough/door/inside.json, /run/bough/command
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';

const SPARE = 8;
const LOOK_MS = 25;
const door = '/run/bough/door';
const { listen, peers, egress } = JSON.parse(readFileSync(`${door}/inside.json`, 'utf8'));

for (const name of ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP']) process.on(name, () => undefined);
await Promise.all([
  ...peers.map((port) => lead(port, `${door}/${port}.sock`)),
  ...(egress === null ? [] : [lead(egress, `${door}/egress.sock`)]),
]);
if (listen !== null) void letIn(listen);

// What would change how Node runs was kept from this process, not from the command.
const env = {};
for (const [name, value] of Object.entries(process.env)) env[name.replace(/^BOUGH_HELD_/, '')] = value;
const child = spawn('/bin/sh', ['/run/bough/command'], { stdio: 'inherit', env });
child.once('error', () => process.exit(125));
child.once('exit', (code, signal) => process.exit(code ?? (signal === 'SIGKILL' ? 137 : 143)));

/** A port in here that leads to a socket of the door. */
function lead(port, path) {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true }, (socket) =>
      pair(socket, connect({ path, allowHalfOpen: true })),
    );
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
}

/** Holds connections ready for whoever comes from outside, from when the command listens. */
async function letIn(port) {
  while (!(await listens(port))) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  for (let count = 0; count < SPARE; count += 1) holdReady(port);
}

function listens(port) {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function holdReady(port) {
  const guest = connect({ path: `${door}/in.sock`, allowHalfOpen: true });
  let isTaken = false;
  guest.on('error', () => guest.destroy());
  guest.once('close', () => {
    if (!isTaken) setTimeout(() => holdReady(port), LOOK_MS);
  });
  guest.once('data', (first) => {
    isTaken = true;
    holdReady(port);
    guest.pause();
    // The first byte only says that somebody came.
    if (first.length > 1) guest.unshift(first.subarray(1));
    pair(connect({ host: '127.0.0.1', port, allowHalfOpen: true }), guest);
  });
}

function pair(left, right) {
  for (const [one, other] of [
    [left, right],
    [right, left],
  ]) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroySoon());
    one.pipe(other);
  }
}
