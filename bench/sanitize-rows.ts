import type { SanitizePolicy, TableRule, TextRule } from '@bough/manifest/sanitize-policy';

/** One order for every fifth user, joined to it by number and by address. */
export const ORDERS_SHARE = 5;

/** Filled by production's own user, each table in one transaction, as a restored dump would be. */
export function fillUsersSql(rows: number): string[] {
  return [
    `begin;
     create table users (id bigint not null, email text not null, name text not null, phone text, address text,
       city text, token text, notes text, plan int, created_at timestamptz not null);
     insert into users select n, 'person.' || n || '@mail' || n % 97 || '.example-real.de', 'Given' || n % 5003 || ' Family' || n % 7001,
       '+49 ' || 30 + n % 900 || ' ' || 1000000 + (n::bigint * 7919) % 8999999, n % 300 || ' Real Street', 'Town ' || n % 2003,
       md5(n::text), 'Called about order ' || n || ', wants it sent on to the neighbours.', n % 4, timestamptz '2026-01-01' + n * interval '1 second'
       from generate_series(1, ${rows}) n;
     alter table users add primary key (id), add unique (email);
     create index on users (phone);
     commit`,
    `begin;
     create table orders (id bigint primary key, user_id bigint not null, user_email text not null, total numeric not null, created_at timestamptz not null);
     insert into orders select n, n * ${ORDERS_SHARE}, 'person.' || n * ${ORDERS_SHARE} || '@mail' || (n * ${ORDERS_SHARE}) % 97 || '.example-real.de', n % 1000, now()
       from generate_series(1, ${Math.floor(rows / ORDERS_SHARE)}) n;
     alter table orders add foreign key (user_id) references users, add foreign key (user_email) references users (email);
     create index on orders (user_email);
     commit`,
    'vacuum analyze',
  ];
}

const columns: Readonly<Record<string, TextRule>> = {
  email: 'email',
  name: 'name',
  phone: 'phone',
  address: 'address',
  city: 'city',
  token: 'token',
  notes: 'free-text',
};

const nothing: TableRule = { truncate: false, keep: null, where: null, columns: [] };

/** The joined address needs no rule of its own: it is masked as what it refers to. */
export const policy: SanitizePolicy = {
  kept: ['ids', 'numbers', 'timestamps', 'enums', 'booleans'],
  tables: [
    {
      pattern: 'users',
      rule: {
        ...nothing,
        columns: Object.entries(columns).map(([pattern, rule]) => ({
          pattern,
          rule: { rule, domain: null },
        })),
      },
    },
  ],
  columns: [],
  default: 'fail',
  mounts: [],
  largeObjects: 'fail',
  comments: 'keep',
};

/**
 * What somebody writes who knows PostgreSQL well and has one evening: the key in the statement, one HMAC a value, one
 * rewrite for each table, references dropped before and checked after, all in one transaction, which spares the log.
 */
export function byHandSql(key: string): string[] {
  const mac = (column: string) => `encode(hmac(${column}, '${key}', 'sha256'), 'hex')`;
  const email = (column: string) => `'u' || left(${mac(column)}, 16) || '@example.test'`;
  const pick = (words: string, column: string) =>
    `(array[${words
      .split(',')
      .map((word) => `'${word}'`)
      .join(',')}])[1 + ('x' || left(${mac(column)}, 7))::bit(28)::int % ${words.split(',').length}]`;
  const names = 'Ada,Bea,Cara,Dana,Edda,Fay,Gita,Ida,Jana,Kaya,Lena,Maya,Nora,Pia,Rosa,Uma';
  return [
    'create extension if not exists pgcrypto',
    `begin;
     alter table orders drop constraint orders_user_id_fkey, drop constraint orders_user_email_fkey;
     alter table users
       alter email type text using ${email('email')},
       alter name type text using ${pick(names, 'name')} || ' Doe',
       alter phone type text using '+999' || left(translate(${mac('phone')}, 'abcdef', '012345'), 10),
       alter address type text using ${pick(names, 'address')} || ' Street 1',
       alter city type text using ${pick(names, 'city')} || 'town',
       alter token type text using ${mac('token')},
       alter notes type text using left(repeat('lorem ipsum ', 20), length(notes));
     alter table orders alter user_email type text using ${email('user_email')};
     analyze users; analyze orders;
     alter table orders add foreign key (user_id) references users, add foreign key (user_email) references users (email);
     commit`,
  ];
}
