import type { FastifyInstance, FastifyRequest } from 'fastify';
import { appTarget } from '../actions/emit.ts';
import { GithubError, notFound } from '../github-error.ts';
import { appPermissions, presentApp, presentInstallation } from '../present/app.ts';
import { presentFullDelivery, presentHookConfig } from '../present/hook.ts';
import { presentRepository } from '../present/repository.ts';
import { presentAccount } from '../present/user.ts';
import { installationOf, now, repositoryById, type World } from '../world.ts';
import { createInstallationToken } from './caller.ts';
import { deliveryPage } from './delivery-page.ts';
import { pageOf } from './page-of.ts';
import { bodyOf, numberParam, param, target } from './target.ts';

function requireApp(request: FastifyRequest): void {
  if (request.caller?.kind !== 'app') throw new GithubError(401, 'A JSON web token could not be decoded');
}

export function appRoutes(server: FastifyInstance, world: World): void {
  const { app } = world.state;
  server.get('/user', async (request) => {
    if (request.caller?.kind !== 'token')
      throw new GithubError(403, 'Resource not accessible by integration');
    return presentAccount(world, request.caller.login);
  });
  server.get('/users/:username', async (request) => {
    const login = param(request, 'username');
    const user = world.state.users.find((candidate) => candidate.login.toLowerCase() === login.toLowerCase());
    if (!user) throw notFound();
    return presentAccount(world, user.login);
  });
  server.get('/app', async (request) => {
    requireApp(request);
    return presentApp(world);
  });
  server.get('/app/installations', async (request, reply) => {
    requireApp(request);
    for (const repository of world.state.repositories) installationOf(world, repository.owner);
    const owners = Object.keys(app.installations);
    return pageOf(world, request, reply, owners).map((owner) => presentInstallation(world, owner));
  });
  server.get('/app/installations/:id', async (request) => {
    requireApp(request);
    return presentInstallation(world, ownerOf(world, numberParam(request, 'id')));
  });
  server.post('/app/installations/:id/access_tokens', async (request, reply) => {
    requireApp(request);
    const id = numberParam(request, 'id');
    ownerOf(world, id);
    const held = createInstallationToken(world, id);
    return reply.code(201).send({ ...held, permissions: appPermissions, repository_selection: 'all' });
  });
  server.get('/repos/:owner/:repo/installation', async (request) => {
    requireApp(request);
    return presentInstallation(world, target(world, request).owner);
  });
  server.get('/installation/repositories', async (request, reply) => {
    if (request.caller?.kind !== 'installation') {
      throw new GithubError(
        403,
        'You must authenticate with an installation access token in order to list repositories for an installation.',
      );
    }
    const owner = ownerOf(world, request.caller.installationId);
    const all = world.state.repositories.filter((repository) => repository.owner.toLowerCase() === owner);
    const repositories = pageOf(world, request, reply, all).map((one) => presentRepository(world, one));
    return { total_count: all.length, repository_selection: 'all', repositories };
  });
  appHookRoutes(server, world);
}

function ownerOf(world: World, installationId: number): string {
  const entry = Object.entries(world.state.app.installations).find(([, id]) => id === installationId);
  if (!entry) throw notFound();
  return entry[0];
}

function appHookRoutes(server: FastifyInstance, world: World): void {
  const { app } = world.state;
  const hookOf = (request: FastifyRequest) => {
    requireApp(request);
    if (!app.hook) throw notFound();
    return app.hook;
  };
  server.get('/app/hook/config', async (request) => presentHookConfig(hookOf(request)));
  server.patch('/app/hook/config', async (request) => {
    const hook = hookOf(request);
    const edit = bodyOf<{
      url?: string;
      secret?: string;
      content_type?: string;
      insecure_ssl?: string | number;
    }>(request);
    if (edit.url !== undefined) hook.url = edit.url;
    if (edit.secret !== undefined) hook.secret = edit.secret;
    if (edit.content_type !== undefined) hook.contentType = edit.content_type === 'form' ? 'form' : 'json';
    hook.updatedAt = now();
    world.file.save();
    return presentHookConfig(hook);
  });
  server.get('/app/hook/deliveries', async (request, reply) => {
    const hook = hookOf(request);
    return deliveryPage(world, request, reply, hook.id);
  });
  const deliveryOf = (request: FastifyRequest) => {
    const hook = hookOf(request);
    const id = numberParam(request, 'delivery');
    const delivery = world.state.deliveries.find((one) => one.id === id && one.hookId === hook.id);
    if (!delivery) throw notFound();
    return delivery;
  };
  server.get('/app/hook/deliveries/:delivery', async (request) => presentFullDelivery(deliveryOf(request)));
  server.post('/app/hook/deliveries/:delivery/attempts', async (request, reply) => {
    const delivery = deliveryOf(request);
    const to = appTarget(world, repositoryById(world, delivery.repositoryId));
    if (to) world.hookshot.redeliver(to, delivery);
    return reply.code(202).send({});
  });
}
