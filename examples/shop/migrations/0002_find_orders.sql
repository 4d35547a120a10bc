-- Up Migration
create index orders_of_customer on orders (customer_id);
create index orders_by_time on orders (placed_at desc);
create index orders_not_packed on orders (id) where state in ('placed', 'packing');

-- Down Migration
drop index orders_of_customer, orders_by_time, orders_not_packed;
