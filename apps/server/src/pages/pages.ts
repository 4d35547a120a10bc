import { BoughError } from '@bough/domain/bough-error';
import { listDeployments } from '@bough/store/deployments';
import { findEnvironmentBySlug } from '@bough/store/environments';
import { findProject } from '@bough/store/projects';
import { findRehearsal } from '@bough/store/rehearsals';
import { listRoutes } from '@bough/store/routes';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { deploymentDetail } from '../api/deployments.ts';
import { viewRehearsal } from '../api/rehearsals.ts';
import type { DeploymentDetail } from '../api/schemas.ts';
import { viewEnvironment, viewRoute } from '../api/views.ts';
import type { Authentication } from '../authenticate.ts';
import { readDataReport } from '../data-report.ts';
import type { ServerOptions } from '../options.ts';
import { stepLogFile, tailStepLog } from '../step-log.ts';
import { renderEnvironmentPage } from './environment-page.ts';
import { renderGoldenPage } from './golden-page.ts';
import { html, page, pageHeaders } from './html.ts';

const tailLines = 40;

/**
 * The pages behind the links of comments. Logs follow permission (DESIGN §9), and the admin token is all the permission
 * there is so far, so whoever comes without a session is asked for it.
 */
export function registerPages(
  app: FastifyInstance,
  options: ServerOptions & { authentication: Authentication },
): void {
  const { authentication } = options;
  app.register(async (scope) => {
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: 8 * 1024 },
      (_request, body, done) => done(null, new URLSearchParams(String(body))),
    );

    scope.get<{ Querystring: { next?: string } }>('/login', async ({ query }, reply) =>
      send(reply, 200, loginPage(safeNext(query.next))),
    );

    scope.post('/login', async (request, reply) => {
      const form = request.body instanceof URLSearchParams ? request.body : new URLSearchParams();
      const next = safeNext(form.get('next') ?? undefined);
      if (!authentication.isToken(form.get('token') ?? '')) {
        return send(reply, 401, loginPage(next, 'That is not the admin token.'));
      }
      return reply.header('set-cookie', authentication.startSession()).redirect(next, 303);
    });

    scope.post('/logout', async (_request, reply) =>
      reply.header('set-cookie', authentication.endSession()).redirect('/login', 303),
    );

    scope.get<{ Params: { slug: string } }>('/environments/:slug', async (request, reply) => {
      if (!authentication.hasSession(request)) return askForLogin(request, reply);
      const text = await environmentPage(options, request.params.slug);
      return text === undefined ? send(reply, 404, gonePage(request.params.slug)) : send(reply, 200, text);
    });

    scope.get<{ Params: { id: string } }>('/goldens/:id', async (request, reply) => {
      if (!authentication.hasSession(request)) return askForLogin(request, reply);
      const text = await goldenPage(options, request.params.id);
      return text === undefined ? send(reply, 404, noGoldenPage(request.params.id)) : send(reply, 200, text);
    });
  });
}

async function goldenPage({ pool, attestationKeys }: ServerOptions, id: string): Promise<string | undefined> {
  try {
    const view = await readDataReport(pool, attestationKeys, { goldenId: id });
    return renderGoldenPage(view, (await findProject(pool, view.projectId))?.slug ?? view.projectId);
  } catch (error) {
    if (error instanceof BoughError && error.code === 'not-found') return undefined;
    throw error;
  }
}

function askForLogin(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply.redirect(`/login?next=${encodeURIComponent(request.url.slice(0, 500))}`, 303);
}

async function environmentPage(options: ServerOptions, slug: string): Promise<string | undefined> {
  const { pool, logsDir, previewUrl } = options;
  const environment = await findEnvironmentBySlug(pool, slug);
  if (!environment) return undefined;
  const project = await findProject(pool, environment.projectId);
  const [newest] = await listDeployments(pool, environment.id, 1);
  const deployment = newest ? await deploymentDetail(pool, newest) : null;
  const routes = await listRoutes(pool, environment.id);
  const rehearsal = newest && (await findRehearsal(pool, newest.id));
  return renderEnvironmentPage({
    environment: viewEnvironment(environment),
    project: project ? `${project.owner}/${project.name}` : '',
    routes: routes.map((route) => viewRoute(route, previewUrl)),
    deployment,
    tails: await tailsOf(logsDir, deployment),
    rehearsal: rehearsal === undefined ? null : viewRehearsal(rehearsal),
    now: new Date(),
  });
}

async function tailsOf(logsDir: string, deployment: DeploymentDetail | null): Promise<Map<string, string[]>> {
  const tails = new Map<string, string[]>();
  for (const { name } of deployment?.steps ?? []) {
    const file = stepLogFile(logsDir, { deploymentId: deployment?.id ?? '', name });
    tails.set(name, await tailStepLog(file, tailLines));
  }
  return tails;
}

/** Only back to a page of ours: `//elsewhere.example` and `/\\elsewhere` would lead away. */
function safeNext(next: string | undefined): string {
  return next !== undefined && /^\/[A-Za-z0-9]/.test(next) ? next : '/api/v1/status';
}

function loginPage(next: string, complaint?: string): string {
  return page({
    title: 'Log in',
    body: html`<h1>Bough</h1>
<p>Logs may show what the environment holds, so this page asks for the admin token
(<code>BOUGH_ADMIN_TOKEN</code>, or the file <code>admin-token</code> in <code>BOUGH_HOME</code>).</p>
${complaint !== undefined && html`<p><b>${complaint}</b></p>`}
<form method="post" action="/login">
<input type="hidden" name="next" value="${next}">
<label>Admin token<br><input type="password" name="token" autocomplete="current-password" required autofocus></label><br>
<button>Log in</button></form>`,
  });
}

function gonePage(slug: string): string {
  return page({
    title: 'Not here',
    body: html`<h1>${slug}</h1><p>There is no such environment. If it was a preview, it was removed when its pull request
was closed; <code>bough why</code> knows more.</p>`,
  });
}

function noGoldenPage(id: string): string {
  return page({
    title: 'Not here',
    body: html`<h1>Golden snapshot ${id}</h1><p>There is none with a signature. <code>bough data show</code> lists them.</p>`,
  });
}

function send(reply: FastifyReply, status: number, text: string): FastifyReply {
  return reply.status(status).headers(pageHeaders).send(text);
}
