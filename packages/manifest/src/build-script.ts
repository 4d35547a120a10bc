import type { App } from './manifest.ts';

/** What a flavour runs before the build hook, in the app's directory. Each does nothing where its file is absent. */
const flavorScripts: Readonly<Record<string, string>> = {
  // The platform runs `npm prune && npm install`, which may change what the lockfile says; `npm ci` installs exactly that.
  'nodejs default': `if [ -f package-lock.json ] || [ -f npm-shrinkwrap.json ]; then
  npm ci
elif [ -f package.json ]; then
  npm install
fi`,
  'php composer': `if [ -f composer.json ]; then
  composer --no-ansi --no-interaction install --no-progress --prefer-dist --optimize-autoloader
fi`,
};

const defaultFlavors: Readonly<Record<string, string>> = { nodejs: 'default', php: 'composer' };

/** The flavour in force and the whole dash script of a build; a null hook means that the source is the artifact. */
export function buildScript(app: Pick<App, 'type' | 'buildFlavor' | 'hooks'>): {
  flavor: string;
  hook: string | null;
} {
  const [runtime = ''] = app.type.split(':');
  const flavor = app.buildFlavor ?? defaultFlavors[runtime] ?? 'none';
  const script = flavorScripts[`${runtime} ${flavor}`];
  const parts = [script, app.hooks.build?.trimEnd()].filter((part) => part !== undefined && part !== null);
  return { flavor, hook: parts.length === 0 ? null : `${parts.join('\n')}\n` };
}
