import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { sign } from '@octokit/webhooks-methods';
import type { Faults } from './faults.ts';
import type { Delivery, Hook, StateFile } from './state.ts';
import { now } from './world.ts';

/** GitHub gives a receiver ten seconds. */
const TIMEOUT_MS = 10_000;
const KEPT_RESPONSE_CHARACTERS = 10_000;

export interface HookEvent {
  event: string;
  action: string | null;
  repositoryId: number | null;
  payload: Record<string, unknown>;
}

export interface HookTarget {
  hook: Hook;
  kind: 'repository' | 'integration';
  /** The repository's id or the App's. */
  targetId: number;
  installationId: number | null;
}

/**
 * Sends webhooks the way GitHub does: signed, at most once, ten seconds to answer, a failure only recorded. Each hook
 * gets its deliveries in order and one at a time; nothing waits for them.
 */
export class Hookshot {
  readonly #file: StateFile;
  readonly #faults: Faults;
  readonly #abort = new AbortController();
  readonly #lines = new Map<number, Promise<void>>();
  readonly #stray = new Set<Promise<void>>();

  constructor(file: StateFile, faults: Faults) {
    this.#file = file;
    this.#faults = faults;
  }

  send(target: HookTarget, event: HookEvent): void {
    const { hook } = target;
    const wanted = hook.events.includes('*') || hook.events.includes(event.event) || event.event === 'ping';
    if (!hook.active || !wanted) return;
    const fault = this.#faults.takeForEvent(event.action ? `${event.event}.${event.action}` : event.event);
    if (fault?.kind === 'dropEvents') return;
    const delivery = this.#record(
      target,
      event,
      fault?.kind === 'sameIdEvents' ? this.#lastId(hook) : undefined,
    );
    if (fault?.kind === 'failEvents') this.#fail(delivery, 502, 'failed to connect to host');
    else if (fault?.kind === 'delayEvents') this.#sendLater(target, delivery, fault.delayMs);
    else this.#enqueue(target, delivery);
    if (fault?.kind === 'duplicateEvents') this.#enqueue(target, delivery);
  }

  /** GitHub's redelivery: the same delivery id and the same payload, recorded as a new attempt. */
  redeliver(target: HookTarget, delivery: Delivery): void {
    const again = { ...delivery, id: this.#file.nextId(), redelivery: true, deliveredAt: now() };
    this.#file.state.deliveries.push(again);
    this.#enqueue(target, again);
  }

  /** Resolves when everything sent so far has been answered or has failed. */
  async settled(): Promise<void> {
    while (this.#lines.size > 0 || this.#stray.size > 0) {
      await Promise.all([...this.#lines.values(), ...this.#stray]);
    }
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.settled();
  }

  #lastId(hook: Hook): string | undefined {
    return this.#file.state.deliveries.findLast(({ hookId }) => hookId === hook.id)?.guid;
  }

  #record(target: HookTarget, event: HookEvent, guid: string = randomUUID()): Delivery {
    const delivery: Delivery = {
      id: this.#file.nextId(),
      guid,
      hookId: target.hook.id,
      deliveredAt: now(),
      redelivery: false,
      durationS: 0,
      status: 'pending',
      statusCode: 0,
      event: event.event,
      action: event.action,
      installationId: target.installationId,
      repositoryId: event.repositoryId,
      url: target.hook.url,
      requestHeaders: {},
      payload: event.payload,
      responseHeaders: null,
      responsePayload: null,
    };
    this.#file.state.deliveries.push(delivery);
    return delivery;
  }

  #enqueue(target: HookTarget, delivery: Delivery): void {
    const id = target.hook.id;
    const line = (this.#lines.get(id) ?? Promise.resolve())
      .then(() => this.#deliver(target, delivery))
      .finally(() => {
        if (this.#lines.get(id) === line) this.#lines.delete(id);
      });
    this.#lines.set(id, line);
  }

  #sendLater(target: HookTarget, delivery: Delivery, delayMs: number): void {
    const late = delay(delayMs, undefined, { signal: this.#abort.signal })
      .then(() => this.#deliver(target, delivery))
      .catch(() => undefined)
      .finally(() => this.#stray.delete(late));
    this.#stray.add(late);
  }

  #fail(delivery: Delivery, statusCode: number, status: string): void {
    delivery.statusCode = statusCode;
    delivery.status = status;
    this.#file.save();
  }

  async #deliver(target: HookTarget, delivery: Delivery): Promise<void> {
    const body = JSON.stringify(delivery.payload);
    const form = target.hook.contentType === 'form';
    const bytes = form ? new URLSearchParams({ payload: body }).toString() : body;
    delivery.requestHeaders = await headersOf(target, delivery, bytes);
    const started = performance.now();
    try {
      const response = await fetch(target.hook.url, {
        method: 'POST',
        body: bytes,
        headers: delivery.requestHeaders,
        redirect: 'manual',
        signal: AbortSignal.any([this.#abort.signal, AbortSignal.timeout(TIMEOUT_MS)]),
      });
      delivery.responsePayload = (await response.text()).slice(0, KEPT_RESPONSE_CHARACTERS);
      delivery.responseHeaders = Object.fromEntries(response.headers);
      delivery.statusCode = response.status;
      delivery.status = response.ok ? 'OK' : `Invalid HTTP Response: ${response.status}`;
    } catch (error) {
      const timedOut = error instanceof DOMException && error.name === 'TimeoutError';
      this.#fail(delivery, timedOut ? 504 : 502, timedOut ? 'timed out' : 'failed to connect to host');
    }
    delivery.durationS = Math.round(performance.now() - started) / 1000;
    this.#file.save();
  }
}

async function headersOf(
  target: HookTarget,
  delivery: Delivery,
  bytes: string,
): Promise<Record<string, string>> {
  return {
    accept: '*/*',
    'content-type':
      target.hook.contentType === 'form' ? 'application/x-www-form-urlencoded' : 'application/json',
    'user-agent': 'GitHub-Hookshot/sandbox',
    'x-github-delivery': delivery.guid,
    'x-github-event': delivery.event,
    'x-github-hook-id': String(target.hook.id),
    'x-github-hook-installation-target-id': String(target.targetId),
    'x-github-hook-installation-target-type': target.kind,
    ...(target.hook.secret ? { 'x-hub-signature-256': await sign(target.hook.secret, bytes) } : {}),
  };
}
