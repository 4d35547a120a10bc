// The outer half of a door into a sandbox that has a network of its own. It starts the sandbox, ends with it and with its
// exit code, and lives in the same control group. Plain JavaScript, so that Node starts it at once and without a loader.
//
//   node outside.mjs <configuration> <command…>      file descriptor 3 goes to the command as it is
//
// Configuration (door.ts): `directory` for the sockets, `listen` a port of this machine that leads to the same one
// inside, `peers` ports of this machine that the inside may reach, `disk` what may be written, `report` a file for why
// the sandbox was ended.
//
// The sandbox sees the directory read-only: it can connect to these sockets and make none. And no socket of this
// machine's network goes in, not even an accepted one: it could be disconnected there and connected to anything.
import { spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';

const SPARE_MAX = 32;
const WAITING_MAX = 256;
const WAIT_MS = 10_000;
const CONNECTIONS_MAX = 512;
const ENTRIES_MAX = 2_000_000;

const [configuration = '', file = '', ...args] = process.argv.slice(2);
const { directory, listen, peers, disk, report } = JSON.parse(readFileSync(configuration, 'utf8'));
// The names of sockets are short, however long the path to them is.
process.chdir(directory);

for (const port of peers)
  serve(`${port}.sock`, (guest) =>
    joinBoth(guest, connect({ host: '127.0.0.1', port, allowHalfOpen: true })),
  );
if (listen !== null) letIn(listen);

// What is sent to all of a terminal or a group is for the command; this ends when that has.
for (const name of ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP']) process.on(name, () => undefined);

const child = spawn(file, args, { cwd: '/', stdio: ['inherit', 'inherit', 'inherit', 3] });
child.once('error', (error) => end(`the sandbox cannot be started: ${error.message}`, 125));
child.once('exit', (code) => process.exit(code ?? 137));
if (disk !== null) void watch();

/** Visitors of a port of this machine, each paired with a connection that the inside holds ready. */
function letIn(port) {
  const spare = [];
  const waiting = [];
  const visitors = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (visitor) => {
    visitor.on('error', () => visitor.destroy());
    const guest = spare.shift();
    if (guest !== undefined) return greet(visitor, guest);
    if (waiting.length >= WAITING_MAX) return visitor.destroy();
    waiting.push(visitor);
    visitor.once('close', () => forget(waiting, visitor));
    setTimeout(() => forget(waiting, visitor) && visitor.destroy(), WAIT_MS);
  });
  visitors.maxConnections = CONNECTIONS_MAX;
  visitors.once('error', (error) => end(`port ${port} cannot be listened on: ${error.message}`, 125));

  // The port listens as soon as somebody does inside, so that a probe of it says what it says without a sandbox.
  let listening = false;
  serve('in.sock', (guest) => {
    if (!listening) visitors.listen(port, '127.0.0.1');
    listening = true;
    const visitor = waiting.shift();
    if (visitor !== undefined) return greet(visitor, guest);
    if (spare.length >= SPARE_MAX) return guest.destroy();
    spare.push(guest);
    guest.once('close', () => forget(spare, guest));
  });

  function greet(visitor, guest) {
    guest.write('!');
    joinBoth(visitor, guest);
  }
}

function serve(path, onConnection) {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    onConnection(socket);
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.once('error', (error) => end(`the door cannot be opened: ${error.message}`, 125));
  // One of a sandbox before this one may be left.
  rmSync(path, { force: true });
  server.listen(path);
}

function joinBoth(left, right) {
  for (const [one, other] of [
    [left, right],
    [right, left],
  ]) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroySoon());
    one.pipe(other);
  }
}

function forget(list, item) {
  const at = list.indexOf(item);
  return at >= 0 && list.splice(at, 1).length > 0;
}

async function watch() {
  for (;;) {
    const startedAt = Date.now();
    const bytes = await measure(disk.paths);
    if (bytes > disk.bytes)
      return end(`it wrote more than ${Math.round(disk.bytes / 1024 / 1024)} MB to the disk`, 122, 'disk');
    // Never more than a fifth of the time is spent on looking.
    await new Promise((resolve) => setTimeout(resolve, Math.max(disk.everyMs, 4 * (Date.now() - startedAt))));
  }
}

/** What is there, in blocks. A tree that cannot be looked at to its end counts as too large. */
async function measure(roots) {
  let bytes = 0;
  let entries = 0;
  const open = [...roots];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    try {
      for await (const entry of await opendir(path)) {
        entries += 1;
        if (entries > ENTRIES_MAX) return Number.POSITIVE_INFINITY;
        const name = join(path, entry.name);
        const { blocks } = await lstat(name).catch(lookFailed);
        bytes += blocks * 512;
        if (entry.isDirectory()) open.push(name);
      }
    } catch (error) {
      if (error.code === 'ENAMETOOLONG' || error.code === 'ELOOP') return Number.POSITIVE_INFINITY;
    }
    if (bytes > disk.bytes) return bytes;
  }
  return bytes;
}

function lookFailed(error) {
  if (error.code === 'ENAMETOOLONG') throw error;
  return { blocks: 0 };
}

function end(reason, code, why = 'door') {
  try {
    writeFileSync(report, why);
  } catch {
    // The exit code says it too.
  }
  console.log(`[bough] ended: ${reason}`);
  child?.kill('SIGKILL');
  process.exit(code);
}
