import { z } from 'zod';
import { addComment } from './actions/comments.ts';
import { emit } from './actions/emit.ts';
import { noticeRefs } from './actions/notice-refs.ts';
import {
  addLabels,
  closePull,
  editPull,
  mergePull,
  openPull,
  removeLabel,
  reopenPull,
  setDraft,
} from './actions/pulls.ts';
import {
  createRepository,
  deleteRepository,
  forkRepository,
  renameRepository,
} from './actions/repositories.ts';
import { notFound } from './github-error.ts';
import { appEvents } from './present/app.ts';
import { presentCheckRun } from './present/report.ts';
import type { Repository } from './state.ts';
import { bareOf, findRepository, fullName, now, pullOf, repositoryOf, userOf, type World } from './world.ts';

// What people do at GitHub by clicking or pushing. Each command is a schema and a function, so that the method of
// `SandboxForge` and the address under /_sandbox are the same thing.

const repo = z.string().regex(/^[^/\s]+\/[^/\s]+$/, 'expected "owner/name"');
const number = z.int().positive();
const by = z.string().min(1).max(45).optional();
const fileContent = z.union([
  z.string(),
  z.null(),
  z.instanceof(Buffer),
  z.object({
    content: z.string(),
    encoding: z.enum(['utf8', 'base64']).optional(),
    executable: z.boolean().optional(),
  }),
]);

const schemas = {
  createRepository: z.strictObject({
    owner: z.string(),
    name: z.string(),
    private: z.boolean().default(false),
    defaultBranch: z.string().default('main'),
  }),
  fork: z.strictObject({ repo, owner: z.string() }),
  renameRepository: z.strictObject({ repo, owner: z.string().optional(), name: z.string().optional(), by }),
  deleteRepository: z.strictObject({ repo, by }),
  /** `from` is where a new branch starts: a branch or sha; the default branch without it. */
  commit: z.strictObject({
    repo,
    branch: z.string(),
    files: z.record(z.string(), fileContent),
    message: z.string(),
    from: z.string().optional(),
    user: z.string().optional(),
  }),
  /** The branch becomes the folder's content. */
  pushTree: z.strictObject({
    repo,
    branch: z.string(),
    folder: z.string(),
    message: z.string(),
    from: z.string().optional(),
    user: z.string().optional(),
  }),
  deleteBranch: z.strictObject({ repo, branch: z.string(), by }),
  /** With `fork` the head branch is that owner's; the fork and the branch are made as needed. */
  openPullRequest: z.strictObject({
    repo,
    head: z.string(),
    base: z.string().default('main'),
    title: z.string(),
    body: z.string().nullable().default(null),
    user: z.string(),
    draft: z.boolean().default(false),
    fork: z.string().optional(),
  }),
  editPullRequest: z.strictObject({
    repo,
    number,
    title: z.string().optional(),
    body: z.string().optional(),
    base: z.string().optional(),
    by,
  }),
  closePullRequest: z.strictObject({ repo, number, by }),
  reopenPullRequest: z.strictObject({ repo, number, by }),
  mergePullRequest: z.strictObject({
    repo,
    number,
    method: z.enum(['merge', 'squash']).default('merge'),
    deleteBranch: z.boolean().default(false),
    by,
  }),
  label: z.strictObject({ repo, number, label: z.string(), by }),
  unlabel: z.strictObject({ repo, number, label: z.string(), by }),
  convertToDraft: z.strictObject({ repo, number, by }),
  readyForReview: z.strictObject({ repo, number, by }),
  comment: z.strictObject({ repo, number, user: z.string(), body: z.string().min(1).max(65_536) }),
  requestCheckAction: z.strictObject({ repo, checkRun: number, identifier: z.string(), user: z.string() }),
  setPermission: z.strictObject({
    repo,
    user: z.string(),
    permission: z.enum(['admin', 'maintain', 'write', 'triage', 'read', 'none']),
  }),
  /** The App's own webhook, which gets the events of every repository; a null url removes it. */
  setAppWebhook: z.strictObject({
    url: z.url().nullable(),
    secret: z.string().nullable().default(null),
    events: z.array(z.string()).default(() => [...appEvents, 'deployment_status', 'installation']),
  }),
};

export type CommandName = keyof typeof schemas;
type Parsed<N extends CommandName> = z.output<(typeof schemas)[N]>;

/** Schema failures are ZodError; what GitHub would refuse is GithubError. */
export function buildCommands(world: World) {
  // Whoever is not named is the owner: never the account of the token, which is Bough's.
  const actorOf = (login: string | undefined, repository: Repository) =>
    userOf(world, login ?? repository.owner).login;
  const pullAt = (at: { repo: string; number: number }) => {
    const repository = repositoryOf(world, at.repo);
    return { repository, pull: pullOf(repository, at.number) };
  };

  async function commitTo(input: Parsed<'commit'>, replaceTree: boolean): Promise<string> {
    const repository = repositoryOf(world, input.repo);
    // Nobody else can push.
    repository.permissions[actorOf(input.user, repository).toLowerCase()] ??= 'write';
    return world.exclusively(repository, async () => {
      const bare = bareOf(world, repository);
      const start = input.from ?? repository.defaultBranch;
      const from = repository.refs[`refs/heads/${input.branch}`] ?? (await bare.resolve(start));
      if (!from && input.from) throw notFound();
      const login = actorOf(input.user, repository);
      const author = { name: login, email: `${login}@users.noreply.localhost` };
      const { branch, files, message } = input;
      const sha = await bare.commit({ branch, from, files, message, replaceTree, author });
      await noticeRefs(world, repository, login);
      return sha;
    });
  }

  async function openPullRequest(input: Parsed<'openPullRequest'>): Promise<number> {
    const repository = repositoryOf(world, input.repo);
    let { head } = input;
    if (input.fork) {
      const fork = await forkRepository(world, repository, input.fork);
      const mine = await bareOf(world, repository).resolve(`heads/${head}`);
      if (!fork.refs[`refs/heads/${head}`] && mine) {
        await world.exclusively(fork, async () => {
          await bareOf(world, fork).fetchFrom(
            bareOf(world, repository),
            `+refs/heads/${head}:refs/heads/${head}`,
          );
          await noticeRefs(world, fork, input.user);
        });
      }
      head = `${fork.owner}:${head}`;
    }
    const { base, title, body, user, draft } = input;
    const pull = await openPull(world, repository, { head, base, title, body, user, draft });
    return pull.number;
  }

  return {
    createRepository: command(schemas.createRepository, async (input) => {
      const repository = await createRepository(world, input);
      return { id: repository.id, cloneUrl: `${world.url}/${fullName(repository)}.git` };
    }),
    fork: command(schemas.fork, async (input) => {
      const fork = await forkRepository(world, repositoryOf(world, input.repo), input.owner);
      return { id: fork.id, cloneUrl: `${world.url}/${fullName(fork)}.git` };
    }),
    renameRepository: command(schemas.renameRepository, async (input) => {
      const repository = repositoryOf(world, input.repo);
      const to = { owner: input.owner ?? repository.owner, name: input.name ?? repository.name };
      renameRepository(world, repository, to, actorOf(input.by, repository));
    }),
    deleteRepository: command(schemas.deleteRepository, async (input) => {
      const repository = repositoryOf(world, input.repo);
      await deleteRepository(world, repository, actorOf(input.by, repository));
    }),
    commit: command(schemas.commit, (input) => commitTo(input, false)),
    pushTree: command(schemas.pushTree, async ({ folder, ...rest }) => {
      const files = await bareOf(world, repositoryOf(world, rest.repo)).readFolder(folder);
      return commitTo({ ...rest, files }, true);
    }),
    deleteBranch: command(schemas.deleteBranch, async (input) => {
      const repository = repositoryOf(world, input.repo);
      await world.exclusively(repository, async () => {
        await bareOf(world, repository).deleteRef(`refs/heads/${input.branch}`);
        await noticeRefs(world, repository, actorOf(input.by, repository));
      });
    }),
    openPullRequest: command(schemas.openPullRequest, openPullRequest),
    editPullRequest: command(schemas.editPullRequest, async (input) => {
      const { repository, pull } = pullAt(input);
      await editPull(world, repository, pull, input, actorOf(input.by, repository));
    }),
    closePullRequest: command(schemas.closePullRequest, async (input) => {
      const { repository, pull } = pullAt(input);
      await closePull(world, repository, pull, actorOf(input.by, repository));
    }),
    reopenPullRequest: command(schemas.reopenPullRequest, async (input) => {
      const { repository, pull } = pullAt(input);
      await reopenPull(world, repository, pull, actorOf(input.by, repository));
    }),
    mergePullRequest: command(schemas.mergePullRequest, async (input) => {
      const { repository, pull } = pullAt(input);
      const { method, deleteBranch } = input;
      return mergePull(world, repository, pull, { by: actorOf(input.by, repository), method, deleteBranch });
    }),
    label: command(schemas.label, async (input) => {
      const { repository, pull } = pullAt(input);
      await addLabels(world, repository, pull, [input.label], actorOf(input.by, repository));
    }),
    unlabel: command(schemas.unlabel, async (input) => {
      const { repository, pull } = pullAt(input);
      await removeLabel(world, repository, pull, input.label, actorOf(input.by, repository));
    }),
    convertToDraft: command(schemas.convertToDraft, async (input) => {
      const { repository, pull } = pullAt(input);
      await setDraft(world, repository, pull, true, actorOf(input.by, repository));
    }),
    readyForReview: command(schemas.readyForReview, async (input) => {
      const { repository, pull } = pullAt(input);
      await setDraft(world, repository, pull, false, actorOf(input.by, repository));
    }),
    comment: command(schemas.comment, async (input) => {
      const { repository, pull } = pullAt(input);
      const { user, body } = input;
      return addComment(world, repository, pull, { user, body, appId: null }).id;
    }),
    requestCheckAction: command(schemas.requestCheckAction, async (input) => {
      const repository = repositoryOf(world, input.repo);
      const run = repository.checkRuns.find((candidate) => candidate.id === input.checkRun);
      if (!run?.actions.some((action) => action.identifier === input.identifier)) throw notFound();
      emit(world, repository, {
        event: 'check_run',
        action: 'requested_action',
        sender: actorOf(input.user, repository),
        payload: {
          check_run: presentCheckRun(world, repository, run),
          requested_action: { identifier: input.identifier },
        },
      });
    }),
    setPermission: command(schemas.setPermission, async (input) => {
      const repository = repositoryOf(world, input.repo);
      repository.permissions[userOf(world, input.user).login.toLowerCase()] = input.permission;
      world.file.save();
    }),
    setAppWebhook: command(schemas.setAppWebhook, async (input) => {
      const { app } = world.state;
      const time = now();
      const { url, secret, events } = input;
      const id = app.hook?.id ?? world.file.nextId();
      app.hook = url
        ? {
            id,
            url,
            secret,
            events,
            active: true,
            contentType: 'json',
            insecureSsl: '0',
            createdAt: time,
            updatedAt: time,
          }
        : null;
      world.file.save();
    }),
    hasRepository: command(
      z.strictObject({ repo }),
      async (input) => findRepository(world, input.repo) !== undefined,
    ),
  };
}

export type Commands = ReturnType<typeof buildCommands>;

function command<S extends z.ZodType, R>(schema: S, run: (input: z.output<S>) => Promise<R>) {
  return async (input: z.input<S>): Promise<R> => run(schema.parse(input));
}
