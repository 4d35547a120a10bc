import { Secret } from '@bough/domain/secret';
import { expect, it } from 'vitest';
import type { Address, Service, ServiceDeclaration, ServiceProgram } from './service.ts';

/** What the suite needs of an engine: it runs programs in a sandbox, the volume at /data. */
export interface ContractRunner {
  volume(): Promise<string>;
  start(options: { toolchain: string; program: ServiceProgram; volume?: string }): Promise<ContractServer>;
}

export interface ContractServer {
  readonly address: Address;
  output(): string;
  /** Sends the program's stop signal and waits for its end; the exit code. */
  stop(): Promise<number | null>;
  kill(): Promise<void>;
}

export interface ServiceUnderTest {
  readonly service: Service;
  readonly declaration: ServiceDeclaration;
  readonly runner: ContractRunner;
  /** Writes something, or reads it back, as an app does with an endpoint of the service. */
  write(
    address: Address,
    server: {
      service: Service;
      declaration: ServiceDeclaration;
      credentials: ReturnType<Service['credentials']>;
    },
  ): Promise<void>;
  read(
    address: Address,
    server: {
      service: Service;
      declaration: ServiceDeclaration;
      credentials: ReturnType<Service['credentials']>;
    },
  ): Promise<boolean>;
}

const startTimeoutMs = 60_000;

/** What every service promises (service.ts), shown on real servers. */
export function serviceContract(under: () => ServiceUnderTest): void {
  const start = async (mode: 'production' | 'preview' = 'preview') => {
    const { service, declaration, runner, ...app } = under();
    const credentials = service.credentials(declaration);
    const volume = service.persistent(declaration.type) ? await runner.volume() : undefined;
    const launch = () =>
      runner.start({
        toolchain: service.toolchain(declaration),
        program: service.program(declaration, credentials, mode),
        ...(volume === undefined ? {} : { volume }),
      });
    return { service, declaration, credentials, app, launch, server: await launch() };
  };
  const soon = () => AbortSignal.timeout(startTimeoutMs);

  it('accepts its own declaration and names what is wrong with another', () => {
    const { service, declaration } = under();
    expect(service.check(declaration)).toEqual([]);
    const problems = service.check({ ...declaration, configuration: { nonsense: true } });
    expect(problems).toMatchObject([{ path: ['nonsense'] }]);
    expect(problems[0]?.hint).not.toBe('');
  });

  it('makes fresh credentials every time, which do not print', () => {
    const { service, declaration } = under();
    const [one, two] = [service.credentials(declaration), service.credentials(declaration)];
    expect(one.password.reveal()).not.toBe(two.password.reveal());
    expect(one.password.reveal().length).toBeGreaterThanOrEqual(32);
    const program = service.program(declaration, one, 'production');
    const visible = JSON.stringify({ one, program, endpoints: service.endpoints(declaration, one) });
    expect(visible).not.toContain(one.password.reveal());
    for (const { password } of Object.values(one.endpoints)) expect(visible).not.toContain(password.reveal());
  });

  for (const mode of ['production', 'preview'] as const) {
    it(`starts for ${mode}, says its exact version, serves an app, and keeps what it promises to keep`, async () => {
      const { service, declaration, credentials, app, launch, server } = await start(mode);
      const { version } = await service.ready(server.address, credentials, soon());
      expect(version).toMatch(new RegExp(`^${declaration.version.replaceAll('.', '\\.')}\\.\\d+`));
      const side = { service, declaration, credentials };
      await service.provision(declaration, server.address, credentials);
      await service.provision(declaration, server.address, credentials);
      await app.write(server.address, side);
      expect(await app.read(server.address, side)).toBe(true);
      expect(await server.stop()).toBe(0);
      const again = await launch();
      await service.ready(again.address, credentials, soon());
      await service.provision(declaration, again.address, credentials);
      expect(await app.read(again.address, side)).toBe(service.persistent(declaration.type));
      await again.kill();
      const revived = await launch();
      await service.ready(revived.address, credentials, soon());
      expect(await revived.stop()).toBe(0);
    }, 120_000);
  }

  it('refuses a wrong password at once, and stops asking when it is told to', async () => {
    const { service, declaration, credentials, server } = await start();
    await service.ready(server.address, credentials, soon());
    const wrong = { ...credentials, password: new Secret('wrong-password') };
    await expect(service.ready(server.address, wrong, soon())).rejects.toMatchObject({
      code: 'service-refused',
    });
    const secrets = [
      credentials.password,
      ...Object.values(credentials.endpoints).map((one) => one.password),
    ];
    for (const secret of secrets) expect(server.output()).not.toContain(secret.reveal());
    await server.stop();
    const startedAt = Date.now();
    await expect(service.ready(server.address, credentials, AbortSignal.timeout(300))).rejects.toThrow();
    expect(Date.now() - startedAt).toBeLessThan(3_000);
    expect(service.endpoints(declaration, credentials)).not.toEqual({});
  }, 120_000);
}
