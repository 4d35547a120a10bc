import { pool } from './database.js';

export async function listProducts() {
  const { rows } = await pool.query(
    `select id::int, slug, name, description, price_cents as "priceCents", stock, rating::float8 as rating
     from products order by rating desc nulls last, id limit 100`,
  );
  return rows;
}
