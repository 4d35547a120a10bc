import { spawn } from 'node:child_process';
import { BoughError } from '@bough/domain/bough-error';
import type { Command } from 'commander';
import { z } from 'zod';
import { count } from '../count.ts';
import { age, duration, EXIT, table } from '../output.ts';
import type { VerbContext } from '../verb.ts';
import { endOf } from './branch.ts';
import { environmentUrlVerb, primaryUrl } from './environment-url.ts';
import { EnvironmentDetail, EnvironmentView } from './views.ts';
import { whyVerb } from './why.ts';

const Action = z.object({ requestId: z.string(), queued: z.boolean() });

export function environmentVerbs(program: Command, context: VerbContext): void {
  const env = program.command('env').description('running instances: production and previews');

  env
    .command('list')
    .description('living environments')
    .option('--project <project>', 'only of this project')
    .action(async (options: { project?: string }) => {
      const query = options.project === undefined ? '' : `?project=${encodeURIComponent(options.project)}`;
      const answer = await (await context.api()).get(`/environments${query}`);
      const { environments } = z.object({ environments: z.array(EnvironmentView) }).parse(answer);
      context.output.result(environments, () =>
        environments.length === 0
          ? 'No environments. Open a pull request on a project’s repository.'
          : table(
              ['ENVIRONMENT', 'FOR', 'PHASE', 'COMMIT', 'DATA', 'CHANGED'],
              environments.map((row) => [
                row.slug,
                row.subject,
                row.runningStep === null ? row.phase : `${row.phase} (${row.runningStep})`,
                row.commit?.slice(0, 7) ?? '',
                row.data.state,
                age(row.changedAt),
              ]),
            ),
      );
    });

  env
    .command('show <environment>')
    .description('addresses, the way in, data and steps; exit code 3 when it failed')
    .action(async (slug: string) => {
      const detail = await read(context, slug);
      context.output.result(detail, () => describe(detail));
      if (detail.phase === 'failed') process.exitCode = EXIT.unwell;
    });

  environmentUrlVerb(env, context);
  whyVerb(env, context);

  env
    .command('open <environment>')
    .description(
      'open its primary address in the browser; for a branch without a pull request: <owner/repo> --branch',
    )
    .option('--branch <branch>', 'make an environment for this branch of the repository instead')
    .action(async (what: string, options: { branch?: string }) => {
      if (options.branch === undefined) {
        const url = primaryUrl(await read(context, what));
        spawn('xdg-open', [url], { stdio: 'ignore', detached: true })
          .on('error', () => {})
          .unref();
        context.output.result({ url }, () => url);
        return;
      }
      const api = await context.api();
      const answer = await api.get(`/projects?repository=${encodeURIComponent(what)}`);
      const [project] = z
        .object({ projects: z.array(z.object({ slug: z.string() })) })
        .parse(answer).projects;
      const slug = project?.slug ?? what;
      const asked = Action.parse(
        await api.send('POST', `/projects/${encodeURIComponent(slug)}/actions`, {
          subject: `branch/${options.branch}`,
          kind: 'open',
          askedBy: context.config.user,
        }),
      );
      context.output.result(
        asked,
        () => `Asked for an environment of branch ${options.branch}; \`bough env list\` shows it.`,
      );
    });

  env
    .command('logs <environment>')
    .description('last lines of a workload, or of a step of the newest deployment')
    .option('--workload <name>', 'app, app/worker or service; default: the web process')
    .option('--step <name>', 'a step instead: build, "deploy hook", …')
    .option('--lines <count>', 'how many, of a workload', count, '200')
    .option('-f, --follow', 'go on as lines come')
    .action(
      async (slug: string, options: { workload?: string; step?: string; lines: string; follow?: true }) => {
        const api = await context.api();
        for await (const line of api.lines(await logPath(context, slug, options))) {
          context.output.line(line);
          // `bough env logs -f … | head`: nobody reads on.
          if (process.stdout.destroyed) return;
        }
      },
    );

  action(
    env,
    context,
    'redeploy',
    'deploy the same commit again; what is built is reused',
    'is asked to deploy again',
  );
  action(env, context, 'rebuild', 'build it anew, reusing nothing, and deploy', 'is asked to build anew');
  action(
    env,
    context,
    'sync',
    'replace its data by the newest of production, sanitized; the deploy hook runs again',
    'is asked for the newest data',
  );
  action(
    env,
    context,
    'reset',
    'put its data back to what it started from; the deploy hook runs again',
    'is asked back to its start',
  );
  action(env, context, 'sleep', 'stop its processes, keep its data; a visit wakes it', 'is sent to sleep');
  action(env, context, 'wake', 'start it again', 'is woken');
  action(
    env,
    context,
    'keep',
    'neither put it to sleep nor remove it for 7 days, or as long as said: 12h, 30d',
    'is kept',
    'duration',
  );
  action(env, context, 'delete', 'remove it; a pull request gets it back with redeploy', 'is asked away');
}

function action(
  env: Command,
  context: VerbContext,
  kind: 'redeploy' | 'rebuild' | 'sync' | 'reset' | 'sleep' | 'wake' | 'keep' | 'delete',
  description: string,
  words: string,
  argumentName?: string,
): void {
  env
    .command(`${kind} <environment>${argumentName === undefined ? '' : ` [${argumentName}]`}`)
    .description(description)
    .action(async (slug: string, given: unknown) => {
      const argument = typeof given === 'string' ? { argument: given } : {};
      const path = `/environments/${encodeURIComponent(slug)}/actions`;
      const asked = Action.parse(
        await (await context.api()).send('POST', path, { kind, askedBy: context.config.user, ...argument }),
      );
      context.output.result(asked, () => `${slug} ${words}. \`bough env show ${slug}\` tells how it goes.`);
    });
}

async function read(context: VerbContext, slug: string): Promise<EnvironmentDetail> {
  return EnvironmentDetail.parse(
    await (await context.api()).get(`/environments/${encodeURIComponent(slug)}`),
  );
}

async function logPath(
  context: VerbContext,
  slug: string,
  options: { workload?: string; step?: string; lines: string; follow?: true },
): Promise<string> {
  if (options.step === undefined) {
    const query = new URLSearchParams({ lines: options.lines });
    if (options.workload !== undefined) query.set('workload', options.workload);
    if (options.follow) query.set('follow', 'true');
    return `/environments/${encodeURIComponent(slug)}/logs?${query}`;
  }
  const { deployment } = await read(context, slug);
  if (deployment === null)
    throw new BoughError({ code: 'no-deployment', message: `${slug} was never deployed.` });
  return `/deployments/${deployment.id}/steps/${encodeURIComponent(options.step)}/${options.follow ? 'stream' : 'log'}`;
}

function goldenWords({ slug, golden }: EnvironmentDetail): string {
  if (golden === null || golden.capturedAt === null) return '';
  const isOld = golden.newestAt !== null && golden.newestAt > golden.capturedAt;
  const newer = isOld ? `; there is newer: bough env sync ${slug}` : '';
  return `, captured ${age(golden.capturedAt)}${golden.sanitized ? '' : ', RAW'}${newer}`;
}

/** Where a branch came from, and when it goes: nobody is asked again before that. */
function branchLines(detail: EnvironmentDetail): string[] {
  const end = endOf(detail);
  if (detail.branchOf === null || end === null) return [];
  return [
    `branched of ${detail.branchOf.from}${detail.branchOf.data === 'none' ? ', without its data' : ''}`,
    `removed  at ${end}, with its data; longer: bough env keep ${detail.slug} 7d`,
  ];
}

function describe(detail: EnvironmentDetail): string {
  const lines = [
    `${detail.slug}  ${detail.phase}${detail.runningStep === null ? '' : ` (${detail.runningStep})`}`,
    `for      ${detail.subject}`,
    `commit   ${detail.commit ?? 'none'}`,
    ...detail.routes.map((route) => `address  ${route.url}  (${route.state}, ${route.access})`),
    ...(detail.access === null
      ? []
      : [`password user ${detail.access.username}, password ${detail.access.password}`]),
    `data     ${detail.data.note ?? detail.data.state}${goldenWords(detail)}`,
    ...(detail.heldReason === null ? [] : [`held     ${detail.heldReason}`]),
    ...(detail.waitingReason === null ? [] : [`waiting  ${detail.waitingReason}`]),
    ...(detail.sleepReason === null ? [] : [`asleep   ${detail.sleepReason}`]),
    ...(detail.lastVisitAt === null ? [] : [`visited  ${age(detail.lastVisitAt)}`]),
    ...(detail.keptUntil === null ? [] : [`kept     until ${detail.keptUntil}`]),
    ...branchLines(detail),
  ];
  if (detail.failure !== null) {
    lines.push(
      `failed   ${detail.failure.message}`,
      ...(detail.failure.hint === null ? [] : [`next     ${detail.failure.hint}`]),
    );
    lines.push(...detail.failure.tail.map((line) => `         ${line}`));
  }
  if (detail.deployment !== null) {
    const steps = detail.deployment.steps.map((step) => [
      step.name,
      step.state,
      duration(step.durationMs),
      step.note ?? '',
    ]);
    lines.push(
      '',
      `deployment ${detail.deployment.id} of ${detail.deployment.commit.slice(0, 7)}: ${detail.deployment.state} after ${duration(detail.deployment.durationMs)}`,
    );
    if (steps.length > 0) lines.push(table(['STEP', 'STATE', 'TOOK', ''], steps));
  }
  return lines.join('\n');
}
