-- A small shop: the same rows every time it is made.
select setseed(0.2026);

create table customers (
  id bigint generated always as identity primary key,
  name text not null,
  email text not null unique check (email like '%_@_%'),
  country char(2) not null check (country ~ '^[A-Z]{2}$'),
  created_at timestamptz not null
);

create table products (
  id bigint generated always as identity primary key,
  sku text not null unique,
  title text not null,
  price numeric(10, 2) not null check (price > 0),
  stock integer not null check (stock >= 0)
);

create table invoices (
  id bigint generated always as identity primary key,
  customer_id bigint not null references customers,
  number text not null unique,
  status text not null check (status in ('draft', 'sent', 'paid', 'overdue')),
  issued_on date not null,
  due_on date not null,
  check (due_on >= issued_on)
);
create index on invoices (customer_id);
create index on invoices (status, due_on);

create table invoice_lines (
  invoice_id bigint not null references invoices on delete cascade,
  line integer not null check (line > 0),
  product_id bigint not null references products,
  quantity integer not null check (quantity > 0),
  unit_price numeric(10, 2) not null check (unit_price >= 0),
  primary key (invoice_id, line)
);
create index on invoice_lines (product_id);

insert into customers (name, email, country, created_at)
select
  first || ' ' || last,
  lower(first || '.' || last) || n || '@example.' || (array['com', 'net', 'org'])[1 + n % 3],
  (array['DE', 'FR', 'NL', 'PT', 'SE', 'US', 'CA', 'JP'])[1 + floor(random() * 8)::int],
  timestamptz '2024-01-01 08:00Z' + random() * interval '900 days'
from generate_series(1, 400) as n
cross join lateral (
  select
    (array['Ada', 'Grace', 'Linus', 'Mary', 'Alan', 'Edith', 'Omar', 'Noor', 'Mei', 'Tomas'])[1 + n % 10] as first,
    (array['Okafor', 'Lindqvist', 'Moreau', 'Tanaka', 'Silva', 'Novak', 'Haddad', 'Weber'])[1 + (n / 10) % 8] as last
) as person;

insert into products (sku, title, price, stock)
select
  'SKU-' || to_char(n, 'FM0000'),
  (array['Desk', 'Lamp', 'Chair', 'Shelf', 'Notebook', 'Pen', 'Monitor arm', 'Footrest'])[1 + n % 8]
    || ', ' || (array['oak', 'black', 'white', 'birch', 'steel', 'green'])[1 + (n / 8) % 6],
  round((4 + random() * 400)::numeric, 2),
  floor(random() * 250)::int
from generate_series(1, 48) as n;

insert into invoices (customer_id, number, status, issued_on, due_on)
select
  1 + floor(random() * 400)::int,
  'INV-' || to_char(issued_on, 'YYYY') || '-' || to_char(n, 'FM00000'),
  (array['paid', 'paid', 'paid', 'paid', 'sent', 'sent', 'overdue', 'draft'])[1 + floor(random() * 8)::int],
  issued_on,
  issued_on + 30
from (select n, date '2024-06-01' + n / 3 as issued_on from generate_series(1, 2400) as n) as numbered;

insert into invoice_lines (invoice_id, line, product_id, quantity, unit_price)
select invoices.id, line, products.id, 1 + floor(random() * 5)::int, products.price
from invoices
cross join generate_series(1, 3) as line
join products on products.id = 1 + (invoices.id * 7 + line * 13) % 48
where line = 1 or (invoices.id + line) % 3 <> 0;

create view monthly_revenue as
select date_trunc('month', issued_on)::date as month, sum(quantity * unit_price) as revenue
from invoices join invoice_lines on invoice_lines.invoice_id = invoices.id
where status <> 'draft'
group by 1
order by 1;

grant select on all tables in schema public to shop_readonly;
alter default privileges in schema public grant select on tables to shop_readonly;
grant select on monthly_revenue to shop_reporting;
