import type { SeedSource } from './manifest.ts';
import type { WrittenApp } from './read-app.ts';
import type { Report } from './report.ts';
import { type Section, textOf } from './section.ts';
import { meant } from './suggest.ts';

/** The apps whose names a seed may say; `unknown`: some could not be read, so nothing is said about names. */
export type DeclaredApps = readonly Pick<WrittenApp, 'name' | 'relationships'>[] | 'unknown';

/** More is a script, which belongs into a file. */
const commandLengthMax = 1_000;

/** `{ seed: npm run seed, app: web }`; the app need not be named where there is one. */
export function readSeedSource(
  report: Report,
  section: Section,
  of: { title: string; service: string; apps: DeclaredApps },
): SeedSource | null {
  const command = readCommand(report, section, of.title);
  const named = textOf(report, section.get('app'), `${of.title}: app`);
  if (command === null || of.apps === 'unknown') return null;
  const app = findApp(report, section, { ...of, apps: of.apps, named });
  if (app === null) return null;
  if (app.relationships.some(({ target }) => target === of.service))
    return { kind: 'seed', command, app: app.name };
  report.problem(
    section.placeOf('seed'),
    `${of.title}: app "${app.name}" has no relationship to "${of.service}", so its seed command could not reach it.`,
    `Write "${of.service}:" below "relationships:" of the app, or name another app.`,
  );
  return null;
}

function readCommand(report: Report, section: Section, title: string): string | null {
  const command = textOf(report, section.get('seed'), `${title}: seed`)?.trim();
  if (command === undefined) return null;
  if (command !== '' && command.length <= commandLengthMax) return command;
  report.problem(
    section.placeOf('seed'),
    command === ''
      ? `${title}: seed is an empty command.`
      : `${title}: seed is longer than ${commandLengthMax} characters.`,
    'Write the command that fills the empty service, as in "npm run seed".',
  );
  return null;
}

function findApp(
  report: Report,
  section: Section,
  of: { title: string; apps: Exclude<DeclaredApps, 'unknown'>; named: string | null },
) {
  const names = of.apps.map(({ name }) => name);
  if (of.named === null && of.apps.length === 1) return of.apps[0] ?? null;
  const found = of.apps.find(({ name }) => name === of.named);
  if (found !== undefined) return found;
  if (of.named === null)
    report.problem(
      section.placeOf('seed'),
      `${of.title}: seed does not say which app's command it is.`,
      `Name one of the apps (${names.join(', ')}): "{ seed: npm run seed, app: ${names[0] ?? 'web'} }".`,
    );
  else
    report.problem(
      section.placeOf('app'),
      `${of.title}: there is no app "${of.named}".`,
      meant(of.named, names),
    );
  return null;
}
