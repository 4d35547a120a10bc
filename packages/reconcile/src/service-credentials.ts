import { Secret } from '@bough/domain/secret';
import type { Credentials } from '@bough/service/service';
import { z } from 'zod';

const Stored = z.object({
  username: z.string(),
  password: z.string(),
  endpoints: z.record(z.string(), z.object({ username: z.string(), password: z.string() })),
});

/** Credentials as the text that the store seals. */
export function writeCredentials(credentials: Credentials): string {
  return JSON.stringify({
    username: credentials.username,
    password: credentials.password.reveal(),
    endpoints: Object.fromEntries(
      Object.entries(credentials.endpoints).map(([name, endpoint]) => [
        name,
        { username: endpoint.username, password: endpoint.password.reveal() },
      ]),
    ),
  });
}

export function readCredentials(text: string): Credentials {
  const stored = Stored.parse(JSON.parse(text));
  return {
    username: stored.username,
    password: new Secret(stored.password),
    endpoints: Object.fromEntries(
      Object.entries(stored.endpoints).map(([name, endpoint]) => [
        name,
        { username: endpoint.username, password: new Secret(endpoint.password) },
      ]),
    ),
  };
}

export function secretsOf(credentials: Credentials): Secret[] {
  return [credentials.password, ...Object.values(credentials.endpoints).map((endpoint) => endpoint.password)];
}
