import type { Delivery, Hook, Repository } from '../state.ts';
import type { World } from '../world.ts';
import { repositoryUrl } from './repository.ts';

export function presentHook(world: World, repository: Repository, hook: Hook) {
  const url = `${repositoryUrl(world, repository)}/hooks/${hook.id}`;
  const last = world.state.deliveries.filter((delivery) => delivery.hookId === hook.id).at(-1);
  return {
    type: 'Repository',
    id: hook.id,
    name: 'web',
    active: hook.active,
    events: hook.events,
    config: presentHookConfig(hook),
    updated_at: hook.updatedAt,
    created_at: hook.createdAt,
    url,
    test_url: `${url}/test`,
    ping_url: `${url}/pings`,
    deliveries_url: `${url}/deliveries`,
    last_response: last
      ? { code: last.statusCode, status: last.statusCode < 300 ? 'active' : 'error', message: last.status }
      : { code: null, status: 'unused', message: null },
  };
}

export function presentHookConfig(hook: Hook) {
  return {
    content_type: hook.contentType,
    insecure_ssl: hook.insecureSsl,
    url: hook.url,
    ...(hook.secret === null ? {} : { secret: '********' }),
  };
}

/** The form of listings. GitHub tells a connection that failed by the status code 0 or 502 and a sentence. */
export function presentDelivery(delivery: Delivery) {
  return {
    id: delivery.id,
    guid: delivery.guid,
    delivered_at: delivery.deliveredAt,
    redelivery: delivery.redelivery,
    duration: delivery.durationS,
    status: delivery.status,
    status_code: delivery.statusCode,
    event: delivery.event,
    action: delivery.action,
    installation_id: delivery.installationId,
    repository_id: delivery.repositoryId,
    throttled_at: null,
  };
}

export function presentFullDelivery(delivery: Delivery) {
  return {
    ...presentDelivery(delivery),
    url: delivery.url,
    request: { headers: delivery.requestHeaders, payload: delivery.payload },
    response: { headers: delivery.responseHeaders, payload: delivery.responsePayload },
  };
}
