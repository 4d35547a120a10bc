import { pathGlobProblem } from '@bough/domain/path-globs';
import { described, type Located } from './located.ts';
import type { Report } from './report.ts';
import type { FileRule, MountRule } from './sanitize-policy.ts';
import { openSection } from './section.ts';
import { meant } from './suggest.ts';

const words = ['keep', 'drop', 'placeholder'] as const;
const actions = ['allow', 'drop', 'placeholder'] as const;
const EXAMPLE = 'Such as - allow: "public/**", - placeholder: ["**/*.jpg", "**/*.pdf"], - drop: "**".';
const RULES_MAX = 200;
const GLOBS_MAX = 200;

/** `keep`, `drop` or `placeholder` for a whole mount, or a list of rules for its files. */
export function readMountRule(report: Report, node: Located, title: string): MountRule | undefined {
  if (node.kind === 'list') return readRules(report, node.items, node, title);
  const word = node.kind === 'scalar' ? node.value : undefined;
  const known = words.find((candidate) => candidate === word);
  if (known === 'placeholder') return [{ action: 'placeholder', globs: ['**'], sameSize: false }];
  if (known !== undefined) return known;
  const shown = node.kind === 'scalar' ? `"${node.source}"` : described(node);
  report.problem(
    node.place,
    `${title} cannot be ${shown}.`,
    node.kind === 'scalar'
      ? meant(String(word ?? ''), words)
      : `It is keep, drop, placeholder or a list of rules. ${EXAMPLE}`,
  );
  return undefined;
}

function readRules(
  report: Report,
  items: readonly Located[],
  { place }: Located,
  title: string,
): readonly FileRule[] | undefined {
  if (items.length === 0 || items.length > RULES_MAX) {
    report.problem(place, `${title} needs one to ${RULES_MAX} rules.`, EXAMPLE);
    return undefined;
  }
  const rules = items.map((item, index) => readRule(report, item, `${title}: rule ${index + 1}`));
  return rules.some((rule) => rule === undefined) ? undefined : rules.filter((rule) => rule !== undefined);
}

function readRule(report: Report, node: Located, title: string): FileRule | undefined {
  const section = openSection(report, node, { title, acted: [...actions, 'size'], fallback: node.place });
  const said = actions.filter((action) => section.has(action));
  const [action] = said;
  if (action === undefined || said.length > 1) {
    report.problem(node.place, `${title} must say one of ${actions.join(', ')}.`, EXAMPLE);
    return undefined;
  }
  const globs = readGlobs(report, section.get(action), {
    place: section.placeOf(action),
    title: `${title}: ${action}`,
  });
  const size = section.get('size');
  const word = size?.kind === 'scalar' ? size.value : undefined;
  if (section.has('size') && (action !== 'placeholder' || (word !== 'same' && word !== 'tiny'))) {
    report.problem(
      section.placeOf('size'),
      action === 'placeholder'
        ? `${title}: size is "tiny" or "same".`
        : `${title}: only placeholders have a size.`,
      'Such as { placeholder: "**/*.jpg", size: same }; tiny is what is meant without it.',
    );
    return undefined;
  }
  return globs === undefined ? undefined : { action, globs, sameSize: word === 'same' };
}

function readGlobs(
  report: Report,
  node: Located | undefined,
  at: { place: Located['place']; title: string },
): string[] | undefined {
  const items = node === undefined ? [] : node.kind === 'list' ? node.items : [node];
  const globs = items.flatMap((item) => (item.kind === 'scalar' ? [item.source] : []));
  if (globs.length === 0 || globs.length !== items.length || globs.length > GLOBS_MAX) {
    report.problem(at.place, `${at.title} must be a path, or a list of at most ${GLOBS_MAX}.`, EXAMPLE);
    return undefined;
  }
  for (const glob of globs) {
    const problem = glob.startsWith('!')
      ? `"${glob}" takes away; put a rule of its own before this one instead.`
      : pathGlobProblem(glob, 'the mount’s root');
    if (problem === undefined) continue;
    report.problem(at.place, `${at.title}: ${problem}`, EXAMPLE);
    return undefined;
  }
  return globs;
}
