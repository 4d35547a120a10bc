import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testGit } from '@bough/testkit/test-git';
import { createAppAuth } from '@octokit/auth-app';
import { Octokit } from '@octokit/rest';
import { execa } from 'execa';
import { startSandboxForge } from '../src/sandbox-forge.ts';

export const TOKEN = 'sandbox-test-token';
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** A sandbox with acme/shop: `main` and a pull request's branch `feature`. */
export async function startFixture() {
  const home = await mkdtemp(join(tmpdir(), 'bough-sandbox-'));
  const failures: unknown[] = [];
  const log = (message: string, fields?: object) => void failures.push({ message, ...fields });
  const git = await testGit();
  const options = { home: join(home, 'forge'), token: TOKEN, git, log };
  const forge = await startSandboxForge(options);
  await forge.createRepository({ owner: 'acme', name: 'shop' });
  const files = { 'README.md': 'a shop\n', 'app/index.js': 'console.log(1)\n' };
  const base = await forge.commit({ repo: 'acme/shop', branch: 'main', files, message: 'Start' });
  const changes = { 'app/index.js': 'console.log(2)\n', 'app/new.js': 'export {}\n' };
  const head = await forge.commit({
    repo: 'acme/shop',
    branch: 'feature',
    files: changes,
    message: 'Change',
    from: 'main',
  });
  return {
    home,
    options,
    forge,
    failures,
    base,
    head,
    octokit: clientOf(forge.apiUrl),
    git: (args: string[], cwd = home) =>
      execa(git.command, ['-c', 'user.name=Ann', '-c', 'user.email=ann@localhost', ...args], {
        cwd,
        env: {
          ...git.env,
          GIT_TERMINAL_PROMPT: '0',
          GIT_CONFIG_GLOBAL: '/dev/null',
          GIT_CONFIG_NOSYSTEM: '1',
        },
        timeout: 30_000,
      }).then((result) => result.stdout),
    cloneUrl: (name: string) =>
      `${forge.url.replace('http://', `http://x-access-token:${TOKEN}@`)}/${name}.git`,
    close: async () => {
      await forge.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

export type Fixture = Awaited<ReturnType<typeof startFixture>>;

export function clientOf(baseUrl: string, auth = TOKEN): Octokit {
  return new Octokit({ auth, baseUrl, log: quiet });
}

export function appClientOf(
  forge: { apiUrl: string; appId: number; appPrivateKey: string },
  installationId?: number,
) {
  const auth = {
    appId: forge.appId,
    privateKey: forge.appPrivateKey,
    ...(installationId ? { installationId } : {}),
  };
  return new Octokit({ authStrategy: createAppAuth, auth, baseUrl: forge.apiUrl, log: quiet });
}

export const shop = { owner: 'acme', repo: 'shop' };
