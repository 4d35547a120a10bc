import { afterAll, describe, expect, it } from 'vitest';
import { describeForge } from '../src/contract.ts';
import { type SandboxFixture, startSandboxFixture } from './sandbox-fixture.ts';

for (const auth of ['token', 'app'] as const) {
  describe(auth, () => {
    let fixture: SandboxFixture | undefined;
    describeForge(`GitHub with ${auth === 'app' ? 'an App' : 'a token'}`, async () => {
      fixture = await startSandboxFixture(auth);
      // Closed below, after the calls were looked at.
      return { ...fixture, close: async () => undefined };
    });
    afterAll(() => fixture?.close());

    it('made only calls that GitHub publishes', () => {
      fixture?.expectConformingCalls();
      expect(fixture).toBeDefined();
    });
  });
}
