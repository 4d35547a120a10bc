import { z } from 'zod';
import type { RepositoryRef } from '../forge.ts';
import type { GitHubContext } from './context.ts';
import { statusOf } from './to-forge-error.ts';

const User = z.object({ id: z.number(), login: z.string() });
const App = z.object({ id: z.number(), slug: z.string().optional() });

/** Who writes our comments. `unknown`: the token cannot say (an Actions token), so the marker alone has to do. */
export type Identity =
  | { readonly kind: 'user'; readonly id: number }
  | { readonly kind: 'app'; readonly id: number }
  | { readonly kind: 'unknown' };

const identities = new WeakMap<GitHubContext, Promise<Identity>>();

export function ownIdentity(context: GitHubContext, repository: RepositoryRef): Promise<Identity> {
  const known = identities.get(context);
  if (known) return known;
  const asked = askIdentity(context, repository);
  identities.set(context, asked);
  asked.catch(() => identities.delete(context));
  return asked;
}

async function askIdentity(context: GitHubContext, repository: RepositoryRef): Promise<Identity> {
  const app = context.credentials.forApp();
  if (app) {
    const { data } = await context.client.call('GET /app', {}, { authorization: await app, reply: App });
    return { kind: 'app', id: data.id };
  }
  const authorization = await context.credentials.forRepository(repository);
  try {
    const { data } = await context.client.call('GET /user', {}, { authorization, reply: User });
    return { kind: 'user', id: data.id };
  } catch (error) {
    if (statusOf(error) === 403 || statusOf(error) === 404) return { kind: 'unknown' };
    throw error;
  }
}
