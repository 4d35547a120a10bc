import { describe, expect, test } from 'vitest';
import { readManifest } from './read-manifest.ts';

function read(rehearsal: string) {
  const result = readManifest({
    '.bough/config.yaml': `applications: { web: { type: "nodejs:22" } }\ndata:\n  sanitize: none\n${rehearsal}`,
  });
  return result.kind === 'manifest'
    ? result.manifest.data?.rehearsal
    : result.kind === 'problems'
      ? result.problems.map(({ line, message }) => `${line}: ${message}`)
      : result.kind;
}

describe('data: rehearsal', () => {
  test('is on, with two seconds, unless it says otherwise', () => {
    expect(read('')).toEqual({ enabled: true, stallBudgetMs: 2_000 });
    expect(read('  rehearsal: { enabled: false }')).toEqual({ enabled: false, stallBudgetMs: 2_000 });
  });

  test.each([
    ['500ms', 500],
    ['1.5s', 1_500],
    ['1 m', 60_000],
  ])('%s', (text, ms) => {
    expect(read(`  rehearsal: { stall_budget: ${text} }`)).toEqual({ enabled: true, stallBudgetMs: ms });
  });

  test.each(['0s', '2h', '11m', 'soon'])('%s is refused', (text) => {
    expect(read(`  rehearsal: { stall_budget: ${text} }`)).toEqual([
      `4: data: rehearsal: stall_budget cannot be "${text}".`,
    ]);
  });

  test('knows its keys', () => {
    expect(read('  rehearsal: { stall-budget: 2s }')).toEqual([
      '4: data: rehearsal: unknown key "stall-budget".',
    ]);
  });
});
