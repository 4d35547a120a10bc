-- Up Migration
create table customers (
  id bigint generated always as identity primary key,
  email text not null unique,
  name text not null,
  phone text,
  street text,
  city text,
  created_at timestamptz not null default now()
);

create table products (
  id bigint generated always as identity primary key,
  slug text not null unique,
  name text not null,
  description text not null,
  price_cents integer not null check (price_cents > 0),
  stock integer not null check (stock >= 0)
);

create table orders (
  id bigint generated always as identity primary key,
  customer_id bigint not null references customers,
  state text not null default 'placed' check (state in ('placed', 'packing', 'packed', 'shipped')),
  placed_at timestamptz not null default now(),
  packed_at timestamptz,
  receipt text
);

create table order_lines (
  order_id bigint not null references orders on delete cascade,
  product_id bigint not null references products,
  quantity integer not null check (quantity between 1 and 20),
  price_cents integer not null,
  primary key (order_id, product_id)
);

-- Down Migration
drop table order_lines, orders, products, customers;
