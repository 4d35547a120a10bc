import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startSandboxForge } from '../src/sandbox-forge.ts';
import { appClientOf, clientOf, type Fixture, shop, startFixture } from './fixture.ts';

let fixture: Fixture;

beforeEach(async () => {
  fixture = await startFixture();
});

// Whatever a test did: its calls conform to GitHub's schema and so do the answers, unless it says otherwise.
afterEach(async () => {
  const { forge } = fixture;
  const lies = forge.apiCalls.filter((call) => call.answerProblems.length > 0);
  await fixture.close();
  expect(lies.map((call) => [call.method, call.path, call.answerProblems])).toEqual([]);
  expect(fixture.failures).toEqual([]);
});

const open = (more: object = {}) =>
  fixture.forge.openPullRequest({
    repo: 'acme/shop',
    head: 'feature',
    title: 'Better',
    user: 'ann',
    ...more,
  });

describe('reading', () => {
  test('a repository, by name, by id and by its former name', async () => {
    const { octokit, forge } = fixture;
    const { data } = await octokit.repos.get(shop);
    expect(data).toMatchObject({ full_name: 'acme/shop', default_branch: 'main', owner: { login: 'acme' } });
    const byId = await octokit.request('GET /repositories/{id}', { id: data.id });
    expect(byId.data.full_name).toBe('acme/shop');
    await forge.renameRepository({ repo: 'acme/shop', name: 'store' });
    const renamed = await octokit.repos.get(shop);
    expect(renamed.data).toMatchObject({ id: data.id, full_name: 'acme/store' });
  });

  test('a pull request, its files and its commits', async () => {
    const number = await open({ body: 'Please', draft: true });
    const { octokit, base, head } = fixture;
    const { data } = await octokit.pulls.get({ ...shop, pull_number: number });
    expect(data).toMatchObject({
      number: 1,
      state: 'open',
      draft: true,
      mergeable: true,
      merged: false,
      commits: 1,
    });
    expect(data).toMatchObject({ changed_files: 2, additions: 2, deletions: 1, user: { login: 'ann' } });
    expect([data.head.sha, data.base.sha]).toEqual([head, base]);
    const files = await octokit.pulls.listFiles({ ...shop, pull_number: number });
    expect(files.data.map((file) => [file.filename, file.status])).toEqual([
      ['app/index.js', 'modified'],
      ['app/new.js', 'added'],
    ]);
    expect(files.data[0]?.patch).toContain('+console.log(2)');
    const commits = await octokit.pulls.listCommits({ ...shop, pull_number: number });
    expect(commits.data.map((commit) => commit.sha)).toEqual([head]);
  });

  test('branches, refs, commits and contents', async () => {
    const { octokit, head } = fixture;
    const branches = await octokit.repos.listBranches(shop);
    expect(branches.data.map((branch) => branch.name)).toEqual(['feature', 'main']);
    const branch = await octokit.repos.getBranch({ ...shop, branch: 'feature' });
    expect(branch.data.commit.sha).toBe(head);
    await octokit.git.createRef({ ...shop, ref: 'refs/heads/a/b', sha: head });
    expect((await octokit.git.getRef({ ...shop, ref: 'heads/a/b' })).data.object.sha).toBe(head);
    expect((await octokit.repos.getBranch({ ...shop, branch: 'a/b' })).data.name).toBe('a/b');
    expect((await octokit.repos.getCommit({ ...shop, ref: 'heads/a/b' })).data.commit.message).toBe('Change');
    const file = await octokit.repos.getContent({ ...shop, path: 'app/new.js', ref: 'a/b' });
    expect(file.data).toMatchObject({ type: 'file', content: Buffer.from('export {}\n').toString('base64') });
    const folder = await octokit.repos.getContent({ ...shop, path: 'app' });
    expect((folder.data as { path: string }[]).map((entry) => entry.path)).toEqual(['app/index.js']);
    await expect(octokit.repos.getContent({ ...shop, path: 'no' })).rejects.toMatchObject({ status: 404 });
  });

  test('files are written and a pull request opened through the API', async () => {
    const { octokit, base } = fixture;
    await octokit.git.createRef({ ...shop, ref: 'refs/heads/setup', sha: base });
    const content = Buffer.from('name: shop\n').toString('base64');
    const write = { ...shop, path: '.bough/app.yaml', branch: 'setup', message: 'Add', content };
    const { status, data } = await octokit.repos.createOrUpdateFileContents(write);
    expect(status).toBe(201);
    await expect(octokit.repos.createOrUpdateFileContents(write)).rejects.toMatchObject({ status: 422 });
    const again = await octokit.repos.createOrUpdateFileContents({ ...write, sha: data.content?.sha ?? '' });
    expect(again.status).toBe(200);
    const pull = await octokit.pulls.create({ ...shop, head: 'setup', base: 'main', title: 'Add Bough' });
    expect(pull.data.user.login).toBe('sandbox');
    const twin = octokit.pulls.create({ ...shop, head: 'setup', base: 'main', title: 'Add Bough' });
    await expect(twin).rejects.toMatchObject({ status: 422 });
  });

  test('paging follows Link headers, and filters apply', async () => {
    const { octokit, forge } = fixture;
    for (let index = 1; index <= 5; index += 1) {
      const branch = `b${index}`;
      await forge.commit({
        repo: 'acme/shop',
        branch,
        files: { [branch]: '' },
        message: branch,
        from: 'main',
      });
      await open({ head: branch });
    }
    await forge.closePullRequest({ repo: 'acme/shop', number: 2 });
    const first = await octokit.pulls.list({ ...shop, per_page: 2 });
    expect(first.data.map((pull) => pull.number)).toEqual([5, 4]);
    expect(first.headers.link).toMatch(/page=2>; rel="next".*page=2>; rel="last"/);
    const all = await octokit.paginate(octokit.pulls.list, {
      ...shop,
      state: 'all',
      per_page: 2,
      direction: 'asc',
    });
    expect(all.map((pull) => pull.number)).toEqual([1, 2, 3, 4, 5]);
    const one = await octokit.pulls.list({ ...shop, head: 'acme:b3' });
    expect(one.data.map((pull) => pull.number)).toEqual([3]);
  });

  test('an unchanged listing answers 304 and costs nothing', async () => {
    const { octokit } = fixture;
    await open();
    const { headers } = await octokit.pulls.list(shop);
    const left = async () => (await octokit.rateLimit.get()).data.rate.remaining;
    const before = await left();
    const again = octokit.pulls.list({ ...shop, headers: { 'if-none-match': headers.etag ?? '' } });
    await expect(again).rejects.toMatchObject({ status: 304 });
    // Asking for the limit counts here, the 304 does not.
    expect(before - (await left())).toBe(1);
    await fixture.forge.label({ repo: 'acme/shop', number: 1, label: 'preview' });
    const changed = await octokit.pulls.list({ ...shop, headers: { 'if-none-match': headers.etag ?? '' } });
    expect(changed.data[0]?.labels.map((label) => label.name)).toEqual(['preview']);
  });
});

describe('refusing', () => {
  test('without a token 401, unknown things 404, bad bodies 422, and each is on record', async () => {
    const { octokit, forge } = fixture;
    await expect(clientOf(forge.apiUrl, 'wrong').repos.get(shop)).rejects.toMatchObject({ status: 401 });
    await expect(octokit.repos.get({ owner: 'acme', repo: 'no' })).rejects.toMatchObject({ status: 404 });
    await expect(octokit.activity.listStargazersForRepo(shop)).rejects.toMatchObject({ status: 404 });
    const number = await open();
    const comment = octokit.request('POST /repos/acme/shop/issues/{number}/comments', { number, body: 7 });
    await expect(comment).rejects.toMatchObject({
      status: 422,
      response: { data: { errors: ['body/body: must be string'] } },
    });
    const offending = forge.apiCalls.filter((call) => call.problems.length > 0);
    expect(offending.map((call) => [call.path, call.operation, call.status])).toEqual([
      ['/repos/acme/shop/stargazers', null, 404],
      ['/repos/acme/shop/issues/1/comments', 'issues/create-comment', 422],
    ]);
  });

  test('permission is that of the person', async () => {
    const { octokit, forge } = fixture;
    await forge.setPermission({ repo: 'acme/shop', user: 'maria', permission: 'maintain' });
    const of = (username: string) => octokit.repos.getCollaboratorPermissionLevel({ ...shop, username });
    expect((await of('maria')).data).toMatchObject({ permission: 'write', role_name: 'maintain' });
    await open({ user: 'stranger' });
    expect((await of('stranger')).data.permission).toBe('read');
    await expect(of('nobody')).rejects.toMatchObject({ status: 404 });
  });
});

describe('reporting', () => {
  test('comments keep their id through edits', async () => {
    const { octokit, forge } = fixture;
    const number = await open();
    const created = await octokit.issues.createComment({ ...shop, issue_number: number, body: 'one' });
    await octokit.issues.updateComment({ ...shop, comment_id: created.data.id, body: 'two' });
    await forge.comment({ repo: 'acme/shop', number, user: 'ann', body: '/preview' });
    const list = await octokit.issues.listComments({ ...shop, issue_number: number });
    expect(list.data.map((comment) => [comment.user?.login, comment.body])).toEqual([
      ['sandbox', 'two'],
      ['ann', '/preview'],
    ]);
    await octokit.reactions.createForIssueComment({
      ...shop,
      comment_id: created.data.id,
      content: 'rocket',
    });
    await octokit.issues.deleteComment({ ...shop, comment_id: created.data.id });
    const gone = octokit.issues.getComment({ ...shop, comment_id: created.data.id });
    await expect(gone).rejects.toMatchObject({ status: 404 });
  });

  test('statuses combine to the latest of each context', async () => {
    const { octokit, head } = fixture;
    const report = (state: 'pending' | 'success', context: string) =>
      octokit.repos.createCommitStatus({ ...shop, sha: head, state, context });
    await report('pending', 'bough');
    await report('success', 'bough');
    await report('pending', 'ci');
    const combined = await octokit.repos.getCombinedStatusForRef({ ...shop, ref: 'feature' });
    expect(combined.data).toMatchObject({ state: 'pending', total_count: 2 });
    const long = { ...shop, sha: head, state: 'success', description: 'x'.repeat(141) } as const;
    await expect(octokit.repos.createCommitStatus(long)).rejects.toMatchObject({ status: 422 });
  });

  test('only an App writes check runs', async () => {
    const { octokit, forge, head } = fixture;
    const check = { ...shop, name: 'bough', head_sha: head, status: 'in_progress' } as const;
    await expect(octokit.checks.create(check)).rejects.toMatchObject({ status: 403 });
    const app = appClientOf(forge);
    const installation = await app.apps.getRepoInstallation(shop);
    const installed = appClientOf(forge, installation.data.id);
    const { data } = await installed.checks.create(check);
    const annotation = {
      path: 'a.js',
      start_line: 1,
      end_line: 1,
      annotation_level: 'failure',
      message: 'no',
    } as const;
    await installed.checks.update({
      ...shop,
      check_run_id: data.id,
      conclusion: 'failure',
      output: { title: 'Failed', summary: 'One', annotations: [annotation] },
    });
    const runs = await octokit.checks.listForRef({ ...shop, ref: head });
    expect(runs.data.check_runs[0]).toMatchObject({ status: 'completed', conclusion: 'failure' });
    expect(runs.data.check_runs[0]?.output.annotations_count).toBe(1);
    expect((await app.apps.getAuthenticated()).data?.id).toBe(forge.appId);
    expect((await app.apps.listInstallations()).data).toHaveLength(1);
    const repositories = await installed.apps.listReposAccessibleToInstallation();
    expect(repositories.data.repositories.map((one) => one.full_name)).toEqual(['acme/shop']);
    await expect(installed.users.getAuthenticated()).rejects.toMatchObject({ status: 403 });
  });

  test('auto_inactive reaches the successful deployments of the same environment, and only with it', async () => {
    const { octokit } = fixture;
    const deploy = async (autoInactive: boolean, environment = 'preview') => {
      const { data } = await octokit.repos.createDeployment({
        ...shop,
        ref: 'feature',
        environment,
        auto_merge: false,
        required_contexts: [],
      });
      if (!('id' in data)) throw new Error('no deployment');
      await octokit.repos.createDeploymentStatus({
        ...shop,
        deployment_id: data.id,
        state: 'success',
        environment_url: 'http://pr-1.localhost',
        auto_inactive: autoInactive,
      });
      return data.id;
    };
    const stateOf = async (deployment_id: number) => {
      const { data } = await octokit.repos.listDeploymentStatuses({ ...shop, deployment_id });
      return data[0]?.state;
    };
    const [first, other] = [await deploy(false), await deploy(false, 'elsewhere')];
    const second = await deploy(false);
    expect([await stateOf(first), await stateOf(second)]).toEqual(['success', 'success']);
    const third = await deploy(true);
    const states = await Promise.all([first, second, third, other].map(stateOf));
    expect(states).toEqual(['inactive', 'inactive', 'success', 'success']);
    const remove = (deployment_id: number) => octokit.repos.deleteDeployment({ ...shop, deployment_id });
    await expect(remove(third)).rejects.toMatchObject({ status: 422 });
    expect((await remove(first)).status).toBe(204);
    const left = await octokit.repos.listDeployments({ ...shop, environment: 'preview' });
    expect(left.data.map((deployment) => deployment.id)).toEqual([third, second]);
  });

  test('a deployment with required checks that are pending is refused', async () => {
    const { octokit, head } = fixture;
    await octokit.repos.createCommitStatus({ ...shop, sha: head, state: 'pending', context: 'ci' });
    const deploy = octokit.repos.createDeployment({ ...shop, ref: 'feature', auto_merge: false });
    await expect(deploy).rejects.toMatchObject({ status: 409 });
  });
});

describe('keeping', () => {
  test('a restart keeps everything', async () => {
    const number = await open();
    const { forge, options, octokit } = fixture;
    await octokit.issues.createComment({ ...shop, issue_number: number, body: 'kept' });
    await forge.close();
    const again = await startSandboxForge(options);
    const client = clientOf(again.apiUrl);
    const { data } = await client.pulls.get({ ...shop, pull_number: number });
    const comments = await client.issues.listComments({ ...shop, issue_number: number });
    const { appPrivateKey } = again;
    await again.close();
    expect(data.head.sha).toBe(fixture.head);
    expect(comments.data.map((comment) => comment.body)).toEqual(['kept']);
    expect(appPrivateKey).toBe(forge.appPrivateKey);
  });
});
