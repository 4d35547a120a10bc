-- Up Migration
alter table products add column rating numeric(2, 1) check (rating between 1 and 5);

-- Until customers rate, plants that sell well are taken to be liked.
update products p set rating = 3.5 + round(1.5 * sold.share, 1)
from (
  select product_id, percent_rank() over (order by sum(quantity))::numeric as share from order_lines group by product_id
) sold
where sold.product_id = p.id;

-- Down Migration
alter table products drop column rating;
