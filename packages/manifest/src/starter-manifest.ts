import { BoughError } from '@bough/domain/bough-error';
import { stringify } from 'yaml';
import { readManifest } from './read-manifest.ts';

/** The shortest manifest that works for one app: what the first pull request adds. Throws when it would not read. */
export function starterManifest(app: { type: string; start: string }): { path: string; text: string } {
  const path = '.bough/config.yaml';
  const body = stringify({
    applications: {
      app: {
        type: app.type,
        source: { root: '/' },
        web: { commands: { start: app.start } },
      },
    },
    routes: { 'https://{default}/': { type: 'upstream', upstream: 'app:http' } },
  });
  const text = [
    '# What this project is. Bough makes previews, production and local environments from it.',
    '# The app must listen on the port in $PORT. Services, workers, hooks and data: see docs/manifest.md of Bough.',
    body,
  ].join('\n');
  const result = readManifest({ [path]: text });
  if (result.kind === 'problems') {
    const [problem] = result.problems;
    throw new BoughError({
      code: 'manifest-invalid',
      message: problem === undefined ? 'the starter manifest does not read' : problem.message,
      hint: problem?.hint,
    });
  }
  return { path, text };
}
