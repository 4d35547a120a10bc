import type { FastifyInstance, FastifyRequest } from 'fastify';
import { addDeploymentStatus } from '../actions/deployments.ts';
import { emit } from '../actions/emit.ts';
import { noticeRefs } from '../actions/notice-refs.ts';
import { GithubError, invalid, notFound } from '../github-error.ts';
import {
  combinedState,
  latestStatuses,
  presentCheckRun,
  presentDeployment,
  presentDeploymentStatus,
  presentStatus,
} from '../present/report.ts';
import { presentRepository, repositoryUrl } from '../present/repository.ts';
import type { Annotation, CheckRun, Deployment, Repository, Status } from '../state.ts';
import { bareOf, now, type World } from '../world.ts';
import { commitAt } from './git-routes.ts';
import { pageOf } from './page-of.ts';
import { actingAppId, actor, bodyOf, numberParam, param, queryOf, target } from './target.ts';

const repo = '/repos/:owner/:repo';
const MAX_DESCRIPTION_CHARACTERS = 140;

export function reportRoutes(server: FastifyInstance, world: World): void {
  statusRoutes(server, world);
  checkRoutes(server, world);
  deploymentRoutes(server, world);
  deploymentStatusRoutes(server, world);
}

function refuseLong(resource: string, description: string | null | undefined): void {
  if ((description ?? '').length <= MAX_DESCRIPTION_CHARACTERS) return;
  const message = `description is too long (maximum is ${MAX_DESCRIPTION_CHARACTERS} characters)`;
  throw invalid(resource, 'description', 'custom', message);
}

function statusRoutes(server: FastifyInstance, world: World): void {
  server.post(`${repo}/statuses/:sha`, async (request, reply) => {
    const repository = target(world, request);
    const body = bodyOf<{
      state: Status['state'];
      target_url?: string | null;
      description?: string | null;
      context?: string;
    }>(request);
    refuseLong('Status', body.description);
    const status: Status = {
      id: world.file.nextId(),
      sha: await commitAt(world, repository, param(request, 'sha')),
      state: body.state,
      context: body.context ?? 'default',
      description: body.description ?? null,
      targetUrl: body.target_url ?? null,
      creator: actor(request).login,
      createdAt: now(),
    };
    repository.statuses.push(status);
    world.file.save();
    return reply.code(201).send(presentStatus(world, repository, status));
  });
  server.get(`${repo}/commits/:ref/statuses`, async (request, reply) => {
    const repository = target(world, request);
    const sha = await commitAt(world, repository, param(request, 'ref'));
    const all = repository.statuses.filter((status) => status.sha === sha).reverse();
    return pageOf(world, request, reply, all).map((status) => presentStatus(world, repository, status));
  });
  server.get(`${repo}/commits/:ref/status`, async (request, reply) => {
    const repository = target(world, request);
    const sha = await commitAt(world, repository, param(request, 'ref'));
    const latest = latestStatuses(repository, sha);
    const url = `${repositoryUrl(world, repository)}/commits/${sha}`;
    return {
      state: combinedState(latest),
      statuses: pageOf(world, request, reply, latest).map((status) =>
        presentStatus(world, repository, status),
      ),
      sha,
      total_count: latest.length,
      repository: presentRepository(world, repository),
      commit_url: url,
      url: `${url}/status`,
    };
  });
}

interface CheckBody {
  name?: string;
  head_sha?: string;
  status?: string;
  conclusion?: string;
  details_url?: string;
  external_id?: string;
  started_at?: string;
  completed_at?: string;
  output?: { title?: string; summary?: string; text?: string; annotations?: Annotation[] };
  actions?: CheckRun['actions'];
}

/** Only Apps may write check runs; the words are GitHub's. */
function requireInstallation(request: FastifyRequest): void {
  if (request.caller?.kind !== 'installation') {
    throw new GithubError(403, 'You must authenticate via a GitHub App.');
  }
}

function checkRoutes(server: FastifyInstance, world: World): void {
  server.post(`${repo}/check-runs`, async (request, reply) => {
    requireInstallation(request);
    const repository = target(world, request);
    const body = bodyOf<CheckBody>(request);
    const run: CheckRun = {
      id: world.file.nextId(),
      suiteId: suiteOf(world, repository, body.head_sha ?? ''),
      name: body.name ?? '',
      headSha: await commitAt(world, repository, body.head_sha ?? ''),
      status: 'queued',
      conclusion: null,
      startedAt: body.started_at ?? now(),
      completedAt: null,
      externalId: null,
      detailsUrl: null,
      output: { title: null, summary: null, text: null, annotations: [] },
      actions: [],
    };
    editCheck(run, body);
    repository.checkRuns.push(run);
    return reply.code(201).send(saveCheck(world, repository, run, 'created', actor(request).login));
  });
  server.get(`${repo}/check-runs/:run`, async (request) => {
    const repository = target(world, request);
    return presentCheckRun(world, repository, checkTarget(repository, request));
  });
  server.patch(`${repo}/check-runs/:run`, async (request) => {
    requireInstallation(request);
    const repository = target(world, request);
    const run = checkTarget(repository, request);
    editCheck(run, bodyOf<CheckBody>(request));
    return saveCheck(
      world,
      repository,
      run,
      run.status === 'completed' ? 'completed' : 'created',
      actor(request).login,
    );
  });
  server.get(`${repo}/commits/:ref/check-runs`, async (request, reply) => {
    const repository = target(world, request);
    const sha = await commitAt(world, repository, param(request, 'ref'));
    const query = queryOf(request);
    const runs = repository.checkRuns.filter(
      (run) =>
        run.headSha === sha &&
        (!query.check_name || run.name === query.check_name) &&
        (!query.status || run.status === query.status),
    );
    const latest = query.filter === 'all' ? runs : [...new Map(runs.map((run) => [run.name, run])).values()];
    const page = pageOf(world, request, reply, latest);
    return {
      total_count: latest.length,
      check_runs: page.map((run) => presentCheckRun(world, repository, run)),
    };
  });
}

function suiteOf(world: World, repository: Repository, sha: string): number {
  return repository.checkRuns.find((run) => run.headSha === sha)?.suiteId ?? world.file.nextId();
}

function checkTarget(repository: Repository, request: FastifyRequest): CheckRun {
  const run = repository.checkRuns.find((candidate) => candidate.id === numberParam(request, 'run'));
  if (!run) throw notFound();
  return run;
}

function editCheck(run: CheckRun, body: CheckBody): void {
  if (body.status === 'completed' && !body.conclusion)
    throw invalid('CheckRun', 'conclusion', 'missing_field');
  run.name = body.name ?? run.name;
  run.detailsUrl = body.details_url ?? run.detailsUrl;
  run.externalId = body.external_id ?? run.externalId;
  run.startedAt = body.started_at ?? run.startedAt;
  run.status = body.status ?? run.status;
  run.actions = body.actions ?? run.actions;
  if (body.conclusion) {
    // A conclusion completes the run, whatever the status said.
    run.conclusion = body.conclusion;
    run.status = 'completed';
    run.completedAt = body.completed_at ?? now();
  } else if (body.status && body.status !== 'completed') {
    run.conclusion = null;
    run.completedAt = null;
  }
  if (!body.output) return;
  run.output = {
    title: body.output.title ?? run.output.title,
    summary: body.output.summary ?? run.output.summary,
    text: body.output.text ?? run.output.text,
    annotations: [...run.output.annotations, ...(body.output.annotations ?? [])],
  };
}

function saveCheck(world: World, repository: Repository, run: CheckRun, action: string, sender: string) {
  world.file.save();
  const shown = presentCheckRun(world, repository, run);
  emit(world, repository, { event: 'check_run', action, sender, payload: { check_run: shown } });
  return shown;
}

interface DeploymentBody {
  ref: string;
  task?: string;
  auto_merge?: boolean;
  required_contexts?: string[];
  payload?: unknown;
  environment?: string;
  description?: string | null;
  transient_environment?: boolean;
  production_environment?: boolean;
}

function deploymentRoutes(server: FastifyInstance, world: World): void {
  server.get(`${repo}/deployments`, async (request, reply) => {
    const repository = target(world, request);
    const { sha, ref, task, environment } = queryOf(request);
    const matches = (wanted: string | undefined, value: string) =>
      !wanted || wanted === 'none' || wanted === value;
    const all = repository.deployments
      .filter(
        (one) =>
          matches(sha, one.sha) &&
          matches(ref, one.ref) &&
          matches(task, one.task) &&
          matches(environment, one.environment),
      )
      .reverse();
    return pageOf(world, request, reply, all).map((one) => presentDeployment(world, repository, one));
  });
  server.post(`${repo}/deployments`, async (request, reply) => {
    const repository = target(world, request);
    const body = bodyOf<DeploymentBody>(request);
    refuseLong('Deployment', body.description);
    const merged =
      body.auto_merge === false
        ? undefined
        : await autoMerge(world, repository, body.ref, actor(request).login);
    if (merged) return reply.code(202).send({ message: merged });
    const deployment = await createDeployment(world, repository, body, request);
    return reply.code(201).send(presentDeployment(world, repository, deployment));
  });
  server.get(`${repo}/deployments/:deployment`, async (request) => {
    const { repository, deployment } = deploymentTarget(world, request);
    return presentDeployment(world, repository, deployment);
  });
  server.delete(`${repo}/deployments/:deployment`, async (request, reply) => {
    const { repository, deployment } = deploymentTarget(world, request);
    if (repository.deployments.length > 1 && deployment.statuses.at(-1)?.state !== 'inactive') {
      throw new GithubError(
        422,
        'We cannot delete an active deployment unless it is the only deployment in a given repository.',
      );
    }
    repository.deployments = repository.deployments.filter((other) => other !== deployment);
    world.file.save();
    return reply.code(204).send();
  });
}

/** GitHub's default: a branch that lacks commits of the default branch gets them merged in, and no deployment. */
async function autoMerge(
  world: World,
  repository: Repository,
  ref: string,
  by: string,
): Promise<string | undefined> {
  const head = repository.refs[`refs/heads/${ref}`];
  const base = repository.refs[`refs/heads/${repository.defaultBranch}`];
  const bare = bareOf(world, repository);
  if (!head || !base || (await bare.isAncestor(base, head))) return undefined;
  const tree = await bare.mergeTree(head, base);
  if (!tree) throw new GithubError(409, `Conflict merging ${repository.defaultBranch} into ${ref}.`);
  const message = `Auto-merged ${repository.defaultBranch} into ${ref} on deployment.`;
  await world.exclusively(repository, async () => {
    await bare.updateRef(`refs/heads/${ref}`, await bare.commitTree(tree, [head, base], message), head);
    await noticeRefs(world, repository, by);
  });
  return message;
}

async function createDeployment(
  world: World,
  repository: Repository,
  body: DeploymentBody,
  request: FastifyRequest,
): Promise<Deployment> {
  const sha = await bareOf(world, repository).resolve(body.ref);
  if (!sha) throw new GithubError(422, `No ref found for: ${body.ref}`);
  const required = latestStatuses(repository, sha).filter(
    (status) => !body.required_contexts || body.required_contexts.includes(status.context),
  );
  const missing = (body.required_contexts ?? []).some(
    (name) => !required.some((status) => status.context === name),
  );
  if (missing || required.some((status) => status.state !== 'success')) {
    throw new GithubError(409, `Conflict: Commit status checks failed for ${body.ref}.`);
  }
  const environment = body.environment ?? 'production';
  const time = now();
  const deployment: Deployment = {
    id: world.file.nextId(),
    sha,
    ref: body.ref,
    task: body.task ?? 'deploy',
    environment,
    description: body.description ?? null,
    payload: body.payload ?? {},
    transient: body.transient_environment ?? false,
    production: body.production_environment ?? environment === 'production',
    creator: actor(request).login,
    appId: actingAppId(request),
    createdAt: time,
    updatedAt: time,
    statuses: [],
  };
  repository.deployments.push(deployment);
  world.file.save();
  emit(world, repository, {
    event: 'deployment',
    action: 'created',
    sender: deployment.creator,
    payload: {
      deployment: presentDeployment(world, repository, deployment),
      workflow: null,
      workflow_run: null,
    },
  });
  return deployment;
}

function deploymentTarget(
  world: World,
  request: FastifyRequest,
): { repository: Repository; deployment: Deployment } {
  const repository = target(world, request);
  const deployment = repository.deployments.find((one) => one.id === numberParam(request, 'deployment'));
  if (!deployment) throw notFound();
  return { repository, deployment };
}

interface DeploymentStatusBody {
  state: string;
  target_url?: string;
  log_url?: string;
  description?: string;
  environment?: string;
  environment_url?: string;
  auto_inactive?: boolean;
}

function deploymentStatusRoutes(server: FastifyInstance, world: World): void {
  const base = `${repo}/deployments/:deployment/statuses`;
  server.get(base, async (request, reply) => {
    const { repository, deployment } = deploymentTarget(world, request);
    const all = [...deployment.statuses].reverse();
    return pageOf(world, request, reply, all).map((status) =>
      presentDeploymentStatus(world, repository, deployment, status),
    );
  });
  server.get(`${base}/:status`, async (request) => {
    const { repository, deployment } = deploymentTarget(world, request);
    const status = deployment.statuses.find((one) => one.id === numberParam(request, 'status'));
    if (!status) throw notFound();
    return presentDeploymentStatus(world, repository, deployment, status);
  });
  server.post(base, async (request, reply) => {
    const { repository, deployment } = deploymentTarget(world, request);
    const body = bodyOf<DeploymentStatusBody>(request);
    refuseLong('DeploymentStatus', body.description);
    const status = addDeploymentStatus(world, repository, deployment, {
      state: body.state,
      description: body.description ?? '',
      environment: body.environment ?? deployment.environment,
      environmentUrl: body.environment_url ?? '',
      logUrl: body.log_url ?? body.target_url ?? '',
      creator: actor(request).login,
      autoInactive: body.auto_inactive ?? true,
    });
    return reply.code(201).send(presentDeploymentStatus(world, repository, deployment, status));
  });
}
