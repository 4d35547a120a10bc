import { z } from 'zod';
import type { Plan as PlanType } from './plan.ts';

/** For reading a plan back from the store, where it is JSON. Keys of later versions are dropped. */
const toolchain = z.object({ want: z.string(), version: z.string(), digest: z.string() });
const relationship = z.object({ name: z.string(), target: z.string(), endpoint: z.string() });
const mount = z.object({
  path: z.string(),
  source: z.enum(['storage', 'instance', 'tmp']),
  volume: z.string(),
});
const texts = z.record(z.string(), z.string());
const anything = z.record(z.string(), z.unknown());
const script = z.string().nullable();

const app = z.object({
  name: z.string(),
  type: z.string(),
  toolchains: z.array(toolchain),
  root: z.string(),
  build: z.object({ flavor: z.string(), hook: script }),
  deployHook: script,
  postDeployHook: script,
  web: z.object({ start: z.string(), preStart: script, postStart: script, locations: anything }).nullable(),
  workers: z.array(
    z.object({
      name: z.string(),
      start: z.string(),
      relationships: z.array(relationship),
      mounts: z.array(mount),
      env: texts,
    }),
  ),
  relationships: z.array(relationship),
  mounts: z.array(mount),
  env: texts,
  otherVariables: anything,
  limits: z.object({ memoryMib: z.number().int().positive() }),
});

const route = z.object({
  pattern: z.string(),
  id: z.string().nullable(),
  primary: z.boolean(),
  attributes: texts,
  kind: z.enum(['upstream', 'redirect']),
  to: z.string(),
});

const service = z.object({
  name: z.string(),
  type: z.string(),
  version: z.string(),
  toolchain,
  configuration: anything,
});

export const Plan: z.ZodType<PlanType> = z.object({
  common: z.object({ apps: z.array(app), services: z.array(service), routes: z.array(route) }),
  overlay: z.object({
    kind: z.enum(['production', 'preview', 'local']),
    hosts: z.array(
      z.object({
        pattern: z.string(),
        url: z.string(),
        host: z.string(),
        path: z.string(),
        redirectTo: z.string().nullable(),
      }),
    ),
    fsync: z.boolean(),
    crons: z.enum(['on', 'off']),
    memoryMib: z.record(z.string(), z.number()),
  }),
  fingerprint: z.string(),
});
export type Plan = PlanType;
