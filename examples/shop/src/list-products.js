import { pool } from './database.js';

export async function listProducts() {
  const { rows } = await pool.query(
    `select id::int, slug, name, description, price_cents as "priceCents", stock from products order by id limit 100`,
  );
  return rows;
}
