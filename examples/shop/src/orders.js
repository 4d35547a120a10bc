import { pool, transaction } from './database.js';

const LINES_MAX = 20;
const QUANTITY_MAX = 20;

/** Whatever is wrong with an order, in words for the customer. */
export class OrderProblem extends Error {}

/** Checks what a form or a JSON body says. Quantities come as `quantity-<product's slug>` or as `lines`. */
export function readOrder(body) {
  const name = String(body.name ?? '').trim();
  const email = String(body.email ?? '')
    .trim()
    .toLowerCase();
  if (name === '' || name.length > 100) throw new OrderProblem('Please tell us your name.');
  if (!/^[^\s@]{1,64}@[^\s@]{1,190}$/.test(email)) throw new OrderProblem('Please give an e-mail address.');
  const lines = Array.isArray(body.lines) ? body.lines : formLines(body);
  const wanted = lines
    .map((line) => ({ product: String(line.product), quantity: Number(line.quantity) }))
    .filter((line) => line.quantity !== 0);
  if (wanted.length === 0)
    throw new OrderProblem('Your basket is empty: choose how many of a plant you want.');
  if (wanted.length > LINES_MAX)
    throw new OrderProblem(`At most ${LINES_MAX} different plants in one order.`);
  for (const { quantity } of wanted) {
    const fine = Number.isInteger(quantity) && quantity > 0 && quantity <= QUANTITY_MAX;
    if (!fine) throw new OrderProblem(`Between 1 and ${QUANTITY_MAX} of a plant, please.`);
  }
  if (new Set(wanted.map((line) => line.product)).size < wanted.length) {
    throw new OrderProblem('Name each plant once.');
  }
  return { name, email, lines: wanted };
}

function formLines(body) {
  return Object.entries(body).flatMap(([key, value]) => {
    const product = /^quantity-([a-z-]{1,60})$/.exec(key)?.[1];
    return product === undefined || value === '' ? [] : [{ product, quantity: value }];
  });
}

export async function placeOrder({ name, email, lines }) {
  return await transaction(async (client) => {
    const customer = await client.query(
      `insert into customers (email, name) values ($1, $2)
       on conflict (email) do update set name = excluded.name returning id`,
      [email, name],
    );
    // Always in the same order, so that two orders for the same plants cannot block one another.
    const sorted = [...lines].sort((left, right) => (left.product < right.product ? -1 : 1));
    const order = await client.query(`insert into orders (customer_id) values ($1) returning id::text`, [
      customer.rows[0].id,
    ]);
    for (const { product, quantity } of sorted) {
      const sold = await client.query(
        `with sold as (update products set stock = stock - $2 where slug = $1 and stock >= $2 returning id, price_cents)
         insert into order_lines (order_id, product_id, quantity, price_cents) select $3, id, $2, price_cents from sold`,
        [product, quantity, order.rows[0].id],
      );
      if (sold.rowCount === 0) throw new OrderProblem(`We have not enough of "${product}".`);
    }
    return order.rows[0].id;
  });
}

const ORDERS = `
  select o.id::text, o.state, o.placed_at as "placedAt", o.packed_at as "packedAt", o.receipt, c.name as customer,
    coalesce(sum(l.quantity * l.price_cents), 0)::int as "totalCents", coalesce(sum(l.quantity), 0)::int as plants
  from orders o join customers c on c.id = o.customer_id left join order_lines l on l.order_id = o.id`;

export async function latestOrders() {
  const { rows } = await pool.query(
    `${ORDERS} where o.id in (select id from orders order by placed_at desc, id desc limit 8)
     group by o.id, c.name order by o.placed_at desc, o.id desc`,
  );
  return rows;
}

/** Undefined when there is none. */
export async function findOrder(id) {
  const { rows } = await pool.query(`${ORDERS} where o.id = $1 group by o.id, c.name`, [id]);
  if (rows[0] === undefined) return undefined;
  const lines = await pool.query(
    `select p.name, p.slug, l.quantity, l.price_cents as "priceCents"
     from order_lines l join products p on p.id = l.product_id where l.order_id = $1 order by p.id`,
    [id],
  );
  return { ...rows[0], lines: lines.rows };
}

/** Takes the oldest order that nobody packs; undefined when there is none. */
export async function takeOrder() {
  const { rows } = await pool.query(
    `update orders set state = 'packing' where id =
       (select id from orders where state = 'placed' order by id limit 1 for update skip locked) returning id::text`,
  );
  return rows[0]?.id;
}

export async function orderPacked(id, receipt) {
  await pool.query(`update orders set state = 'packed', packed_at = now(), receipt = $2 where id = $1`, [
    id,
    receipt,
  ]);
}

/** Orders that a worker was packing when it stopped are to be packed again. */
export async function releaseOrders() {
  await pool.query(`update orders set state = 'placed' where state = 'packing'`);
}
