import type { Socket } from 'node:net';
import { z } from 'zod';

/**
 * One thing that goes wrong, as data, so that another process can ask for it. The `…Events` concern webhooks, `delayMs`
 * these or calls, the others calls of the API; git's calls know `delayMs`, `hang` and `status`. A forge that is slow has
 * `delayMs`, `hang` and `trickle`; one that lies has those from `statusAfter` on.
 */
export const Fault = z
  .strictObject({
    /**
     * Method and path below the API base, `*` standing for any text, slashes too: `POST /repos/*` comes first, say. Of git it
     * is `GIT /owner/name/git-upload-pack` or `…/info/refs`.
     */
    match: z.string().max(500).optional(),
    status: z.int().min(400).max(599).optional(),
    message: z.string().max(1000).optional(),
    /** Seconds; with status 403 or 429 the answer is GitHub's secondary rate limit. */
    retryAfter: z.int().min(0).max(3600).optional(),
    /** The answer is GitHub's primary rate limit, which resets after so many seconds. */
    primaryLimitResetS: z.int().min(0).max(3600).optional(),
    /** The connection closes without an answer. `after` does the work first: the client cannot know. */
    disconnect: z.enum(['before', 'after']).optional(),
    /** Taken and never answered; the connection stays open until `faults.clear()`. */
    hang: z.literal(true).optional(),
    /** The work is done, and its answer comes a byte at a time, for ever. */
    trickle: z.literal(true).optional(),
    /** The work is done, and the answer says that it failed. */
    statusAfter: z.int().min(500).max(599).optional(),
    /** The work is done, and the answer is a page for people, with status 200. */
    html: z.literal(true).optional(),
    /** Whoever sends an etag hears that nothing has changed. */
    unchanged: z.literal(true).optional(),
    /** Pull requests and the like of these numbers are left out of a listing. */
    omit: z.array(z.int()).max(100).optional(),
    /** Laid over the answer, or over each element of a listing: `{"state":"open"}`, `{"head":{"sha":"…"}}`. */
    overlay: z.record(z.string(), z.json()).optional(),
    /** `event`, `event.action` or `*`. Dropped: never sent nor recorded, as when GitHub loses one. */
    dropEvents: z.array(z.string()).max(50).optional(),
    /** Recorded as failed without reaching the receiver, so that it can be redelivered. */
    failEvents: z.array(z.string()).max(50).optional(),
    /** Sent twice with one delivery id. */
    duplicateEvents: z.array(z.string()).max(50).optional(),
    /** Sent with the delivery id of the one before it, as if it were that one again. */
    sameIdEvents: z.array(z.string()).max(50).optional(),
    /** Sent late, `delayMs` after the event, while later ones go ahead. */
    delayEvents: z.array(z.string()).max(50).optional(),
    delayMs: z.int().min(0).max(60_000).optional(),
    /** How often it happens; without it, until `faults.clear()`. */
    times: z.int().min(1).max(10_000).optional(),
  })
  .refine((fault) => fault.match !== undefined || eventLists(fault).length > 0, {
    message:
      'a fault needs "match" (API calls) or one of dropEvents, failEvents, duplicateEvents, sameIdEvents, delayEvents',
  });
export type Fault = z.infer<typeof Fault>;

const EVENT_KINDS = ['dropEvents', 'failEvents', 'duplicateEvents', 'sameIdEvents', 'delayEvents'] as const;
type EventKind = (typeof EVENT_KINDS)[number];

function eventLists(fault: Partial<Record<EventKind, string[] | undefined>>): EventKind[] {
  return EVENT_KINDS.filter((kind) => fault[kind] !== undefined);
}

export class Faults {
  #active: { fault: Fault; left: number }[] = [];
  #dropWebhooks: ((event: string) => boolean) | undefined;
  readonly #held = new Set<Socket>();

  /** Adds one. A function instead of `dropEvents` is for tests in the same process. */
  set(fault: Fault | { dropWebhooks: (event: string) => boolean }): void {
    if ('dropWebhooks' in fault) this.#dropWebhooks = fault.dropWebhooks;
    else this.#active.push({ fault: Fault.parse(fault), left: fault.times ?? Number.POSITIVE_INFINITY });
  }

  clear(): void {
    this.#active = [];
    this.#dropWebhooks = undefined;
    for (const socket of this.#held) socket.destroy();
  }

  /** Keeps a connection that nobody is to answer. */
  hold(socket: Socket): void {
    this.#held.add(socket);
    socket.once('close', () => this.#held.delete(socket));
  }

  list(): Fault[] {
    return this.#active.map(({ fault, left }) => (Number.isFinite(left) ? { ...fault, times: left } : fault));
  }

  /** The first fault for an API call, used up by one. */
  takeForCall(method: string, path: string): Fault | undefined {
    const call = `${method} ${path}`;
    return this.#take((fault) => fault.match !== undefined && globMatches(fault.match, call));
  }

  /** What happens to a webhook. `name` is `event` or `event.action`. */
  takeForEvent(name: string): { kind: EventKind; delayMs: number } | undefined {
    if (this.#dropWebhooks?.(name)) return { kind: 'dropEvents', delayMs: 0 };
    for (const kind of EVENT_KINDS) {
      const fault = this.#take(
        (candidate) => candidate[kind]?.some((wanted) => eventMatches(wanted, name)) ?? false,
      );
      if (fault) return { kind, delayMs: fault.delayMs ?? 1000 };
    }
    return undefined;
  }

  #take(matches: (fault: Fault) => boolean): Fault | undefined {
    const entry = this.#active.find(({ fault }) => matches(fault));
    if (!entry) return undefined;
    entry.left -= 1;
    if (entry.left <= 0) this.#active = this.#active.filter((other) => other !== entry);
    return entry.fault;
  }
}

function globMatches(glob: string, text: string): boolean {
  const source = glob
    .split('*')
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
    .join('.+');
  return new RegExp(`^${source}$`).test(text);
}

function eventMatches(wanted: string, name: string): boolean {
  return wanted === '*' || wanted === name || wanted === name.split('.')[0];
}
