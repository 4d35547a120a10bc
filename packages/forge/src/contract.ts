import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Forge, RepositoryRef } from './forge.ts';

/** A forge with a repository whose default branch is `main`, and what people do there. */
export interface ForgeFixture {
  readonly forge: Forge;
  readonly repository: RepositoryRef;
  /** Commits to a branch, which starts at `main`; answers the commit. */
  push(branch: string, files: Readonly<Record<string, string>>): Promise<string>;
  openPullRequest(branch: string, fork?: string): Promise<number>;
  closePullRequest(number: number): Promise<void>;
  mergePullRequest(number: number): Promise<void>;
  deleteBranch(branch: string): Promise<void>;
  comment(number: number, user: string, body: string): Promise<void>;
  comments(number: number): Promise<{ id: number; body: string }[]>;
  /** How often each reaction was given to a comment. */
  reactions(commentId: number): Promise<Readonly<Record<string, unknown>>>;
  setPermission(user: string, permission: string): Promise<void>;
  /** The credential, to look for it where it must not be. */
  readonly credential: string;
  close(): Promise<void>;
}

/** What every forge promises; see `Forge`. */
export function describeForge(name: string, start: () => Promise<ForgeFixture>): void {
  describe(`${name} as a forge`, () => {
    let fixture: ForgeFixture;
    let home: string;
    beforeAll(async () => {
      fixture = await start();
      home = await mkdtemp(join(tmpdir(), 'bough-forge-'));
    });
    afterAll(async () => {
      await fixture?.close();
      if (home) await rm(home, { recursive: true, force: true });
    });

    it('reads a repository by name and by id, and says when it is gone', async () => {
      const { forge, repository } = fixture;
      const byName = await forge.readRepository({ owner: repository.owner, name: repository.name });
      expect(byName).toMatchObject({ id: repository.id, defaultBranch: 'main', archived: false });
      expect(await forge.readRepository({ id: repository.id })).toEqual(byName);
      expect(await forge.readRepository({ owner: repository.owner, name: 'no-such' })).toBe('gone');
      expect(await forge.readRepository({ id: 987_654 })).toBe('gone');
    });

    it('reads pull requests from opened to merged', async () => {
      const { forge, repository } = fixture;
      const commit = await fixture.push('read', { 'read.txt': 'read\n' });
      const number = await fixture.openPullRequest('read');
      const open = await forge.readPullRequest(repository, number);
      expect(open).toMatchObject({
        number,
        state: 'open',
        merged: false,
        authorIsBot: false,
        draft: false,
        head: { branch: 'read', commit, repositoryId: repository.id },
        base: { branch: 'main', repositoryId: repository.id },
      });
      expect(open !== 'gone' && open.mergeCommit).toBeFalsy();
      await fixture.mergePullRequest(number);
      const merged = await forge.readPullRequest(repository, number);
      const main = await forge.readBranch(repository, 'main');
      if (merged === 'gone' || main === 'gone') throw new Error('gone');
      expect(merged).toMatchObject({ state: 'closed', merged: true, mergeCommit: main.commit });
      expect(await forge.readPullRequest(repository, 99_999)).toBe('gone');
    });

    it('names what a whole pull request changes, however many files and pushes', async () => {
      const { forge, repository } = fixture;
      const many = Object.fromEntries(Array.from({ length: 120 }, (_, n) => [`many/${n}.txt`, `${n}\n`]));
      await fixture.push('files', many);
      await fixture.push('files', { 'docs/last.md': 'last\n' });
      const number = await fixture.openPullRequest('files');
      const paths = await forge.changedFiles(repository, number);
      expect([...paths].sort()).toEqual([...Object.keys(many), 'docs/last.md'].sort());
      await fixture.closePullRequest(number);
    });

    it('tells a fork by the id of the head repository', async () => {
      const { forge, repository } = fixture;
      await fixture.push('forked', { 'fork.txt': 'x\n' });
      const number = await fixture.openPullRequest('forked', 'stranger');
      const pull = await forge.readPullRequest(repository, number);
      if (pull === 'gone') throw new Error('gone');
      expect(pull.head.repositoryId).not.toBe(repository.id);
      await fixture.closePullRequest(number);
    });

    it('reads branches with slashes, and says when one is gone', async () => {
      const { forge, repository } = fixture;
      const commit = await fixture.push('feature/slash', { 'slash.txt': '/\n' });
      expect(await forge.readBranch(repository, 'feature/slash')).toEqual({ commit });
      await fixture.deleteBranch('feature/slash');
      expect(await forge.readBranch(repository, 'feature/slash')).toBe('gone');
    });

    it('finds commits by whole and short ids, and says which are in a branch', async () => {
      const { forge, repository } = fixture;
      const commit = await fixture.push('located', { 'located.txt': '1\n' });
      const main = await forge.readBranch(repository, 'main');
      if (main === 'gone') throw new Error('gone');
      const ask = (id: string) => forge.locateCommit(repository, { id, branch: 'main' });
      expect(await ask(main.commit)).toEqual({ commit: main.commit, isInBranch: true });
      const later = await fixture.push('main', { 'later.txt': '1\n' });
      expect(await ask(main.commit.slice(0, 10))).toEqual({ commit: main.commit, isInBranch: true });
      expect(await ask(later)).toEqual({ commit: later, isInBranch: true });
      expect(await ask(commit)).toEqual({ commit, isInBranch: false });
      expect(await ask('0123456789abcdef0123456789abcdef01234567')).toBe('gone');
    });

    it('lists the open pull requests, and says when nothing changed', async () => {
      const { forge, repository } = fixture;
      await fixture.push('listed', { 'listed.txt': '1\n' });
      const number = await fixture.openPullRequest('listed');
      const first = await forge.listOpen(repository);
      if (first === 'unchanged') throw new Error('unchanged since never');
      expect(first.pulls.map((pull) => pull.number)).toContain(number);
      if (first.etag === undefined) throw new Error('no etag for a single page');
      expect(await forge.listOpen(repository, { etag: first.etag })).toBe('unchanged');
      const head = await fixture.push('listed', { 'listed.txt': '2\n' });
      const pushed = await forge.listOpen(repository, { etag: first.etag });
      if (pushed === 'unchanged') throw new Error('a push changes the list');
      expect(pushed.pulls.find((pull) => pull.number === number)?.head.commit).toBe(head);
      await fixture.closePullRequest(number);
      const closed = await forge.listOpen(repository, pushed.etag === undefined ? {} : { etag: pushed.etag });
      if (closed === 'unchanged') throw new Error('a close changes the list');
      expect(closed.pulls.map((pull) => pull.number)).not.toContain(number);
    });

    it('keeps one comment: changes it, finds it again, makes it anew when it was deleted', async () => {
      const { forge, repository } = fixture;
      await fixture.push('comments', { 'comments.txt': 'x\n' });
      const number = await fixture.openPullRequest('comments');
      const marker = '<!-- bough installation env-1 -->';
      await fixture.comment(number, 'ann', `I quote ${marker}`);
      const say = (text: string, externalId?: string) =>
        forge.publishComment(repository, {
          number,
          body: `${text}\n${marker}`,
          marker,
          ...(externalId === undefined ? {} : { externalId }),
        });
      const ours = async () =>
        (await fixture.comments(number)).filter(({ body }) => !body.startsWith('I quote'));
      const first = await say('building');
      expect(first.outcome).toBe('created');
      expect(await say('ready', first.externalId)).toMatchObject({
        outcome: 'updated',
        externalId: first.externalId,
      });
      // The id was lost: the marker leads to ours, and not to the person's who quotes it.
      expect(await say('ready again')).toMatchObject({ outcome: 'updated', externalId: first.externalId });
      expect(await ours()).toEqual([{ id: Number(first.externalId), body: `ready again\n${marker}` }]);
      await forge.removeComment(repository, first.externalId);
      await forge.removeComment(repository, first.externalId);
      const anew = await say('back', first.externalId);
      expect(anew.outcome).toBe('created');
      expect(await ours()).toEqual([{ id: Number(anew.externalId), body: `back\n${marker}` }]);
    });

    it('lists what people say in the order of its changes, and says when nothing changed', async () => {
      const { forge, repository } = fixture;
      await fixture.push('talk', { 'talk.txt': 'x\n' });
      const number = await fixture.openPullRequest('talk');
      await fixture.comment(number, 'ann', 'first');
      const first = await forge.newestComment(repository);
      if (first === 'none') throw new Error('the comment is not there');
      expect(first).toMatchObject({ pullNumber: number, body: 'first', author: 'ann', authorIsBot: false });
      expect(first.changedAt).toEqual(first.writtenAt);
      const since = first.writtenAt;
      await fixture.comment(number, 'ann', 'second');
      const listed = await forge.listComments(repository, { since });
      if (listed === 'unchanged' || listed.etag === undefined) throw new Error('no etag for a listing');
      expect(listed.isMore).toBe(false);
      // Comments of the same second may be listed too.
      const bodies = listed.comments.map(({ body }) => body);
      expect(bodies.slice(-2)).toEqual(['first', 'second']);
      const ids = listed.comments.map(({ id }) => id);
      expect(ids.at(-1)).toBeGreaterThan(first.id);
      expect(await forge.listComments(repository, { since, etag: listed.etag })).toBe('unchanged');
      await fixture.comment(number, 'ann', 'third');
      const again = await forge.listComments(repository, { since, etag: listed.etag });
      if (again === 'unchanged') throw new Error('a comment changes the list');
      expect(again.comments.at(-1)?.body).toBe('third');
      await fixture.closePullRequest(number);
    });

    it('reacts to a comment once, and says when it is gone', async () => {
      const { forge, repository } = fixture;
      await fixture.push('reactions', { 'reactions.txt': 'x\n' });
      const number = await fixture.openPullRequest('reactions');
      await fixture.comment(number, 'ann', '/bough help');
      const [comment] = await fixture.comments(number);
      if (comment === undefined) throw new Error('the comment is not there');
      const reaction = { commentId: comment.id, content: 'rocket' } as const;
      expect(await forge.react(repository, reaction)).toBe('reacted');
      expect(await forge.react(repository, reaction)).toBe('reacted');
      expect(await forge.react(repository, { ...reaction, content: '-1' })).toBe('reacted');
      expect(await forge.react(repository, { ...reaction, content: 'confused' })).toBe('reacted');
      expect(await fixture.reactions(comment.id)).toMatchObject({ rocket: 1, '-1': 1, confused: 1 });
      await forge.removeComment(repository, String(comment.id));
      expect(await forge.react(repository, reaction)).toBe('gone');
    });

    it('reports a check from queued to done', async () => {
      const { forge, repository } = fixture;
      const commit = await fixture.push('checks', { '.bough/app.yaml': 'apps:\n\tx\n' });
      const report = {
        name: 'Bough / preview',
        commit,
        title: 'x'.repeat(300),
        summary: 'A summary',
        detailsUrl: 'http://localhost:3000/environments/1',
        annotations: Array.from({ length: 60 }, (_, index) => ({
          path: '.bough/app.yaml',
          line: index + 1,
          column: 1,
          level: 'failure' as const,
          message: 'a tab',
        })),
      };
      let { externalId } = await forge.publishCheck(repository, { ...report, state: 'queued' });
      for (const state of [
        'in_progress',
        'action_required',
        'neutral',
        'cancelled',
        'failure',
        'success',
      ] as const) {
        ({ externalId } = await forge.publishCheck(repository, { ...report, externalId, state }));
      }
      const actions = [{ label: 'Approve this commit', description: 'Run it', identifier: 'approve' }];
      await forge.publishCheck(repository, {
        ...{ ...report, externalId, subject: 'pull/7', actions, state: 'action_required' },
      });
      const unknown = { ...report, commit: 'f'.repeat(40), state: 'queued' as const };
      await expect(forge.publishCheck(repository, unknown)).rejects.toMatchObject({ code: 'commit-gone' });
    });

    it('keeps the deployments of two pull requests apart, and makes each once', async () => {
      const { forge, repository } = fixture;
      const deploy = async (
        branch: string,
        state: 'in_progress' | 'success' | 'inactive',
        externalId?: string,
      ) =>
        forge.publishDeployment(repository, {
          commit: await headOf(fixture, branch),
          environment: 'preview',
          production: false,
          description: 'd'.repeat(200),
          marker: `installation/${branch}`,
          state,
          logUrl: 'http://localhost:3000/deployments/1',
          environmentUrl: 'http://pr-1--shop.localhost:8080',
          ...(externalId === undefined ? {} : { externalId }),
        });
      await fixture.push('deploy-a', { 'a.txt': 'a\n' });
      await fixture.push('deploy-b', { 'b.txt': 'b\n' });
      const a = await deploy('deploy-a', 'in_progress');
      expect(a.outcome).toBe('created');
      // A crash lost the id: the marker finds it.
      expect(await deploy('deploy-a', 'success')).toEqual({ externalId: a.externalId, outcome: 'updated' });
      const b = await deploy('deploy-b', 'success');
      expect(b.externalId).not.toBe(a.externalId);
      await deploy('deploy-b', 'inactive', b.externalId);
      await deploy('deploy-b', 'inactive', b.externalId);
    });

    it('knows who may do what, and nobody by mistake', async () => {
      const { forge, repository } = fixture;
      for (const [word, level] of [
        ['admin', 'admin'],
        ['maintain', 'write'],
        ['write', 'write'],
        ['triage', 'read'],
        ['read', 'read'],
        ['none', 'none'],
      ] as const) {
        await fixture.setPermission(`user-${word}`, word);
        expect(await forge.permission(repository, `user-${word}`), word).toBe(level);
      }
      expect(await forge.permission(repository, 'never-heard-of')).toBe('none');
    });

    it('fetches exactly one commit, and leaves no credential behind', async () => {
      const { forge, repository } = fixture;
      const first = await fixture.push('fetched', { 'fetched.txt': '1\n' });
      const second = await fixture.push('fetched', { 'fetched.txt': '2\n' });
      const mirror = join(home, 'mirror.git');
      await forge.fetch(repository, { mirror, commit: first });
      await forge.fetch(repository, { mirror, commit: second });
      await forge.fetch(repository, { mirror, commit: first });
      for (const path of await readdir(home, { recursive: true })) {
        const text = await readFile(join(home, path), 'latin1').catch(() => '');
        expect(text.includes(fixture.credential), path).toBe(false);
      }
      const gone = forge.fetch(repository, { mirror, commit: 'f'.repeat(40) });
      await expect(gone).rejects.toMatchObject({ code: 'commit-gone' });
    });

    it('proposes files once', async () => {
      const { forge, repository } = fixture;
      const proposal = {
        branch: 'bough/manifest',
        base: 'main',
        title: 'Add a manifest',
        body: 'For previews.',
        files: { '.bough/app.yaml': 'apps: {}\n', '.bough/services.yaml': 'services: {}\n' },
      };
      const first = await forge.proposeFiles(repository, proposal);
      expect(await forge.proposeFiles(repository, proposal)).toEqual(first);
      const pull = await forge.readPullRequest(repository, first.number);
      expect(pull).toMatchObject({
        state: 'open',
        title: 'Add a manifest',
        head: { branch: 'bough/manifest' },
      });
      await fixture.closePullRequest(first.number);
    });

    it('ends a call at once when it is aborted', async () => {
      const { forge, repository } = fixture;
      const signal = AbortSignal.abort(new Error('superseded'));
      await expect(forge.readPullRequest(repository, 1, signal)).rejects.toThrow('superseded');
      await expect(forge.listOpen(repository, { signal })).rejects.toThrow('superseded');
      const fetched = forge.fetch(repository, {
        mirror: join(home, 'x.git'),
        commit: 'e'.repeat(40),
        signal,
      });
      await expect(fetched).rejects.toThrow('superseded');
    });
  });
}

async function headOf({ forge, repository }: ForgeFixture, branch: string): Promise<string> {
  const head = await forge.readBranch(repository, branch);
  if (head === 'gone') throw new Error(`${branch} is gone`);
  return head.commit;
}
