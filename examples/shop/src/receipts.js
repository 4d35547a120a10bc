import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { environment } from './environment.js';
import { money } from './html.js';

const directory = join(environment.uploads, 'receipts');

/** Writes an order's receipt into the mount and returns its file name. Never seen half written. */
export async function writeReceipt(order) {
  await mkdir(directory, { recursive: true });
  const name = `order-${order.id}.txt`;
  const temporary = join(directory, `.${name}.${process.pid}`);
  await writeFile(temporary, receiptText(order));
  await rename(temporary, join(directory, name));
  return name;
}

export function receiptText(order) {
  const lines = order.lines.map(
    (line) =>
      `${String(line.quantity).padStart(3)} × ${line.name.padEnd(28)}${money(line.quantity * line.priceCents).padStart(12)}`,
  );
  const rule = '-'.repeat(46);
  return [
    environment.shopName,
    `Receipt for order ${order.id}, ${order.customer}`,
    `Packed by ${environment.name} at commit ${environment.commit.slice(0, 7)}`,
    rule,
    ...lines,
    rule,
    `${'Total'.padEnd(34)}${money(order.totalCents).padStart(12)}`,
    '',
  ].join('\n');
}

/** How many receipts there are and the newest few by order number. */
export async function listReceipts() {
  const names = await readdir(directory).catch(() => []);
  const receipts = names.filter((name) => /^order-\d+\.txt$/.test(name));
  const number = (name) => Number(/\d+/.exec(name)?.[0]);
  return { count: receipts.length, latest: receipts.sort((a, b) => number(b) - number(a)).slice(0, 6) };
}

/** Undefined when there is none of that name. */
export async function readReceipt(name) {
  if (!/^order-\d{1,19}\.txt$/.test(name)) return undefined;
  return await readFile(join(directory, name), 'utf8').catch(() => undefined);
}
