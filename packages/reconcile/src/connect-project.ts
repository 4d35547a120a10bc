import { setTimeout as delay } from 'node:timers/promises';
import { BoughError } from '@bough/domain/bough-error';
import { slugify } from '@bough/domain/names';
import type { Secret } from '@bough/domain/secret';
import type { Forge, Repository } from '@bough/forge/forge';
import { starterManifest } from '@bough/manifest/starter-manifest';
import { listDeliveries } from '@bough/store/deliveries';
import { listEnvironments, writeAbsent } from '@bough/store/environments';
import { appendEvent } from '@bough/store/events';
import { insertProject, type Project, removeProject, writeIntake } from '@bough/store/projects';
import type pg from 'pg';
import { observeKey, repositoryOf } from './observe.ts';
import { beginToReadComments } from './poll-comments.ts';

/** A ping that has not come back after this long is not coming: the forge gives up after 10 s itself. */
const ROUND_TRIP_MS = 12_000;
const ROUND_TRIP_LOOK_MS = 100;

export interface Connecting {
  readonly pool: pg.Pool;
  readonly installationId: string;
  readonly forge: Forge;
  /** Where the forge reaches this server. */
  readonly publicUrl: string;
  /** Null: webhooks cannot be signed, so repositories are polled. */
  readonly webhookSecret: Secret | null;
  readonly enqueue: (queue: 'observe' | 'reconcile', key: string) => Promise<void>;
}

export interface ConnectionWish {
  readonly owner: string;
  readonly name: string;
  readonly production: 'external' | 'managed';
  /** Left out: what the credentials and the network allow. */
  readonly intake?: 'webhook' | 'app' | 'poll';
}

/**
 * Makes a repository a project: reads it, makes its deliveries come in and proves that they do, then looks at its open
 * pull requests. Where the forge cannot reach us it is polled instead. May be called again: nothing is made twice.
 */
export async function connectProject(connecting: Connecting, wish: ConnectionWish): Promise<Project> {
  const { pool, forge } = connecting;
  const repository = await readRepository(forge, wish);
  const project = await insertProject(pool, {
    installationId: connecting.installationId,
    forge: forge.kind,
    forgeHost: forge.host,
    repositoryId: repository.id,
    owner: repository.owner,
    name: repository.name,
    slug: slugify(repository.name),
    defaultBranch: repository.defaultBranch,
    private: repository.private,
    production: wish.production,
    intake: 'poll',
    forgeInstallationId: repository.forgeInstallationId ?? null,
  });
  const intake = await openIntake(connecting, project, wish.intake);
  // What is written before it is ours asks nothing of us.
  if (intake.intake === 'poll') await beginToReadComments({ pool, forge: () => forge }, project);
  await writeIntake(pool, project.id, intake);
  await appendEvent(pool, {
    projectId: project.id,
    environmentId: null,
    actor: 'bough',
    kind: 'project.connected',
    detail: { intake: intake.intake, production: wish.production },
  });
  await lookAtEverything(connecting, project);
  return { ...project, intake: intake.intake, webhookId: intake.webhookId };
}

/** Ends the deliveries and asks the previews away. Production stops, its data stays (DESIGN §5). */
export async function disconnectProject(connecting: Connecting, project: Project): Promise<void> {
  if (project.webhookId !== null)
    await connecting.forge.removeWebhook(repositoryOf(project), project.webhookId);
  await removeProject(connecting.pool, project.id);
  for (const { subject } of await listEnvironments(connecting.pool, { projectId: project.id })) {
    const written = await writeAbsent(connecting.pool, { projectId: project.id, subject });
    if (written !== undefined) await connecting.enqueue('reconcile', written.environment.id);
  }
}

/** The first pull request: it adds a manifest, and being a pull request it gets a preview, with empty services. */
export async function proposeManifest(
  connecting: Connecting,
  project: Project,
  app: { type: string; start: string },
): Promise<{ number: number; url: string }> {
  const manifest = starterManifest(app);
  return await connecting.forge.proposeFiles(repositoryOf(project), {
    branch: 'bough/manifest',
    base: project.defaultBranch,
    title: 'Give every pull request an environment of its own',
    body: `Adds \`${manifest.path}\`, from which [Bough](${connecting.publicUrl}) makes this project's environments. Its comment below tells how the preview of this very pull request goes; push to this branch until it is right, then merge.`,
    files: { [manifest.path]: manifest.text },
  });
}

async function readRepository(forge: Forge, wish: ConnectionWish): Promise<Repository> {
  const repository = await forge.readRepository({ owner: wish.owner, name: wish.name });
  if (repository === 'gone') {
    throw new BoughError({
      code: 'repository-not-found',
      message: `${forge.host} shows no repository ${wish.owner}/${wish.name} to these credentials.`,
      hint: 'Check the spelling, and that the token (or the App’s installation) has access to it.',
    });
  }
  if (repository.archived) {
    throw new BoughError({
      code: 'repository-archived',
      message: `${repository.owner}/${repository.name} is archived, so nothing can be reported on its pull requests.`,
      hint: 'Unarchive it on the forge first.',
    });
  }
  return repository;
}

async function openIntake(
  connecting: Connecting,
  project: Project,
  wanted: 'webhook' | 'app' | 'poll' | undefined,
): Promise<{ intake: Project['intake']; webhookId: string | null }> {
  const { forge, webhookSecret } = connecting;
  if (wanted === 'poll') return { intake: 'poll', webhookId: null };
  // An App's deliveries come for every repository that it is installed on: there is no webhook to make.
  if (wanted === 'app' || (wanted === undefined && forge.capabilities.appDeliveries))
    return { intake: 'app', webhookId: null };
  if (webhookSecret === null) {
    if (wanted === undefined) return { intake: 'poll', webhookId: null };
    throw new BoughError({
      code: 'webhook-secret-missing',
      message: 'A webhook cannot be made without a secret to sign its deliveries.',
      hint: 'Set GITHUB_WEBHOOK_SECRET (for example `openssl rand -hex 32`) and start again, or add the project with --intake poll.',
    });
  }
  return await makeWebhook(connecting, project, { webhookSecret, insist: wanted === 'webhook' });
}

/** Makes the webhook and proves a round trip: a ping must come back, signed, and be stored. */
async function makeWebhook(
  connecting: Connecting,
  project: Project,
  how: { webhookSecret: Secret; insist: boolean },
): Promise<{ intake: Project['intake']; webhookId: string | null }> {
  const { forge } = connecting;
  const repository = repositoryOf(project);
  const url = `${connecting.publicUrl.replace(/\/+$/, '')}/webhooks/${forge.kind}`;
  const { externalId } = await forge.ensureWebhook(repository, { url, secret: how.webhookSecret.reveal() });
  const from = new Date(Date.now() - 1_000);
  await forge.pingWebhook(repository, externalId);
  if (await pingArrives(connecting.pool, project, from)) return { intake: 'webhook', webhookId: externalId };
  await forge.removeWebhook(repository, externalId);
  if (!how.insist) return { intake: 'poll', webhookId: null };
  throw new BoughError({
    code: 'webhook-unreachable',
    message: `${forge.host} did not reach ${url}: its ping did not arrive within ${ROUND_TRIP_MS / 1000} s.`,
    hint: 'Make BOUGH_PUBLIC_URL an address that the forge can reach, or add the project with --intake poll.',
  });
}

async function pingArrives(pool: pg.Pool, project: Project, from: Date): Promise<boolean> {
  const deadline = Date.now() + ROUND_TRIP_MS;
  while (Date.now() < deadline) {
    const deliveries = await listDeliveries(pool, { repositoryId: project.repositoryId, limit: 20 });
    if (deliveries.some((delivery) => delivery.event === 'ping' && delivery.receivedAt >= from)) return true;
    await delay(ROUND_TRIP_LOOK_MS);
  }
  return false;
}

/** What is open already gets its preview too. */
async function lookAtEverything(connecting: Connecting, project: Project): Promise<void> {
  await connecting.enqueue('observe', observeKey(project.id, 'production'));
  const listing = await connecting.forge.listOpen(repositoryOf(project));
  if (listing === 'unchanged') return;
  for (const pull of listing.pulls)
    await connecting.enqueue('observe', observeKey(project.id, `pull/${pull.number}`));
}
