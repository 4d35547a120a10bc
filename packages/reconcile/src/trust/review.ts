import type { Review } from '@bough/domain/review';
import type { ForksPolicy } from '@bough/manifest/forks-policy';
import type { App, Manifest, ReadResult } from '@bough/manifest/manifest';

const DIFF_LINES_MAX = 150;
const DIFF_CHARACTERS_MAX = 8_000;
const LINE_MAX = 300;
const COMMANDS_MAX = 20;
const NAMES_MAX = 20;
const COMMAND_MAX = 400;

/** Sums up what an approval would let in. Pure. `diff` is git's. */
export function review(of: { result: ReadResult; diff: string; policy: ForksPolicy }): Review {
  const { result, policy } = of;
  return {
    ...boundDiff(of.diff),
    runs: result.kind === 'manifest' ? runsOf(result.manifest) : null,
    problem: problemOf(result),
    network: policy.network,
  };
}

function boundDiff(diff: string): Pick<Review, 'diff' | 'diffLeftOut'> {
  const lines = diff.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const kept: string[] = [];
  let left = DIFF_CHARACTERS_MAX;
  for (const line of lines) {
    const clipped = clip(line, LINE_MAX);
    left -= clipped.length;
    if (kept.length >= DIFF_LINES_MAX || left < 0) break;
    kept.push(clipped);
  }
  return { diff: kept, diffLeftOut: lines.length - kept.length };
}

function runsOf(manifest: Manifest): NonNullable<Review['runs']> {
  const commands = manifest.apps.flatMap(commandsOf);
  const services = manifest.services.map(({ name, type, version }) =>
    clip(`${name}: ${type}:${version}`, LINE_MAX),
  );
  const routes = manifest.routes.map(({ pattern, to }) => clip(`${pattern} → ${to}`, LINE_MAX));
  const over = (count: number, most: number) => Math.max(0, count - most);
  return {
    commands: commands.slice(0, COMMANDS_MAX),
    services: services.slice(0, NAMES_MAX),
    routes: routes.slice(0, NAMES_MAX),
    leftOut:
      over(commands.length, COMMANDS_MAX) + over(services.length, NAMES_MAX) + over(routes.length, NAMES_MAX),
  };
}

function commandsOf({
  name,
  type,
  buildFlavor,
  hooks,
  web,
  workers,
}: App): NonNullable<Review['runs']>['commands'] {
  const all: [string, string | null | undefined][] = [
    ['build flavor', buildFlavor],
    ['build', hooks.build],
    ['deploy', hooks.deploy],
    ['post_deploy', hooks.postDeploy],
    ['pre_start', web?.preStart],
    ['start', web?.start],
    ['post_start', web?.postStart],
    ...workers.map((worker): [string, string] => [`worker ${worker.name}`, worker.start]),
  ];
  return all.flatMap(([when, command]) =>
    command === null || command === undefined || command.trim() === ''
      ? []
      : [
          {
            of: clip(`${name} (${type})`, LINE_MAX),
            when: clip(when, LINE_MAX),
            command: clip(command.trim(), COMMAND_MAX),
          },
        ],
  );
}

function problemOf(result: ReadResult): string | null {
  if (result.kind === 'absent') return 'it has no manifest, so there is nothing to run';
  if (result.kind === 'manifest') return null;
  const [first] = result.problems;
  const where = first === undefined ? '' : `: ${first.file}:${first.line}: ${first.message}`;
  return `its manifest does not read, so its deployment would fail${clip(where, LINE_MAX)}`;
}

function clip(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most).replace(/[\ud800-\udbff]$/, '')}…`;
}
