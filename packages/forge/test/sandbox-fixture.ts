import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@bough/domain/secret';
import { testGit } from '@bough/testkit/test-git';
import { expect } from 'vitest';
import { type SandboxForge, startSandboxForge } from '../../../apps/sandbox/src/sandbox-forge.ts';
import type { ForgeFixture } from '../src/contract.ts';
import { createGitHubForge } from '../src/github/forge.ts';
import type { GitHubForgeOptions } from '../src/github/options.ts';

export const TOKEN = 'sandbox-token-0123456789';
export const HOOK_SECRET = 'sandbox-hook-secret';
export const git = await testGit();
export const log = { debug() {}, info() {}, warn() {} };

export interface SandboxFixture extends ForgeFixture {
  readonly sandbox: SandboxForge;
  readonly options: GitHubForgeOptions;
  /** Fails when a call broke GitHub's schema, or sent a field that GitHub would ignore. */
  expectConformingCalls(): void;
}

/** The GitHub driver against a sandbox forge of its own, with acme/shop. */
export async function startSandboxFixture(
  auth: 'token' | 'app',
  overrides: Partial<GitHubForgeOptions> = {},
): Promise<SandboxFixture> {
  const home = await mkdtemp(join(tmpdir(), 'bough-forge-sandbox-'));
  const sandbox = await startSandboxForge({ home, token: TOKEN, git });
  const { id } = await sandbox.createRepository({ owner: 'acme', name: 'shop', private: true });
  const repo = 'acme/shop';
  await sandbox.commit({ repo, branch: 'main', files: { 'README.md': 'a shop\n' }, message: 'Start' });
  const options: GitHubForgeOptions = {
    apiUrl: sandbox.apiUrl,
    webhookSecrets: [new Secret(HOOK_SECRET)],
    auth:
      auth === 'token'
        ? { kind: 'token', token: new Secret(TOKEN) }
        : { kind: 'app', appId: sandbox.appId, privateKey: new Secret(sandbox.appPrivateKey) },
    log,
    gitCommand: git,
    writeSpacingMs: 0,
    retryPauseMs: 1,
    ...overrides,
  };
  const forge = createGitHubForge(options);
  const repository = { id, owner: 'acme', name: 'shop' };
  return {
    sandbox,
    options,
    forge,
    repository,
    credential: auth === 'token' ? TOKEN : 'ghs_',
    push: (branch, files) =>
      sandbox.commit({ repo, branch, files, message: `Change ${branch}`, user: 'ann' }),
    openPullRequest: (head, fork) =>
      sandbox.openPullRequest({
        repo,
        head,
        title: `Try ${head}`,
        user: fork ?? 'ann',
        ...(fork ? { fork } : {}),
      }),
    closePullRequest: (number) => sandbox.closePullRequest({ repo, number }),
    mergePullRequest: async (number) => {
      await sandbox.mergePullRequest({ repo, number });
    },
    deleteBranch: (branch) => sandbox.deleteBranch({ repo, branch }),
    comment: async (number, user, body) => {
      await sandbox.comment({ repo, number, user, body });
    },
    comments: async (number) => {
      const reply = await fetch(`${sandbox.apiUrl}/repos/acme/shop/issues/${number}/comments?per_page=100`, {
        headers: { authorization: `token ${TOKEN}` },
      });
      const comments = (await reply.json()) as { id: number; body: string }[];
      return comments.map((comment) => ({ id: comment.id, body: comment.body }));
    },
    reactions: async (commentId) => {
      const reply = await fetch(`${sandbox.apiUrl}/repos/acme/shop/issues/comments/${commentId}`, {
        headers: { authorization: `token ${TOKEN}` },
      });
      return ((await reply.json()) as { reactions: Record<string, unknown> }).reactions;
    },
    setPermission: (user, permission) =>
      sandbox.setPermission({ repo, user, permission: permission as 'admin' }),
    expectConformingCalls: () => {
      const bad = sandbox.apiCalls
        // GitHub answers it although it does not publish it; see schema/README.md.
        .filter((call) => !/^\/repositories\/\d+$/.test(call.path))
        .filter(
          (call) => call.problems.length > 0 || call.ignored.length > 0 || call.answerProblems.length > 0,
        )
        .map((call) => ({
          call: `${call.method} ${call.path}`,
          problems: call.problems,
          ignored: call.ignored,
          answerProblems: call.answerProblems,
        }));
      expect(bad).toEqual([]);
      expect(sandbox.apiCalls.length).toBeGreaterThan(0);
    },
    close: async () => {
      await sandbox.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}
