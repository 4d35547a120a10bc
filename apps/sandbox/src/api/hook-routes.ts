import type { FastifyInstance, FastifyRequest } from 'fastify';
import { repositoryTarget } from '../actions/emit.ts';
import { GithubError, notFound } from '../github-error.ts';
import { presentFullDelivery, presentHook } from '../present/hook.ts';
import { presentRepository } from '../present/repository.ts';
import { presentUser } from '../present/user.ts';
import type { Hook, Repository } from '../state.ts';
import { now, type World } from '../world.ts';
import { deliveryPage } from './delivery-page.ts';
import { pageOf } from './page-of.ts';
import { actor, bodyOf, numberParam, target } from './target.ts';

interface HookConfig {
  url?: string;
  secret?: string;
  content_type?: string;
  insecure_ssl?: string | number;
}

interface HookBody {
  config?: HookConfig;
  events?: string[];
  add_events?: string[];
  remove_events?: string[];
  active?: boolean;
}

export function hookRoutes(server: FastifyInstance, world: World): void {
  const base = '/repos/:owner/:repo/hooks';
  server.get(base, async (request, reply) => {
    const repository = target(world, request);
    return pageOf(world, request, reply, repository.hooks).map((hook) =>
      presentHook(world, repository, hook),
    );
  });
  server.post(base, async (request, reply) => {
    const repository = target(world, request);
    const hook = createHook(world, repository, bodyOf<HookBody>(request));
    ping(world, repository, hook, actor(request).login);
    return reply.code(201).send(presentHook(world, repository, hook));
  });
  server.get(`${base}/:hook`, async (request) => {
    const { repository, hook } = hookTarget(world, request);
    return presentHook(world, repository, hook);
  });
  server.patch(`${base}/:hook`, async (request) => {
    const { repository, hook } = hookTarget(world, request);
    editHook(hook, bodyOf<HookBody>(request));
    world.file.save();
    return presentHook(world, repository, hook);
  });
  server.delete(`${base}/:hook`, async (request, reply) => {
    const { repository, hook } = hookTarget(world, request);
    repository.hooks = repository.hooks.filter((other) => other !== hook);
    world.file.save();
    return reply.code(204).send();
  });
  server.post(`${base}/:hook/pings`, async (request, reply) => {
    const { repository, hook } = hookTarget(world, request);
    ping(world, repository, hook, actor(request).login);
    return reply.code(204).send();
  });
  deliveryRoutes(server, world, `${base}/:hook/deliveries`);
}

function deliveryRoutes(server: FastifyInstance, world: World, base: string): void {
  const deliveryOf = (request: FastifyRequest) => {
    const { repository, hook } = hookTarget(world, request);
    const id = numberParam(request, 'delivery');
    const delivery = world.state.deliveries.find((one) => one.id === id && one.hookId === hook.id);
    if (!delivery) throw notFound();
    return { repository, hook, delivery };
  };
  server.get(base, async (request, reply) => {
    const { hook } = hookTarget(world, request);
    return deliveryPage(world, request, reply, hook.id);
  });
  server.get(`${base}/:delivery`, async (request) => presentFullDelivery(deliveryOf(request).delivery));
  server.post(`${base}/:delivery/attempts`, async (request, reply) => {
    const { repository, hook, delivery } = deliveryOf(request);
    world.hookshot.redeliver(repositoryTarget(repository, hook), delivery);
    return reply.code(202).send({});
  });
}

function hookTarget(world: World, request: FastifyRequest): { repository: Repository; hook: Hook } {
  const repository = target(world, request);
  const hook = repository.hooks.find((candidate) => candidate.id === numberParam(request, 'hook'));
  if (!hook) throw notFound();
  return { repository, hook };
}

function createHook(world: World, repository: Repository, body: HookBody): Hook {
  const time = now();
  const hook: Hook = {
    id: world.file.nextId(),
    active: true,
    events: ['push'],
    url: '',
    secret: null,
    contentType: 'form',
    insecureSsl: '0',
    createdAt: time,
    updatedAt: time,
  };
  editHook(hook, body);
  if (repository.hooks.some((other) => other.url === hook.url)) {
    throw new GithubError(422, 'Validation Failed', {
      errors: [{ resource: 'Hook', code: 'custom', message: 'Hook already exists on this repository' }],
    });
  }
  repository.hooks.push(hook);
  world.file.save();
  return hook;
}

function editHook(hook: Hook, body: HookBody): void {
  if (body.config) {
    // GitHub replaces the whole config: leaving the secret out removes it.
    if (!body.config.url || !URL.canParse(body.config.url)) {
      throw new GithubError(422, 'Validation Failed', {
        errors: [{ resource: 'Hook', code: 'custom', field: 'url', message: 'url is missing a scheme' }],
      });
    }
    hook.url = body.config.url;
    hook.secret = body.config.secret ?? null;
    hook.contentType = body.config.content_type === 'json' ? 'json' : 'form';
    hook.insecureSsl = String(body.config.insecure_ssl ?? '0');
  }
  const events = new Set(body.events ?? hook.events);
  for (const event of body.add_events ?? []) events.add(event);
  for (const event of body.remove_events ?? []) events.delete(event);
  hook.events = [...events];
  hook.active = body.active ?? hook.active;
  hook.updatedAt = now();
}

const ZEN = 'Keep it logically awesome.';

function ping(world: World, repository: Repository, hook: Hook, by: string): void {
  world.hookshot.send(repositoryTarget(repository, hook), {
    event: 'ping',
    action: null,
    repositoryId: repository.id,
    payload: {
      zen: ZEN,
      hook_id: hook.id,
      hook: presentHook(world, repository, hook),
      repository: presentRepository(world, repository),
      sender: presentUser(world, by),
    },
  });
}
