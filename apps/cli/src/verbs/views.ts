import { RehearsalReport, rehearsalVerdicts } from '@bough/domain/rehearsal';
import { z } from 'zod';

/** The parts of the API's answers that the verbs show. */
export const ProjectView = z.object({
  id: z.string(),
  slug: z.string(),
  repository: z.string(),
  production: z.string(),
  intake: z.string(),
  defaultBranch: z.string(),
});

export const FailureView = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string().nullable(),
  tail: z.array(z.string()),
});

export const EnvironmentView = z.object({
  id: z.string(),
  slug: z.string(),
  subject: z.string(),
  kind: z.string(),
  phase: z.string(),
  commit: z.string().nullable(),
  runningStep: z.string().nullable(),
  heldReason: z.string().nullable(),
  waitingReason: z.string().nullable(),
  waitingPosition: z.number().nullable(),
  sleepReason: z.string().nullable(),
  lastVisitAt: z.string().nullable(),
  keptUntil: z.string().nullable(),
  branchOf: z.object({ from: z.string(), data: z.string() }).nullable(),
  expiresAt: z.string().nullable(),
  failure: FailureView.nullable(),
  data: z.object({ state: z.string(), note: z.string().nullable() }),
  changedAt: z.string(),
});

export type EnvironmentView = z.infer<typeof EnvironmentView>;

export const GoldensView = z.object({
  goldens: z.array(
    z.object({
      id: z.string(),
      capturedAt: z.string().nullable(),
      sanitized: z.boolean(),
      sizeBytes: z.number().nullable(),
      why: z.string().nullable(),
      previews: z.number(),
    }),
  ),
  refresh: z
    .object({
      askedAt: z.string().nullable(),
      startedAt: z.string().nullable(),
      progress: z.string().nullable(),
      attemptedAt: z.string().nullable(),
      note: z.string().nullable(),
      dueAt: z.string().nullable(),
    })
    .nullable(),
  failure: z.object({ since: z.string(), message: z.string(), hint: z.string().nullable() }).nullable(),
});
export type GoldensView = z.infer<typeof GoldensView>;

export const BudgetsView = z.object({
  budgets: z.array(
    z.object({
      kind: z.string(),
      budgetBytes: z.number(),
      usedBytes: z.number(),
      pinnedBytes: z.number(),
      items: z.number(),
      measuredAt: z.string(),
      prunedItems: z.number(),
      prunedBytes: z.number(),
      prunedAt: z.string().nullable(),
      failure: z.string().nullable(),
    }),
  ),
});
export type BudgetsView = z.infer<typeof BudgetsView>;

export const LinksView = z.object({
  links: z.array(z.object({ url: z.string(), primary: z.boolean() })).min(1),
  expiresAt: z.string(),
});

export const EnvironmentDetail = EnvironmentView.extend({
  golden: z
    .object({
      id: z.string(),
      capturedAt: z.string().nullable(),
      sanitized: z.boolean(),
      newestAt: z.string().nullable(),
    })
    .nullable(),
  routes: z.array(z.object({ url: z.string(), state: z.string(), access: z.string(), primary: z.boolean() })),
  access: z.object({ username: z.string(), password: z.string() }).nullable(),
  deployment: z
    .object({
      id: z.string(),
      commit: z.string(),
      state: z.string(),
      durationMs: z.number(),
      steps: z.array(
        z.object({
          name: z.string(),
          state: z.string(),
          note: z.string().nullable(),
          durationMs: z.number(),
        }),
      ),
    })
    .nullable(),
  releaseDeploymentId: z.string().nullable(),
});
export type EnvironmentDetail = z.infer<typeof EnvironmentDetail>;

export const DeliveryView = z.object({
  id: z.string(),
  deliveryId: z.string(),
  event: z.string(),
  action: z.string().nullable(),
  subjects: z.array(z.string()),
  fate: z.string(),
  reason: z.string().nullable(),
  receivedAt: z.string(),
});

export const WhyView = z.object({
  subject: z.string(),
  phase: z.string().nullable(),
  declinedReason: z.string().nullable(),
  waitingPosition: z.number().nullable(),
  sleepReason: z.string().nullable(),
  heldReason: z.string().nullable(),
  waitingReason: z.string().nullable(),
  failure: FailureView.nullable(),
  retryAt: z.string().nullable(),
  capture: z
    .object({
      since: z.string(),
      failures: z.number(),
      message: z.string(),
      hint: z.string().nullable(),
      retryAt: z.string().nullable(),
    })
    .nullable(),
  deliveries: z.array(DeliveryView),
  events: z.array(
    z.object({
      actor: z.string(),
      kind: z.string(),
      detail: z.record(z.string(), z.unknown()),
      at: z.string(),
    }),
  ),
});

/** A deployment's migrations, tried on a clone of production's data. */
export const RehearsalView = z.object({
  state: z.enum(['queued', 'running', 'done', 'aborted']),
  verdict: z.enum(rehearsalVerdicts).nullable(),
  reusedId: z.string().nullable(),
  report: RehearsalReport.nullable(),
});
export type RehearsalView = z.infer<typeof RehearsalView>;
