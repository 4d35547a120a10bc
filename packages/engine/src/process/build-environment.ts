import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';

/** What the operator's machine needs for a build to reach its registries: proxy, certificates, registry. Never tokens. */
export interface BuildEnvironment {
  readonly env: Readonly<Record<string, string>>;
  /** Certificate files that are not under /etc/ssl/certs or /usr; shown to builds where they are. */
  readonly caFiles: readonly string[];
  /** Content of the npmrc that builds see as the user's. */
  readonly npmrc?: string;
}

export const emptyBuildEnvironment: BuildEnvironment = { env: {}, caFiles: [] };

const proxyVariables = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy'];
const plainVariables = ['NO_PROXY', 'no_proxy', 'SSL_CERT_DIR'];
const caVariables = [
  ...[
    'NODE_EXTRA_CA_CERTS',
    'SSL_CERT_FILE',
    'CURL_CA_BUNDLE',
    'GIT_SSL_CAINFO',
    'REQUESTS_CA_BUNDLE',
    'PIP_CERT',
  ],
];
const npmSettings = [
  ...[
    'registry',
    'cafile',
    'ca',
    'ca[]',
    'strict-ssl',
    'proxy',
    'https-proxy',
    'noproxy',
    'replace-registry-host',
  ],
  ...['fetch-retries', 'fetch-timeout', 'fetch-retry-mintimeout', 'fetch-retry-maxtimeout', 'maxsockets'],
];

/**
 * The default: what the environment and the npm configuration of whoever started Bough say about reaching registries.
 * Pull requests run in builds, so credentials are left out: tokens, passwords, and the user in a URL.
 */
export async function defaultBuildEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  home: string,
): Promise<BuildEnvironment> {
  const files = [
    ...['/usr/etc/npmrc', '/usr/local/etc/npmrc', env.NPM_CONFIG_GLOBALCONFIG ?? env.npm_config_globalconfig],
    env.NPM_CONFIG_USERCONFIG ?? env.npm_config_userconfig ?? join(home, '.npmrc'),
  ].filter((file) => file !== undefined);
  const contents = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')));
  const npmrc = filterNpmrc(contents.join('\n'), env);
  const variables = filterVariables(env);
  const wanted = [...caVariables.map((name) => variables[name]), ...settingValues(npmrc, 'cafile')];
  return { env: variables, caFiles: await shownSeparately(wanted), ...(npmrc === '' ? {} : { npmrc }) };
}

export function filterVariables(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || value === '') continue;
    const setting = /^npm_config_(.+)$/i.exec(name)?.[1]?.toLowerCase().replaceAll('_', '-');
    if (proxyVariables.includes(name)) kept[name] = withoutUser(value);
    else if (plainVariables.includes(name) || caVariables.includes(name)) kept[name] = value;
    else if (setting !== undefined && npmSettings.includes(setting)) kept[name] = withoutUser(value);
  }
  return kept;
}

/** Keeps the lines of an npmrc that say where registries are and how to reach them. */
export function filterNpmrc(text: string, env: Readonly<Record<string, string | undefined>>): string {
  const kept: string[] = [];
  for (const line of text.split('\n')) {
    const match = /^\s*([^=;#\s][^=\s]*)\s*=\s*(.*?)\s*$/.exec(line);
    const [, name, raw] = match ?? [];
    if (name === undefined || raw === undefined) continue;
    const isScope = /^@[a-z0-9~][a-z0-9._~-]*:registry$/i.test(name);
    if (!isScope && !npmSettings.includes(name)) continue;
    const value = withoutUser(
      raw.replace(/\$\{([^}]+)\}/g, (whole, variable: string) => env[variable] ?? whole),
    );
    if (!value.includes('${')) kept.push(`${name}=${value}`);
  }
  return kept.length === 0 ? '' : `${kept.join('\n')}\n`;
}

function withoutUser(value: string): string {
  return value.replace(/^("?[a-z][a-z0-9+.-]*:\/\/)[^/@]*@/i, '$1').replace(/^[^/@\s]+:[^/@\s]+@/, '');
}

function settingValues(npmrc: string, name: string): string[] {
  return npmrc
    .split('\n')
    .flatMap((line) =>
      line.startsWith(`${name}=`) ? [line.slice(name.length + 1).replaceAll('"', '')] : [],
    );
}

async function shownSeparately(files: readonly (string | undefined)[]): Promise<string[]> {
  const candidates = [...new Set(files)].filter(
    (file) =>
      file !== undefined && isAbsolute(file) && !/^\/(usr|etc\/ssl\/certs|etc\/ca-certificates)\//.test(file),
  );
  const readable = await Promise.all(
    candidates.map(async (file) => {
      if (file === undefined) return undefined;
      return readFile(file).then(
        () => file,
        () => undefined,
      );
    }),
  );
  return readable.filter((file) => file !== undefined);
}
