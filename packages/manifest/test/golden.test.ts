import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { compilePlan, toolchainsOf } from '../src/compile-plan.ts';
import type { ServiceEntry } from '../src/manifest.ts';
import { readManifest } from '../src/read-manifest.ts';

const directory = new URL('./manifests/', import.meta.url);
const examples = new URL('../../../examples/shop/.bough/config.yaml', import.meta.url);
const files = readdirSync(directory).filter((name) => name.endsWith('.yaml'));
const serviceToolchain = (service: ServiceEntry) => `${service.type}:${service.version}`;

function compiled(url: URL): string {
  const result = readManifest({ '.bough/config.yaml': readFileSync(url, 'utf8') });
  if (result.kind !== 'manifest') throw new Error(JSON.stringify(result));
  const wants = toolchainsOf(result.manifest, serviceToolchain);
  const plan = compilePlan(result.manifest, {
    kind: 'preview',
    slug: 'pr-7--shop',
    previewUrl: 'https://*.preview.example.com',
    versions: new Map(
      wants.map((want) => [want, { version: `${want.split(':')[1]}.9`, digest: `digest of ${want}` }]),
    ),
    serviceToolchain,
  });
  return `${JSON.stringify(plan, null, 2)}\n`;
}

// A changed plan changes every fingerprint: look at the difference before `vitest -u`.
test.each(files)('%s compiles to the plan beside it', async (name) => {
  const plan = compiled(new URL(name, directory));
  await expect(plan).toMatchFileSnapshot(new URL(name.replace('.yaml', '.plan.txt'), directory).pathname);
});

test('the example shop compiles', () => {
  expect(JSON.parse(compiled(examples)).common.apps[0]).toMatchObject({
    name: 'web',
    toolchains: [{ want: 'nodejs:22' }],
    workers: [{ name: 'orders' }],
    mounts: [{ path: 'uploads', volume: 'web:uploads' }],
  });
});
