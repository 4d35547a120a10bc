import { createHmac } from 'node:crypto';
import { Secret } from '@bough/domain/secret';
import { canonicalDigest } from './canonical-json.ts';
import type { PlannedApp } from './plan.ts';

/** Rises when the same inputs would build something else, so that no old artifact is taken for a new one. */
const FORMAT = 1;

/**
 * Name of an artifact: equal exactly when everything that a build can see is equal (DESIGN §6.3). Secrets count by a
 * keyed digest, because keys are shown and stored in the open and a plain digest of a short secret can be guessed.
 */
export function artifactKey(inputs: {
  readonly app: PlannedApp;
  /** Git's id of the app's directory. */
  readonly treeId: string;
  /** The build's variables, as `buildVariables` made them. */
  readonly env: Readonly<Record<string, string | Secret>>;
  readonly hmacKey: Secret;
  readonly engine: string;
  /** `x64`, `arm64`. */
  readonly architecture: string;
  readonly trust: 'trusted' | 'untrusted';
  /** The request to build it anew: an artifact of its own, although everything else is equal. */
  readonly anew?: string;
}): string {
  const { app } = inputs;
  return canonicalDigest({
    format: FORMAT,
    treeId: inputs.treeId,
    build: app.build,
    toolchains: app.toolchains.map(({ want, version, digest }) => ({ want, version, digest })),
    env: Object.fromEntries(
      Object.entries(inputs.env).map(([name, value]) => [name, visible(value, inputs.hmacKey)]),
    ),
    engine: inputs.engine,
    architecture: inputs.architecture,
    trust: inputs.trust,
    ...(inputs.anew === undefined ? {} : { anew: inputs.anew }),
  });
}

function visible(value: string | Secret, key: Secret): unknown {
  if (!(value instanceof Secret)) return value;
  return { hmac: createHmac('sha256', key.reveal()).update(value.reveal()).digest('hex') };
}
