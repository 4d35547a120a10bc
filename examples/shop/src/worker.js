import { pool } from './database.js';
import { environment } from './environment.js';
import { findOrder, orderPacked, releaseOrders, takeOrder } from './orders.js';
import { connectQueue, nextOrder, publishState } from './queue.js';
import { writeReceipt } from './receipts.js';

const waiter = connectQueue();
const redis = connectQueue();
let stopping = false;
let packing = false;

/** Packs everything that is to be packed; the queue says when there may be something. */
async function work() {
  await releaseOrders();
  console.log(`worker: packing orders of ${environment.name}`);
  while (!stopping) {
    const id = await takeOrder();
    if (id === undefined) await nextOrder(waiter, 5);
    else {
      packing = true;
      await pack(id);
      packing = false;
    }
  }
}

async function pack(id) {
  await publishState(redis, { id, state: 'packing' });
  const order = await findOrder(id);
  const receipt = await writeReceipt(order);
  await orderPacked(id, receipt);
  await publishState(redis, { id, state: 'packed', receipt });
  console.log(`worker: order ${id} is packed`);
}

function stop() {
  stopping = true;
  // What waits for an order holds nothing; an order that is being packed gets a moment, and is packed again otherwise.
  if (!packing) process.exit(0);
  setTimeout(() => process.exit(0), 1_500).unref();
}
process.on('SIGTERM', stop);
process.on('SIGINT', stop);

try {
  await work();
} catch (error) {
  // Bough starts it again; what it was packing is taken up then.
  if (!stopping) {
    console.error(`worker: ${error.message}`);
    process.exitCode = 1;
  }
}
redis.disconnect();
waiter.disconnect();
await pool.end();
