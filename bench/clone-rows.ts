/** pgbench's tables: 100,000 accounts a unit of scale, 15 MB with their index. */
export const SCALE_PER_GB = 67;

export function scaleOf(gigabytes: number): number {
  return Math.max(1, Math.round(gigabytes * SCALE_PER_GB));
}

/** Each table is made and filled in one transaction, which spares the log (wal_level minimal). */
export function fillSql(scale: number): string[] {
  return [
    `begin;
     create table pgbench_branches (bid int primary key, bbalance int not null, filler char(88));
     insert into pgbench_branches select n, 0, '' from generate_series(1, ${scale}) n;
     create table pgbench_tellers (tid int primary key, bid int not null, tbalance int not null, filler char(84));
     insert into pgbench_tellers select n, (n - 1) / 10 + 1, 0, '' from generate_series(1, ${scale * 10}) n;
     create table pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
     commit`,
    `begin;
     create table pgbench_accounts (aid int not null, bid int not null, abalance int not null, filler char(84));
     insert into pgbench_accounts select n, (n - 1) / 100000 + 1, 0, '' from generate_series(1, ${scale * 100_000}) n;
     alter table pgbench_accounts add primary key (aid);
     commit`,
    'vacuum analyze',
  ];
}

/** Equal in every clone of one golden; within one, all four sums agree. Reads every row of every table. */
export const invariantsSql = `
  select (select sum(abalance) from pgbench_accounts)::text as accounts,
         (select sum(tbalance) from pgbench_tellers)::text as tellers,
         (select sum(bbalance) from pgbench_branches)::text as branches,
         (select coalesce(sum(delta), 0) from pgbench_history)::text as history,
         (select count(*) from pgbench_history)::text as transactions,
         (select bit_xor(hashint8extended(aid::bigint * 1000003 + abalance, 0)) from pgbench_accounts)::text as checksum`;

export interface Invariants {
  readonly accounts: string;
  readonly tellers: string;
  readonly branches: string;
  readonly history: string;
  readonly transactions: string;
  readonly checksum: string;
}

/** What is wrong with a clone; undefined when it is whole and as its golden was. */
export function whyBroken(found: Invariants, first: Invariants): string | undefined {
  const sums = [found.accounts, found.tellers, found.branches, found.history];
  if (new Set(sums).size !== 1) return `the sums differ: ${sums.join(', ')}`;
  const isSame = found.checksum === first.checksum && found.transactions === first.transactions;
  return isSame ? undefined : `it is not what the first clone was: ${JSON.stringify({ found, first })}`;
}
