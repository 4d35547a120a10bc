import type { Measurement, RehearsalReport } from '@bough/domain/rehearsal';
import type { Rehearsal } from '@bough/store/rehearsals';
import { describe, expect, test } from 'vitest';
import { COMMIT, exampleState } from '../test/example-state.ts';
import { renderComment } from './render-comment.ts';
import { renderRehearsal } from './render-rehearsal.ts';
import { renderRehearsalCheck } from './render-rehearsal-check.ts';

const pass = { verdict: 'pass', note: 'fine' } as const;

const measurement: Measurement = {
  ...{
    durationMs: 3_400,
    statementsLeftOut: 0,
    readStallMs: 15,
    writeStallMs: 3_210,
    noiseMs: 2,
    blindMs: 6,
  },
  ...{ walBytes: 90_000_000, invalidIndexes: [], pending: true, blind: [], tables: [] },
  statements: [
    {
      text: 'create index on orders (a || b)',
      ...{ durationMs: 3_300, readStallMs: 0, writeStallMs: 3_210, rewrites: [], rows: 5_000_000 },
      ...{ lock: { mode: 'Share', table: 'orders', heldMs: 3_290 }, walBytes: 88_000_000 },
    },
    {
      text: 'alter table @team alter c type bigint',
      ...{ durationMs: 40, readStallMs: 15, writeStallMs: null, rewrites: ['team'], rows: null },
      ...{ lock: null, walBytes: null },
    },
  ],
  schema: {
    added: ['index orders_expr btree (a || b)'],
    removed: ['column orders.old'],
    changed: [{ what: 'column team.c', before: 'integer', after: 'bigint' }],
    leftOut: 0,
  },
};

function report(over: Partial<RehearsalReport> = {}): RehearsalReport {
  return {
    ...{ verdict: 'pass', reasons: [], stallBudgetMs: 5_000, network: null, tail: [] },
    golden: { snapshotId: '5', capturedAt: null, sanitize: 'none' },
    ...{ services: { db: measurement }, hook: pass, again: pass, previous: pass },
    ...over,
  };
}

function stateWith(over: Partial<Rehearsal>) {
  const rehearsal: Rehearsal = {
    ...{ id: '1', environmentId: '12', deploymentId: '41', state: 'done', snapshotId: '5', reusedId: null },
    ...{ verdict: 'pass', report: report() },
    ...{ queuedAt: new Date(0), startedAt: null, finishedAt: null },
    ...over,
  };
  return exampleState({}, { rehearsal });
}
const render = (over: Partial<Rehearsal>) => renderRehearsal(stateWith(over));

describe('the comment', () => {
  test('shows each statement with what visitors would feel', () => {
    expect(
      render({}),
    ).toBe(`**Migration rehearsal**: ✅ passed: reads would stop for 15 ms, writes would stop for 3.2 s · [report](http://localhost:3000/environments/pr-7--shop#rehearsal)

| statement | took | reads stop | writes stop | rewrite | lock | rows | written |
| --- | ---: | ---: | ---: | --- | --- | ---: | ---: |
| \`create index on orders (a \\|\\| b)\` | 3.3 s | no | 3.2 s | no | Share on \`orders\`, 3.3 s | 5,000,000 | 88 MB |
| \`alter table @team alter c type bigint\` | 40 ms | 15 ms | ? | ⚠️ \`team\` |  |  |  |

Schema: \`+ index orders_expr btree (a \\|\\| b)\`, \`~ column team.c: integer → bigint\`, \`- column orders.old\`

✅ the previous release on the new schema · ✅ the hook run twice · stalls of 5.0 s are allowed`);
    expect(renderComment(stateWith({}))).toContain('**Migration rehearsal**');
  });

  test('says why it failed, and that what was not measured is no pass', () => {
    const failed = report({ verdict: 'fail', reasons: ['writes of orders would stop for 3.2 s'] });
    expect(render({ verdict: 'fail', report: failed })).toContain(
      '❌ failed · [report](http://localhost:3000/environments/pr-7--shop#rehearsal)\n\n- writes of orders would stop for 3.2 s',
    );
    const blind = report({ verdict: 'not measured', reasons: ['there is no golden snapshot'], services: {} });
    const text = render({ verdict: 'not measured', report: blind });
    expect(text).toContain('❔ not measured, which is not a pass');
    expect(text).not.toContain('✅');
  });

  test('is short when nothing is pending, and absent when there is nothing to say', () => {
    const idle = report({
      services: { db: { ...measurement, pending: false, statements: [], readStallMs: 0, writeStallMs: 0 } },
    });
    expect(render({ report: idle })).toContain('nothing pending: the hook changes no schema');
    expect(render({ state: 'running', verdict: null, report: null })).toContain('under way');
    expect(render({ state: 'aborted', verdict: null, report: null })).toBe('');
    expect(renderRehearsal(exampleState())).toBe('');
    expect(render({ report: { verdict: 'of another age' } })).toContain('cannot be read');
  });
});

describe('the check', () => {
  test.each([
    ['queued', null, 'queued'],
    ['running', null, 'in_progress'],
    ['aborted', null, 'cancelled'],
    ['done', 'pass', 'success'],
    ['done', 'fail', 'failure'],
    ['done', 'not measured', 'action_required'],
  ] as const)('%s, %s: %s', (state, verdict, expected) => {
    const said: Partial<RehearsalReport> = { verdict: verdict ?? 'pass', reasons: ['because'] };
    const check = renderRehearsalCheck(stateWith({ state, verdict, report: report(said) }));
    expect(check).toMatchObject({ name: 'bough / rehearsal', commit: COMMIT, state: expected });
  });

  test('is not there without a rehearsal', () => {
    expect(renderRehearsalCheck(exampleState())).toMatchObject({ state: null });
  });
});
