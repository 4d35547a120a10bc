import { parseDuration } from '@bough/domain/duration';
import { pathGlobProblem } from '@bough/domain/path-globs';
import { readForks } from './forks-policy.ts';
import { described, isEmpty, type Located } from './located.ts';
import type { Place } from './manifest.ts';
import { DEFAULT_PREVIEWS, type PreviewPolicy, type Trigger } from './preview-policy.ts';
import type { Report } from './report.ts';
import { booleanOf, integerOf, mapEntries, openSection, shown, textOf } from './section.ts';
import { meant } from './suggest.ts';

const TRIGGERS_MAX = 20;
const PATHS_MAX = 100;
const PRIORITIES_MAX = 50;
const TRUSTED_BOTS_MAX = 20;
const triggerHint = 'Write all, comment, { label: preview }, { paths: ["web/**"] }, or a list of these.';

export function readPreviews(report: Report, node: Located | undefined): PreviewPolicy {
  const fallback: Place = node?.place ?? { file: '', line: 1, column: 1 };
  const previews = openSection(report, node, {
    title: 'previews',
    acted: [
      'access',
      'triggers',
      'drafts',
      'bots',
      'trusted_bots',
      'forks',
      'lazy',
      'idle',
      'expires',
      'limits',
      'priorities',
    ],
    fallback,
  });
  const lazy = booleanOf(report, previews.get('lazy'), 'previews: lazy', DEFAULT_PREVIEWS.lazy);
  const who = (key: 'drafts' | 'bots') => yesNoLazy(report, previews.get(key), `previews: ${key}`);
  const policy = {
    access: readAccess(report, previews.get('access')),
    triggers: readTriggers(report, previews.get('triggers')),
    ...{ drafts: who('drafts'), bots: who('bots'), lazy },
    trustedBots: readTrustedBots(report, previews.get('trusted_bots')),
    idleSeconds: durationOf(report, previews.get('idle'), 'previews: idle'),
    expiresSeconds: durationOf(report, previews.get('expires'), 'previews: expires'),
    forks: readForks(report, previews.get('forks')),
    limits: readLimits(report, previews.get('limits')),
    priorities: readPriorities(report, previews.get('priorities')),
  };
  const { idleSeconds, expiresSeconds } = policy;
  if (idleSeconds !== null && expiresSeconds !== null && expiresSeconds <= idleSeconds) {
    report.problem(
      previews.placeOf('expires'),
      'previews: expires must be longer than idle.',
      'A preview sleeps first and is removed later: idle: 30m, expires: 14d.',
    );
  }
  return policy;
}

function readAccess(report: Report, node: Located | undefined): PreviewPolicy['access'] {
  const words = ['open', 'basic', 'link'] as const;
  const access = textOf(report, node, 'previews: access');
  const known = words.find((word) => word === access);
  if (access === null || node === undefined || known !== undefined) return known ?? null;
  report.problem(
    node.place,
    `previews: access cannot be "${access}".`,
    `${meant(access, words)} "open" lets anybody in, "basic" asks for a generated password, "link" for a signed link.`,
  );
  return null;
}

function readTrustedBots(report: Report, node: Located | undefined): readonly string[] {
  if (node === undefined || isEmpty(node)) return [];
  const title = 'previews: trusted_bots';
  const items = node.kind === 'list' ? node.items : [node];
  if (items.length > TRUSTED_BOTS_MAX)
    report.problem(node.place, `${title} has more than ${TRUSTED_BOTS_MAX}.`, 'Name those that you need.');
  return items.slice(0, TRUSTED_BOTS_MAX).flatMap((item) => {
    const login = textOf(report, item, title);
    if (login === null) return [];
    if (LOGIN.test(login)) return [login];
    report.problem(
      item.place,
      `${title}: "${login}" is no login of a bot.`,
      'Write ["renovate[bot]", dependabot].',
    );
    return [];
  });
}

/** As GitHub makes them; with or without what it adds to a bot's. */
const LOGIN = /^[a-z0-9](?:[a-z0-9-]{0,98}[a-z0-9])?(?:\[bot\])?$/i;

function readTriggers(report: Report, node: Located | undefined): readonly Trigger[] {
  if (node === undefined || isEmpty(node)) return DEFAULT_PREVIEWS.triggers;
  const items = node.kind === 'list' ? node.items : [node];
  if (items.length === 0 || items.length > TRIGGERS_MAX) {
    const message =
      items.length === 0
        ? 'previews: triggers is an empty list.'
        : `previews: triggers has more than ${TRIGGERS_MAX}.`;
    report.problem(
      node.place,
      message,
      items.length === 0 ? 'Write comment to make none by itself.' : 'Join some of them.',
    );
    return DEFAULT_PREVIEWS.triggers;
  }
  return items.flatMap((item) => readTrigger(report, item) ?? []);
}

function readTrigger(report: Report, node: Located): Trigger | undefined {
  if (node.kind === 'map') {
    const section = openSection(report, node, {
      title: 'previews: triggers',
      acted: ['label', 'paths'],
      fallback: node.place,
    });
    const label = textOf(report, section.get('label'), 'previews: triggers: label');
    const paths = readPaths(report, section.get('paths'));
    if (label !== null || paths !== null) return { kind: 'when', label, paths };
    report.problem(node.place, 'previews: triggers: a condition that says nothing.', triggerHint);
    return undefined;
  }
  const word = node.kind === 'scalar' ? node.value : null;
  if (word === 'all' || word === 'comment') return { kind: word };
  const what = typeof word === 'string' ? `"${word}"` : described(node);
  report.problem(node.place, `previews: triggers cannot be ${what}.`, triggerHint);
  return undefined;
}

function readPaths(report: Report, node: Located | undefined): readonly string[] | null {
  if (node === undefined || isEmpty(node)) return null;
  const title = 'previews: triggers: paths';
  const items = node.kind === 'list' ? node.items : [node];
  if (items.length > PATHS_MAX)
    report.problem(node.place, `${title} has more than ${PATHS_MAX}.`, 'Use wildcards such as "web/**".');
  const paths = items.slice(0, PATHS_MAX).flatMap((item) => {
    const glob = textOf(report, item, title);
    const problem = glob === null ? undefined : pathGlobProblem(glob);
    if (problem !== undefined)
      report.problem(item.place, `${title}: ${problem}`, 'Write "web/**", "*.md" or "!docs/**".');
    return glob === null || problem !== undefined ? [] : [glob];
  });
  if (paths.length > 0 && paths.every((path) => path.startsWith('!')))
    report.problem(node.place, `${title} only excludes, so nothing would match.`, 'Begin with "**".');
  return paths;
}

function yesNoLazy(report: Report, node: Located | undefined, title: string): 'yes' | 'no' | 'lazy' {
  if (node === undefined || isEmpty(node)) return 'yes';
  if (node.kind === 'scalar') {
    if (typeof node.value === 'boolean') return node.value ? 'yes' : 'no';
    if (node.value === 'yes' || node.value === 'no' || node.value === 'lazy') return node.value;
  }
  const hint = 'Write true, false, or lazy: address and comment at once, started on the first visit.';
  report.problem(node.place, `${title} must be true, false or lazy, not ${shown(node)}.`, hint);
  return 'yes';
}

function durationOf(report: Report, node: Located | undefined, title: string): number | null {
  if (node === undefined || isEmpty(node)) return null;
  if (node.kind === 'scalar' && (node.value === 'never' || node.value === false)) return null;
  const seconds = node.kind === 'scalar' ? parseDuration(node.source) : undefined;
  if (seconds !== undefined) return seconds;
  const hint = 'Write a number and a unit, up to a year: 30m, 12h, 14d; or never.';
  report.problem(node.place, `${title} must be a length of time, not ${shown(node)}.`, hint);
  return null;
}

function readLimits(report: Report, node: Located | undefined): PreviewPolicy['limits'] {
  if (node === undefined) return DEFAULT_PREVIEWS.limits;
  const title = 'previews: limits';
  const acted = ['environments', 'awake'];
  const section = openSection(report, node, { title, acted, fallback: node.place });
  const count = (key: string) =>
    integerOf(report, section.get(key), `${title}: ${key}`, { least: 1, most: 10_000 });
  return { environments: count('environments'), awake: count('awake') };
}

function readPriorities(report: Report, node: Located | undefined): PreviewPolicy['priorities'] {
  const title = 'previews: priorities';
  const entries = mapEntries(report, node, title);
  const last = entries[PRIORITIES_MAX];
  if (last !== undefined)
    report.problem(
      last.keyPlace,
      `${title} has more than ${PRIORITIES_MAX} labels.`,
      'Name those that matter.',
    );
  return entries.slice(0, PRIORITIES_MAX).flatMap(({ key, value }) => {
    const priority = integerOf(report, value, `${title}: ${key}`, { least: -100, most: 100 });
    return priority === null ? [] : [{ label: key, priority }];
  });
}
