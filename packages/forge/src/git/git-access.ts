import { Secret } from '@bough/domain/secret';

/** Credentials for one server, as git configuration that travels in the environment alone. */
export interface GitAccess {
  readonly config: Readonly<Record<string, string>>;
  /** Every form in which the credential could show up in what git says. */
  readonly secrets: readonly Secret[];
}

/** Basic authorization with a token, sent to the server of `url` and to no other. */
export function accessByToken(url: string, token: Secret): GitAccess {
  const basic = Buffer.from(`x-access-token:${token.reveal()}`).toString('base64');
  return {
    config: { [`http.${new URL(url).origin}/.extraHeader`]: `Authorization: Basic ${basic}` },
    secrets: [token, new Secret(basic)],
  };
}
