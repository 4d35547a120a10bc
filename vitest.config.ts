import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Set by .ci/run, which counts the tests from that file. */
const report = process.env.BOUGH_TEST_REPORT;

const ignored = ['**/node_modules/**', 'examples/**'];

/**
 * The files of a worker share what they import: loading it again for each of 150 took minutes. A test that changes its
 * process (variables, directory) puts it back. Of each project: they inherit nothing.
 */
const isolate = false;

/**
 * The longest files first: begun last, one would run alone at the end. Units come last and together: a worker is kept from
 * file to file of one project.
 */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

const ranks = ['/test/simulation/', '/test/e2e/', '/packages/', '/apps/'];

function rank({ moduleId, project }: TestSpecification): number {
  if (project.name === 'unit') return ranks.length;
  const found = ranks.findIndex((part) => moduleId.includes(part));
  return found === -1 ? ranks.length - 1 : found;
}

/**
 * `unit`: files beside the code, nothing started. `integration`: real servers, processes and disks; one Postgres and one
 * Redis for the run, started by testkit.
 */
export default defineConfig({
  test: {
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
    // One more than the cores of a small machine: the long files wait as often as they work.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    teardownTimeout: 60_000,
    pool: 'forks',
    // Processes that tests start leave no compiled files under /tmp.
    env: { TSX_DISABLE_CACHE: '1' },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{packages,apps}/*/src/**/*.test.ts', 'test/architecture.test.ts'],
          exclude: ignored,
          isolate,
          testTimeout: 10_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['{packages,apps}/*/test/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: [...ignored, 'test/architecture.test.ts'],
          isolate,
          globalSetup: ['packages/testkit/src/global-setup.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          // Two cores with a dozen servers stall now and then: in CI a test may fail once, and .ci/run names it.
          retry: report === undefined ? 0 : 1,
        },
      },
    ],
  },
});
