import { z } from 'zod';

/** What is used of GitHub's webhook payloads, and nothing else. */

const Owner = z.object({ login: z.string().optional(), name: z.string().nullish() });
const EventRepository = z.object({
  id: z.number(),
  name: z.string(),
  owner: Owner.nullish(),
  default_branch: z.string().optional(),
});
const Listed = z.object({ id: z.number(), full_name: z.string() });

/** What any event may carry. */
export const EventEnvelope = z.object({
  action: z.string().max(100).nullish(),
  repository: EventRepository.nullish(),
  installation: z.object({ id: z.number() }).nullish(),
});
export type EventEnvelope = z.output<typeof EventEnvelope>;

export const PullRequestEvent = z.object({ number: z.number().int().positive() });
export const PushEvent = z.object({ ref: z.string() });
export const DeleteEvent = z.object({ ref: z.string(), ref_type: z.string() });
export const IssueCommentEvent = z.object({
  issue: z.object({ number: z.number().int().positive(), pull_request: z.unknown().optional() }),
  comment: z.object({
    id: z.number(),
    body: z.string().nullish(),
    user: z.object({ login: z.string(), type: z.string().optional() }).nullish(),
  }),
});
export const CheckRunEvent = z.object({
  check_run: z.object({
    pull_requests: z.array(z.object({ number: z.number().int().positive() })).default([]),
    check_suite: z.object({ head_branch: z.string().nullish() }).nullish(),
    head_sha: z.string().nullish(),
    external_id: z.string().nullish(),
  }),
  requested_action: z.object({ identifier: z.string() }).nullish(),
  sender: z.object({ login: z.string(), type: z.string().nullish() }).nullish(),
});
export const InstallationEvent = z.object({ repositories: z.array(Listed).nullish() });
export const InstallationRepositoriesEvent = z.object({
  repositories_added: z.array(Listed).default([]),
  repositories_removed: z.array(Listed).default([]),
});
