import { createHmac, randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';
import { parse } from '@bough/forge/github/parse';
import { spreadOf } from './spread.ts';
import type { Load, LoadResult } from './webhook-target.ts';

/**
 * The sender of webhooks, a process of its own. Open loop: what is due is sent when it is due, however slow the answers
 * are, so that a slow server is not spared. Payloads are GitHub's published examples, each delivery with an id and a
 * subject of its own, signed like GitHub does it.
 */
process.once('message', (load: Load) => {
  void send(load).then(
    (result) => {
      process.send?.(result);
      process.disconnect?.();
    },
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});

const SOCKETS_MAX = 64;
const ANSWER_MS = 10_000;

/** Most of the repositories in the examples are this one. */
const EXAMPLE_REPOSITORY = 186853002;

interface Example {
  readonly event: string;
  readonly payload: Record<string, unknown>;
}

async function send({ url, secret, rate, seconds, firstNumber, prefix }: Load): Promise<LoadResult> {
  const examples = workExamples();
  const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX });
  const total = rate * seconds;
  const answers: Promise<Answer>[] = [];
  const startedAt = performance.now() + 50;
  for (let index = 0; index < total; index += 1) {
    const example = examples[index % examples.length] ?? examples[0];
    if (example === undefined) throw new Error('there are no examples');
    // Made before it is due, as GitHub does before it connects.
    const delivery = sign(example, { number: firstNumber + index, prefix, secret });
    const dueAt = startedAt + (index * 1000) / rate;
    const early = dueAt - performance.now();
    if (early > 1) await delay(early);
    answers.push(post(url, agent, delivery, dueAt));
  }
  const all = await Promise.all(answers);
  const lastAt = Math.max(...all.map((answer) => answer.endedAt));
  agent.destroy();
  const good = all.filter((answer) => answer.status >= 200 && answer.status < 300);
  return {
    sent: total,
    accepted: good.length,
    refused: all.length - good.length,
    statuses: countBy(all.map((answer) => String(answer.status))),
    achievedRate: good.length / ((lastAt - startedAt) / 1000),
    bytes: all.reduce((sum, answer) => sum + answer.bytes, 0),
    answerMs: spreadOf(all.map((answer) => answer.endedAt - answer.sentAt)),
    fromDueMs: spreadOf(all.map((answer) => answer.endedAt - answer.dueAt)),
    lateMs: spreadOf(all.map((answer) => answer.sentAt - answer.dueAt)),
  };
}

/** The examples that are work: for what is ignored there is nothing to queue. */
function workExamples(): Example[] {
  const require = createRequire(import.meta.url);
  const published = require('@octokit/webhooks-examples') as {
    name: string;
    examples: Record<string, unknown>[];
  }[];
  return published.flatMap(({ name, examples }) =>
    examples.flatMap((payload) => {
      const example = { event: name, payload };
      return isOfExampleRepository(payload) && isWork(example) ? [example] : [];
    }),
  );
}

function isOfExampleRepository({ repository }: Record<string, unknown>): boolean {
  return (repository as { id?: unknown } | undefined)?.id === EXAMPLE_REPOSITORY;
}

function isWork({ event, payload }: Example): boolean {
  if (!['pull_request', 'push', 'issue_comment'].includes(event)) return false;
  const headers = { 'x-github-event': event, 'x-github-delivery': randomUUID() };
  const { kind } = parse(Buffer.from(JSON.stringify(payload)), headers);
  return kind === 'subjects' || kind === 'comment';
}

interface SignedDelivery {
  readonly body: Buffer;
  readonly headers: Record<string, string | number>;
}

function sign(
  { event, payload }: Example,
  { number, prefix, secret }: { number: number; prefix: string; secret: string },
): SignedDelivery {
  const body = Buffer.from(JSON.stringify(aboutNumber(event, payload, number)));
  return {
    body,
    headers: {
      'content-type': 'application/json',
      'content-length': body.length,
      'user-agent': 'GitHub-Hookshot/bench',
      'x-github-event': event,
      'x-github-delivery': `${prefix}-${number}`,
      'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
    },
  };
}

/** A pull request or branch of its own, so that each delivery is a job of its own and none is folded into another. */
function aboutNumber(event: string, payload: Record<string, unknown>, number: number): object {
  switch (event) {
    case 'push':
      return { ...payload, ref: `refs/heads/bench-${number}` };
    case 'issue_comment':
      return { ...payload, issue: { ...(payload.issue as object), number } };
    default:
      return { ...payload, number, pull_request: { ...(payload.pull_request as object), number } };
  }
}

interface Answer {
  readonly status: number;
  readonly dueAt: number;
  readonly sentAt: number;
  readonly endedAt: number;
  readonly bytes: number;
}

/** Status 0 when there was no answer. */
function post(url: string, agent: Agent, delivery: SignedDelivery, dueAt: number): Promise<Answer> {
  const sentAt = performance.now();
  return new Promise((resolve) => {
    const end = (status: number) =>
      resolve({ status, dueAt, sentAt, endedAt: performance.now(), bytes: delivery.body.length });
    const outgoing = request(url, { method: 'POST', agent, headers: delivery.headers, timeout: ANSWER_MS });
    outgoing.once('response', (response) => {
      response.resume();
      response.once('end', () => end(response.statusCode ?? 0));
      response.once('error', () => end(0));
    });
    outgoing.once('timeout', () => outgoing.destroy(new Error('no answer in time')));
    outgoing.once('error', () => end(0));
    outgoing.end(delivery.body);
  });
}

function countBy(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}
