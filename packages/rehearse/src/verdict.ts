import type { Measurement, RehearsalCheck, RehearsalReport } from '@bough/domain/rehearsal';

/** What a rehearsal that measured something comes to. Pure. Fails on evidence, passes only when everything was seen. */
export function judge(seen: {
  stallBudgetMs: number;
  services: Readonly<Record<string, Measurement>>;
  hook: RehearsalCheck;
  again: RehearsalCheck;
  previous: RehearsalCheck;
}): Pick<RehearsalReport, 'verdict' | 'reasons'> {
  const failed = [
    ...[seen.hook, seen.again, seen.previous]
      .filter(({ verdict }) => verdict === 'fail')
      .map(({ note }) => note),
    ...Object.values(seen.services).flatMap((service) => failuresOf(service, seen.stallBudgetMs)),
  ];
  if (failed.length > 0) return { verdict: 'fail', reasons: failed };
  const blind = Object.values(seen.services).flatMap((service) => service.blind);
  if (seen.hook.verdict !== 'pass') blind.push(seen.hook.note);
  if (Object.keys(seen.services).length === 0) blind.push('no database was observed');
  if (blind.length > 0) return { verdict: 'not measured', reasons: blind };
  return { verdict: 'pass', reasons: [] };
}

function failuresOf(service: Measurement, budgetMs: number): string[] {
  const { readStallMs, writeStallMs, statements, tables } = service;
  const stalls = (['read', 'write'] as const).flatMap((kind) => {
    const longest = kind === 'read' ? readStallMs : writeStallMs;
    if (longest === null || longest <= budgetMs) return [];
    const of = <Item extends { readStallMs: number | null; writeStallMs: number | null }>(
      items: readonly Item[],
    ) => items.find((item) => (kind === 'read' ? item.readStallMs : item.writeStallMs) === longest);
    const table = of(tables)?.table;
    const text = of(statements)?.text;
    const by = text === undefined ? '' : ` because of \`${text.replaceAll('`', "'")}\``;
    return [
      `${kind === 'read' ? 'reads' : 'writes'} of ${table ?? 'a table'} would stop for ${words(longest)}${by}; ${words(budgetMs)} are allowed`,
    ];
  });
  return [...stalls, ...service.invalidIndexes.map((index) => `${index} is left behind and is not valid`)];
}

function words(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
