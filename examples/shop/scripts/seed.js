// Fills the shop with invented customers and orders, in a handful of statements. With --if-empty it does nothing where
// there are products already, which is so in every preview that holds a clone of production's data.
import { catalogue } from '../src/catalogue.js';
import { pool, transaction } from '../src/database.js';

const CUSTOMERS = 10_000;
const ORDERS = 12_000;

async function seed(client) {
  // Two deployments at once seed once: the second waits here and then finds the products.
  await client.query('select pg_advisory_xact_lock(20260101)');
  const { rows } = await client.query('select count(*)::int as products from products');
  if (rows[0].products > 0) {
    if (!process.argv.includes('--if-empty')) throw new Error('There are products already; use --if-empty.');
    console.log(`seed: ${rows[0].products} products are there, nothing to do`);
    return;
  }
  await client.query(
    `insert into products (slug, name, description, price_cents, stock)
     select slug, name, description, "priceCents", stock
     from json_to_recordset($1) as p (slug text, name text, description text, "priceCents" int, stock int)`,
    [JSON.stringify(catalogue)],
  );
  await client.query(customers, [CUSTOMERS]);
  await client.query(orders, [ORDERS, CUSTOMERS]);
  await client.query(lines, [catalogue.length]);
  // The last three are left for the worker, so that it has something to do.
  await client.query(
    `update orders set state = 'placed', packed_at = null where id > (select max(id) - 3 from orders)`,
  );
  console.log(`seed: ${catalogue.length} products, ${CUSTOMERS} customers, ${ORDERS} orders`);
}

const customers = `
  insert into customers (email, name, phone, street, city, created_at)
  select lower(given || '.' || family || '.' || n || '@example.com'), given || ' ' || family,
    '+49 30 ' || lpad((n * 7919 % 1000000)::text, 6, '0'), street || ' ' || (1 + n % 120), city,
    now() - make_interval(mins => n * 47)
  from generate_series(1, $1::int) n
  cross join lateral (select
    (array['Ada','Ben','Chloe','Deniz','Elif','Femi','Grace','Hugo','Ines','Jonas','Kaja','Liam','Mina','Noor','Otto','Pia'])[1 + n % 16] as given,
    (array['Alder','Birch','Cedar','Dogwood','Elm','Fir','Gorse','Hazel','Ivy','Juniper','Larch','Maple','Oak'])[1 + n % 13] as family,
    (array['Moss Lane','Garden Street','Linden Avenue','Canal Road','Orchard Row','Hill Street','Park View'])[1 + n % 7] as street,
    (array['Berlin','Lisbon','Lyon','Utrecht','Gdansk','Turin','Malmo','Graz','Bergen','Cork','Ghent'])[1 + n % 11] as city) words`;

const orders = `
  insert into orders (customer_id, state, placed_at, packed_at)
  select c.id, case when n % 5 = 0 then 'packed' else 'shipped' end, placed_at, placed_at + interval '2 hours'
  from generate_series(1, $1::int) n
  join (select id, row_number() over (order by id) as position from customers) c on c.position = 1 + n::bigint * 6151 % $2::int
  cross join lateral (select now() - make_interval(mins => ($1::int - n) * 31 + 180) as placed_at) times
  order by n`;

const lines = `
  insert into order_lines (order_id, product_id, quantity, price_cents)
  select o.id, p.id, 1 + (o.id + p.id) % 3, p.price_cents
  from orders o
  cross join lateral (select distinct 1 + (o.id * 31 + k * 5) % $1::int as position from generate_series(1, 1 + (o.id % 4)::int) k) chosen
  join (select id, price_cents, row_number() over (order by id) as position from products) p using (position)`;

await transaction(seed);
await pool.end();
