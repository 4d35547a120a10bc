import { budgetKinds } from '@bough/domain/budget';
import { z } from 'zod';

/** What the API says. Ids are decimal strings, times are ISO 8601, durations are in milliseconds. */
const Id = z.string().regex(/^\d+$/);
const Time = z.iso.datetime();

export const ProjectView = z.object({
  id: Id,
  slug: z.string(),
  repository: z.string().describe('owner/name'),
  forge: z.string(),
  forgeHost: z.string(),
  defaultBranch: z.string(),
  production: z.enum(['external', 'managed']),
  intake: z.enum(['webhook', 'app', 'poll']),
  state: z.enum(['active', 'removed']),
  createdAt: Time,
});
export type ProjectView = z.infer<typeof ProjectView>;

export const BranchOf = z.object({
  from: z.string().describe('The subject that it was branched from: production, pull/7'),
  data: z.enum(['golden', 'none']),
  snapshotId: Id.nullable().describe('The golden snapshot of its source; null: production’s newest'),
});

export const FailureView = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string().nullable(),
  tail: z.array(z.string()),
});

export const EnvironmentView = z.object({
  id: Id,
  slug: z.string(),
  projectId: Id,
  subject: z.string(),
  kind: z.enum(['production', 'preview']),
  phase: z.enum([
    'held',
    'queued',
    'building',
    'deploying',
    'ready',
    'asleep',
    'failed',
    'removing',
    'removed',
  ]),
  facts: z.object({
    title: z.string().optional(),
    author: z.string().optional(),
    url: z.string().optional(),
    branch: z.string().optional(),
    number: z.number().optional(),
    baseBranch: z.string().optional(),
  }),
  commit: z.string().nullable(),
  generation: z.string(),
  runningStep: z.string().nullable(),
  heldReason: z.string().nullable(),
  waitingReason: z.string().nullable(),
  waitingPosition: z
    .number()
    .nullable()
    .describe('Place among those that wait for room on the machine; 1 is next'),
  sleepReason: z.string().nullable(),
  failure: FailureView.nullable(),
  retryAt: Time.nullable(),
  lastVisitAt: Time.nullable().describe('The last visit of a person, some seconds late'),
  keptUntil: Time.nullable(),
  branchOf: BranchOf.nullable().describe('What `bough branch` made it of; null: it is none of those'),
  expiresAt: Time.nullable().describe('When a branch is removed, unless it is kept longer'),
  data: z.object({
    state: z.enum(['undecided', 'empty', 'cloned', 'seeded', 'own']),
    note: z.string().nullable(),
  }),
  createdAt: Time,
  changedAt: Time,
  removedAt: Time.nullable(),
});
export type EnvironmentView = z.infer<typeof EnvironmentView>;

export const StepView = z.object({
  name: z.string(),
  state: z.enum(['running', 'done', 'cached', 'skipped', 'failed', 'aborted']),
  note: z.string().nullable(),
  startedAt: Time,
  finishedAt: Time.nullable(),
  durationMs: z.number(),
});
export type StepView = z.infer<typeof StepView>;

export const DeploymentView = z.object({
  id: Id,
  environmentId: Id,
  commit: z.string(),
  generation: z.string(),
  state: z.enum(['running', 'ready', 'failed', 'superseded', 'cancelled']),
  fingerprint: z.string().nullable(),
  failure: FailureView.nullable(),
  startedAt: Time,
  finishedAt: Time.nullable(),
  durationMs: z.number(),
});
export type DeploymentView = z.infer<typeof DeploymentView>;

export const DeploymentDetail = DeploymentView.extend({
  steps: z.array(StepView),
  artifacts: z.array(z.object({ app: z.string(), key: z.string(), cached: z.boolean() })),
});
export type DeploymentDetail = z.infer<typeof DeploymentDetail>;

export const RouteView = z.object({
  url: z.string(),
  host: z.string(),
  path: z.string(),
  route: z.string().describe("The route's template in the manifest"),
  state: z.enum(['serving', 'swapping', 'starting', 'asleep', 'failed']),
  target: z.object({ host: z.string(), port: z.number() }).nullable(),
  redirect: z.object({ to: z.string(), code: z.number() }).nullable(),
  access: z.enum(['open', 'basic', 'link']),
  indexable: z.boolean(),
  primary: z.boolean(),
});
export type RouteView = z.infer<typeof RouteView>;

export const LinksView = z.object({
  links: z.array(z.object({ url: z.string(), primary: z.boolean() })).describe('The primary address first'),
  expiresAt: Time,
});

export const GoldenView = z.object({
  id: Id,
  capturedAt: Time.nullable(),
  sanitized: z.boolean().describe('false: raw data, `sanitize: none`'),
  sizeBytes: z.number().nullable(),
  why: z.string().nullable().describe('Who or what asked for it; null: older than that'),
  previews: z.number().describe('Living ones that were made from it; it stays as long as there are any'),
});
export type GoldenView = z.infer<typeof GoldenView>;

export const GoldensView = z.object({
  goldens: z.array(GoldenView).describe('Newest first; the first is what the next preview is cloned from'),
  refresh: z
    .object({
      askedAt: Time.nullable(),
      askedBy: z.string().nullable(),
      startedAt: Time.nullable().describe('null: none is under way'),
      progress: z.string().nullable(),
      attemptedAt: Time.nullable().describe('Start of the newest attempt that ended'),
      note: z.string().nullable().describe('What came of it'),
      dueAt: Time.nullable().describe('When the next is due'),
    })
    .nullable()
    .describe('null: the data was never looked at'),
  failure: z
    .object({ since: Time, message: z.string(), hint: z.string().nullable() })
    .nullable()
    .describe('Captures fail; the golden before stays in use'),
});
export type GoldensView = z.infer<typeof GoldensView>;

export const BudgetsView = z.object({
  budgets: z.array(
    z.object({
      kind: z.enum(budgetKinds),
      budgetBytes: z.number(),
      usedBytes: z.number(),
      pinnedBytes: z.number().describe('Of these, in use: never pruned'),
      items: z.number(),
      measuredAt: Time,
      prunedItems: z.number().describe('Ever'),
      prunedBytes: z.number().describe('Ever'),
      prunedAt: Time.nullable(),
      failure: z.string().nullable().describe('Why it could not be measured'),
    }),
  ),
});

export const EnvironmentDetail = EnvironmentView.extend({
  golden: GoldenView.pick({ id: true, capturedAt: true, sanitized: true })
    .extend({ newestAt: Time.nullable().describe('When the newest golden of the project was captured') })
    .nullable()
    .describe('What its data was cloned from; null: nothing was cloned'),
  routes: z.array(RouteView),
  access: z.object({ username: z.string(), password: z.string() }).nullable(),
  deployment: DeploymentDetail.nullable().describe('The newest one'),
  releaseDeploymentId: Id.nullable().describe('The one that serves'),
});
export type EnvironmentDetail = z.infer<typeof EnvironmentDetail>;

export const fates = ['received', 'queued', 'observed', 'declined', 'ignored', 'failed'] as const;

export const DeliveryView = z.object({
  id: Id,
  deliveryId: z.string(),
  forge: z.string(),
  event: z.string(),
  action: z.string().nullable(),
  repositoryId: z.number().nullable(),
  subjects: z.array(z.string()),
  fate: z.enum(fates),
  reason: z.string().nullable(),
  attempts: z.number(),
  receivedAt: Time,
  settledAt: Time.nullable(),
});
export type DeliveryView = z.infer<typeof DeliveryView>;

export const EventView = z.object({
  id: Id,
  actor: z.string(),
  kind: z.string(),
  detail: z.record(z.string(), z.unknown()),
  at: Time,
});
export type EventView = z.infer<typeof EventView>;

export const VariableView = z.object({
  name: z.string(),
  secret: z.boolean(),
  build: z.boolean(),
  run: z.boolean(),
  production: z.boolean(),
  preview: z.boolean(),
  updatedAt: Time,
});
export type VariableView = z.infer<typeof VariableView>;

const requestKinds = [
  'open',
  'redeploy',
  'rebuild',
  'sync',
  'reset',
  'sleep',
  'wake',
  'keep',
  'approve',
  'delete',
] as const;

/** What can be asked for today. The other kinds are words of the design that nothing acts on yet. */
const askableKinds = [
  'open',
  'redeploy',
  'rebuild',
  'sync',
  'reset',
  'sleep',
  'wake',
  'keep',
  'delete',
] as const;

export const ActionBody = z.object({
  kind: z.enum(askableKinds),
  argument: z.string().max(500).optional(),
  askedBy: z.string().min(1).max(100).optional().describe('Who asks, for the record; default "admin"'),
});

/** `queued` false: the request is stored, and looked at when the queue is back. */
export const ActionAnswer = z.object({ requestId: Id, queued: z.boolean() });

export const Why = z.object({
  subject: z.string(),
  phase: EnvironmentView.shape.phase.nullable().describe('null: there is no environment'),
  declinedReason: z.string().nullable().describe('Why an open pull request has no environment'),
  waitingPosition: z.number().nullable(),
  sleepReason: z.string().nullable(),
  heldReason: z.string().nullable(),
  waitingReason: z.string().nullable(),
  failure: FailureView.nullable(),
  retryAt: Time.nullable(),
  capture: z
    .object({
      since: Time,
      failures: z.number().describe('One after the other'),
      message: z.string(),
      hint: z.string().nullable(),
      retryAt: Time.nullable(),
    })
    .nullable()
    .describe('Why production’s data cannot be captured; null while it can'),
  openRequests: z.array(z.object({ id: Id, kind: z.enum(requestKinds), askedBy: z.string(), askedAt: Time })),
  deliveries: z.array(DeliveryView),
  events: z.array(EventView),
});

export const Status = z.object({
  installationId: z.string(),
  version: z.string(),
  projects: z.number(),
  environments: z.record(z.string(), z.number()).describe('Living environments by phase'),
  queue: z
    .record(
      z.string(),
      z.object({ waiting: z.number(), active: z.number(), delayed: z.number(), failed: z.number() }),
    )
    .nullable()
    .describe('null: the queue store does not answer'),
  unsettledDeliveries: z.number().describe('Older than a minute and not settled'),
  storage: z
    .object({
      kind: z.string().describe('btrfs, reflink or copy'),
      tried: z.array(z.object({ kind: z.string(), ok: z.boolean(), why: z.string() })),
    })
    .nullable()
    .describe('What volumes are kept on and why, as a worker found it; null before its first start'),
});

/** How routes below a project name it. */
export const ProjectByKey = z.object({ project: z.string().max(200).describe('Slug or id') });
