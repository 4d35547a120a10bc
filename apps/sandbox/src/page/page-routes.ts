import { randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { bareOf, fullName, pullOf, repositoryOf, type World } from '../world.ts';
import { html, type Markup } from './html.ts';
import { layout } from './layout.ts';
import { commentForm, pullPage, stateOf } from './pull-page.ts';

/** Pages for people: the repositories, a repository's pull requests, one pull request. */
export async function pageRoutes(server: FastifyInstance, world: World): Promise<void> {
  server.get('/', async (_request, reply) => show(reply, 'Sandbox forge', repositoriesPage(world)));
  server.get('/:owner/:repo', async (request, reply) => {
    const repository = repositoryOf(world, nameOf(request));
    const pulls = [...repository.pulls].reverse();
    const rows = pulls.map(
      (pull) =>
        html`<li>${stateOf(pull)} <a href="/${fullName(repository)}/pull/${pull.number}"><b>${pull.title}</b></a> <span class="dim">#${pull.number} by ${pull.user}</span></li>`,
    );
    const list =
      rows.length > 0
        ? html`<div class="box"><ul class="rows">${rows}</ul></div>`
        : html`<p class="dim">No pull requests yet.</p>`;
    return show(
      reply,
      fullName(repository),
      html`<h1>${fullName(repository)}</h1><p class="mono dim">git clone ${world.url}/${fullName(repository)}.git</p>${list}`,
    );
  });
  server.get('/:owner/:repo/pull/:number', async (request, reply) => {
    const { number = '' } = request.params as { number?: string };
    const diff = /^(\d+)\.diff$/.exec(number);
    const repository = repositoryOf(world, nameOf(request));
    const pull = pullOf(repository, Number(diff?.[1] ?? number));
    if (diff) {
      const bare = bareOf(world, repository);
      const from = (await bare.mergeBase(pull.baseSha, pull.headSha)) ?? pull.baseSha;
      return reply.type('text/plain; charset=utf-8').send(await bare.diff(from, pull.headSha));
    }
    const title = `${pull.title} · #${pull.number} · ${fullName(repository)}`;
    return show(reply, title, pullPage(world, repository, pull), commentForm(repository, pull));
  });
}

function nameOf(request: FastifyRequest): string {
  const { owner = '', repo = '' } = request.params as { owner?: string; repo?: string };
  return `${owner}/${repo}`;
}

function repositoriesPage(world: World): Markup {
  const rows = world.state.repositories.map((repository) => {
    const open = repository.pulls.filter((pull) => pull.state === 'open').length;
    const fork = repository.parentId === null ? '' : ' · fork';
    return html`<li><a href="/${fullName(repository)}"><b>${fullName(repository)}</b></a> <span class="dim">${open} open${fork}</span></li>`;
  });
  if (rows.length === 0) return html`<h1>Repositories</h1><p class="dim">None yet. The demo makes one.</p>`;
  return html`<h1>Repositories</h1><div class="box"><ul class="rows">${rows}</ul></div>`;
}

/** Comments come from previews' output, so the page allows no script or frame but its own. */
function show(reply: FastifyReply, title: string, live: Markup, still?: Markup) {
  const nonce = randomBytes(16).toString('base64');
  const policy = `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; connect-src 'self'; img-src 'self' http: https: data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`;
  return reply
    .type('text/html; charset=utf-8')
    .header('content-security-policy', policy)
    .header('referrer-policy', 'same-origin')
    .header('x-content-type-options', 'nosniff')
    .send(layout(title, nonce, live, still));
}
