import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { Secret } from '@bough/domain/secret';
import { testToolchain } from '@bough/testkit/test-toolchain';
import { toolchainEnvironment } from '@bough/toolchain/toolchain';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mariadb } from '../src/mariadb/service.ts';
import type { Address, Credentials, DataSource, ServiceDeclaration, ToolPlace } from '../src/service.ts';
import { findSeries, skipNote } from './find-series.ts';
import { mariadbQuery, mariadbUrl } from './mariadb.ts';
import { createServiceRunner, type ServiceRunner } from './service-runner.ts';

const { series, why } = await findSeries('mariadb');
const declaration: ServiceDeclaration = {
  name: 'database',
  type: 'mariadb',
  version: series || '10.11',
  configuration: {},
};

interface Server {
  readonly address: Address;
  readonly credentials: Credentials;
}

describe.skipIf(why !== undefined)(`mariadb:${series}, load${skipNote(why)}`, { timeout: 120_000 }, () => {
  let runner: ServiceRunner;
  let source: Server;
  let target: Server;
  let place: ToolPlace;

  async function startServer(): Promise<Server> {
    const credentials = mariadb.credentials(declaration);
    const program = mariadb.program(declaration, credentials, 'capture');
    const volume = await runner.volume();
    const { address } = await runner.start({ toolchain: mariadb.toolchain(declaration), program, volume });
    await mariadb.ready(address, credentials, AbortSignal.timeout(60_000));
    await mariadb.provision(declaration, address, credentials);
    return { address, credentials };
  }

  const urlOf = (of: Server) => mariadbUrl(mariadb.endpoints(declaration, of.credentials).mysql, of.address);
  const ask = (of: Server, sql: string) => mariadbQuery(urlOf(of), sql);
  const asBough = ({ credentials, address }: Server, sql: string) =>
    mariadbQuery(
      `mysql://${credentials.username}:${credentials.password.reveal()}@${address.host}:${address.port}/main`,
      sql,
    );
  const lines: string[] = [];
  const load = (from: DataSource) =>
    mariadb.load?.(
      from,
      { ...target, declaration },
      { signal: AbortSignal.timeout(60_000), line: (text) => lines.push(text), tools: async () => place },
    );
  const refusal = async (from: DataSource): Promise<{ code: string; message: string; hint: string }> =>
    await Promise.resolve(load(from)).then(
      () => {
        throw new Error('it was loaded');
      },
      (error) => error,
    );

  beforeAll(async () => {
    runner = await createServiceRunner();
    const tool = await (await testToolchain()).resolve(mariadb.toolchain(declaration));
    place = { bin: tool.bin, env: toolchainEnvironment([tool]) };
    [source, target] = await Promise.all([startServer(), startServer()]);
    await ask(
      source,
      "create table people (id int primary key auto_increment, email varchar(100) character set latin1 unique, face blob) comment 'it''s; \\\\'",
    );
    await ask(source, `insert into people (email, face) values ('zoë@example.com', x'00275c0aff3b22')`);
    await ask(
      source,
      `insert into people (email) select concat('p', seq, '@example.com') from seq_1_to_1000`,
    );
    await ask(source, 'create table orders (id int primary key, person int references people (id))');
    await ask(source, 'insert into orders select id, id from people');
    // Made by somebody who is not there in the copy.
    await asBough(source, 'create view everybody as select email from people');
    await asBough(
      source,
      `create trigger shout before insert on people for each row begin set new.email = upper(new.email); set new.face = ';'; end`,
    );
    await asBough(source, 'create function twice(n int) returns int deterministic return n * 2');
  }, 120_000);

  afterAll(() => runner?.close());

  async function empty(): Promise<void> {
    await ask(target, 'drop view if exists everybody');
    await ask(target, 'drop table if exists orders, people, t');
    await ask(target, 'drop function if exists twice');
  }

  test('what cannot be read is said without the connection string', async () => {
    const right = urlOf(source);
    const wrong = await refusal({
      kind: 'url',
      url: new Secret(right.replace(/:[^:@]+@/, ':wrong-secret@')),
    });
    expect(wrong).toMatchObject({ code: 'source-refused' });
    expect(JSON.stringify([wrong.message, wrong.hint])).not.toContain('wrong-secret');
    expect(await refusal({ kind: 'url', url: new Secret('mysql://u:p@127.0.0.1:1/main') })).toMatchObject({
      code: 'source-unreachable',
    });
    expect(await refusal({ kind: 'url', url: new Secret('postgresql://u:p@h/main') })).toMatchObject({
      code: 'source-malformed',
    });
    // Its functions are not its own.
    expect(await refusal({ kind: 'url', url: new Secret(right) })).toMatchObject({
      code: 'source-not-readable',
      message: expect.stringContaining('insufficient privileges to SHOW CREATE FUNCTION'),
    });
    await empty();
    expect(await refusal({ kind: 'url', url: new Secret(right), standby: true })).toMatchObject({
      code: 'source-not-standby',
    });
  });

  test('a server and dumps of it come over whole, made by the user of the service', async () => {
    const dump = join(runner.home, 'shop.sql');
    const { username, password } = source.credentials;
    const flags = ['--no-defaults', '--routines', `--result-file=${dump}`];
    const login = [
      '--protocol=tcp',
      `--port=${source.address.port}`,
      '--host=127.0.0.1',
      `--user=${username}`,
    ];
    await promisify(execFile)(await dumpTool(), [...flags, ...login, 'main'], {
      env: { ...place.env, MYSQL_PWD: password.reveal() },
    });
    const packed = join(runner.home, 'shop.sql.gz');
    await writeFile(packed, gzipSync(await readFile(dump)));
    const root = `mysql://${username}:${password.reveal()}@127.0.0.1:${source.address.port}/main`;
    for (const from of [
      { kind: 'url', url: new Secret(root) },
      { kind: 'file', path: dump },
      { kind: 'file', path: packed },
    ] as const) {
      await empty();
      await load(from);
      const [found] = await ask(
        target,
        `select (select count(*) from everybody) as people, (select count(*) from orders join people on people.id = person) as orders,
           (select hex(face) from people where email = 'zoë@example.com') as face, twice(4) as eight,
           (select definer from information_schema.views where table_name = 'everybody') as definer`,
      );
      expect(found, JSON.stringify(from)).toEqual({
        ...{ people: 1001, orders: 1001, face: '00275C0AFF3B22', eight: 8, definer: 'user@%' },
      });
      await ask(target, `insert into people (id, email) values (5000, 'new@example.com')`);
      expect(await ask(target, 'select email from people where id = 5000')).toEqual([
        { email: 'NEW@EXAMPLE.COM' },
      ]);
    }
    expect(lines.join('\n')).toMatch(/reading MariaDB .* with mariadb-dump[\s\S]*MB read in/);
  });

  async function dumpTool(): Promise<string> {
    for (const directory of place.bin)
      for (const name of ['mariadb-dump', 'mysqldump'])
        if (await readFile(join(directory, name)).then(Boolean, () => false)) return join(directory, name);
    throw new Error('no mariadb-dump');
  }

  test('a dump is nobody special, whole or refused, and its values are in no message', async () => {
    const sql = async (text: string) => {
      const path = join(runner.home, 'bad.sql');
      await writeFile(path, text);
      await empty();
      return await refusal({ kind: 'file', path });
    };
    expect(await sql('create table t (id int);\n\\! touch /tmp/never\n')).toMatchObject({
      message: expect.stringContaining('line 2: "\\!" is a command'),
    });
    expect((await sql("select 1;\nselect 'x' into outfile '/data/tmp/never';")).message).toMatch(
      /line 2: MariaDB error 1227: Access denied/,
    );
    expect((await sql("load data local infile '/etc/passwd' into table t;")).code).toBe('source-not-loaded');
    expect(await sql('create database other;')).toMatchObject({
      message: expect.stringContaining('1044'),
      hint: expect.stringContaining('without --databases'),
    });
    const row = await sql("create table t (id int);\ninsert into t values ('ada@example.com');");
    expect(row.message).toMatch(/line 2: MariaDB error 1366: [\s\S]*insert into t/);
    expect(row.message).not.toContain('ada@');
    const whole = await readFile(join(runner.home, 'shop.sql'), 'utf8');
    expect((await sql(whole.slice(0, whole.lastIndexOf(';') + 1))).message).toContain('not whole');
  });
});
