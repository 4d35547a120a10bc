import { BoughError } from '@bough/domain/bough-error';
import type { Command } from 'commander';
import type { VerbContext } from '../verb.ts';
import { EnvironmentDetail, LinksView } from './views.ts';

/** `bough env url`: where it is, with a signature where the policy asks for one. */
export function environmentUrlVerb(env: Command, context: VerbContext): void {
  env
    .command('url <environment>')
    .description('its primary address; with a signature, under `access: link`')
    .option('--expires <time>', 'how long the link is valid: 12h, 3d, at most 30d', '3d')
    .option('--all', 'links to its other addresses too')
    .option('--revoke', 'end every link made so far instead, those in comments too')
    .action(async (slug: string, options: { expires: string; all?: true; revoke?: true }) => {
      const api = await context.api();
      const path = `/environments/${encodeURIComponent(slug)}`;
      const askedBy = context.config.user;
      if (options.revoke) {
        await api.send('DELETE', `${path}/links?askedBy=${encodeURIComponent(askedBy)}`);
        context.output.result(
          { revoked: true },
          () => `All links to ${slug} are void. \`bough env url ${slug}\` makes a new one.`,
        );
        return;
      }
      const detail = EnvironmentDetail.parse(await api.get(path));
      if (!detail.routes.some(({ access }) => access === 'link')) {
        const url = primaryUrl(detail);
        context.output.result({ url }, () => url);
        return;
      }
      const made = LinksView.parse(
        await api.send('POST', `${path}/links`, { expires: options.expires, askedBy }),
      );
      const urls = made.links.map(({ url }) => url).slice(0, options.all ? undefined : 1);
      context.output.result({ url: urls[0], urls, expiresAt: made.expiresAt }, () => urls.join('\n'));
    });
}

export function primaryUrl(detail: EnvironmentDetail): string {
  const route = detail.routes.find((candidate) => candidate.primary) ?? detail.routes[0];
  if (route !== undefined) return route.url;
  throw new BoughError({
    code: 'no-address',
    message: `${detail.slug} has no address (it is ${detail.phase}).`,
    hint: `Ask why: bough why ${detail.slug}`,
  });
}
