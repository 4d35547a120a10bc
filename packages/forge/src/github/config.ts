import { readFileSync } from 'node:fs';
import { Secret } from '@bough/domain/secret';
import { z } from 'zod';
import type { GitHubAuth } from './options.ts';

/** The variables by which an operator connects GitHub; server and worker read the same ones. */
export const GitHubConfig = z
  .object({
    GITHUB_API_URL: z.url({ protocol: /^https?$/ }).default('https://api.github.com'),
    GITHUB_WEBHOOK_SECRET: z.string().min(1).optional(),
    GITHUB_APP_ID: z.string().regex(/^\d+$/, 'is the number that the App’s settings page shows').optional(),
    GITHUB_APP_PRIVATE_KEY: z.string().min(1).optional(),
    GITHUB_TOKEN: z.string().min(1).optional(),
    /** GitHub asks for a second between writes; a forge of one's own need not. */
    BOUGH_FORGE_WRITE_SPACING_MS: z.coerce.number().int().min(0).max(60_000).default(1_000),
    /** For one request; GitHub itself ends one after ten seconds. */
    BOUGH_FORGE_TIMEOUT_SECONDS: z.coerce.number().int().min(1).max(300).default(15),
  })
  .transform((given, context): GitHubSettings | null => {
    const auth = authOf(given, (message) => context.addIssue({ code: 'custom', message }));
    if (auth === null) return null;
    return {
      apiUrl: given.GITHUB_API_URL.replace(/\/+$/, ''),
      webhookSecrets: (given.GITHUB_WEBHOOK_SECRET ?? '')
        .split(',')
        .map((secret) => secret.trim())
        .filter((secret) => secret !== '')
        .map((secret) => new Secret(secret)),
      auth,
      writeSpacingMs: given.BOUGH_FORGE_WRITE_SPACING_MS,
      requestTimeoutMs: given.BOUGH_FORGE_TIMEOUT_SECONDS * 1_000,
    };
  });

/** Null where nothing connects GitHub: Bough starts all the same and says what to set. */
export interface GitHubSettings {
  readonly apiUrl: string;
  readonly webhookSecrets: readonly Secret[];
  readonly auth: GitHubAuth;
  readonly writeSpacingMs: number;
  readonly requestTimeoutMs: number;
}

function authOf(
  given: {
    GITHUB_APP_ID?: string | undefined;
    GITHUB_APP_PRIVATE_KEY?: string | undefined;
    GITHUB_TOKEN?: string | undefined;
  },
  problem: (message: string) => void,
): GitHubAuth | null {
  const { GITHUB_APP_ID: appId, GITHUB_APP_PRIVATE_KEY: key, GITHUB_TOKEN: token } = given;
  if ((appId === undefined) !== (key === undefined)) {
    problem(
      'GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY belong together: set both, or use GITHUB_TOKEN instead',
    );
    return null;
  }
  if (appId !== undefined && key !== undefined) {
    const pem = privateKey(key, problem);
    return pem === null ? null : { kind: 'app', appId, privateKey: new Secret(pem) };
  }
  return token === undefined ? null : { kind: 'token', token: new Secret(token) };
}

/** The PEM itself, or a file that holds it. */
function privateKey(given: string, problem: (message: string) => void): string | null {
  if (given.includes('-----BEGIN')) return given.replaceAll('\\n', '\n');
  try {
    return readFileSync(given, 'utf8');
  } catch {
    problem('GITHUB_APP_PRIVATE_KEY is neither a PEM text nor the path of a file that can be read');
    return null;
  }
}
