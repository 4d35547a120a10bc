import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhooks } from '@octokit/webhooks';

export interface Received {
  event: string;
  id: string;
  action: string | undefined;
  validSignature: boolean;
  headers: Record<string, string | string[] | undefined>;
  payload: Record<string, unknown> & { [key: string]: unknown };
}

/** A webhook receiver on a free port that keeps what it got; `status` is what it answers. */
export async function startReceiver(secret: string) {
  const webhooks = new Webhooks({ secret });
  const received: Received[] = [];
  const answer = { status: 202 };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const raw = Buffer.concat(chunks).toString('utf8');
    const payload = JSON.parse(raw) as Record<string, unknown>;
    received.push({
      event: String(request.headers['x-github-event']),
      id: String(request.headers['x-github-delivery']),
      action: payload.action as string | undefined,
      validSignature: await webhooks.verify(raw, String(request.headers['x-hub-signature-256'])),
      headers: request.headers,
      payload,
    });
    response.writeHead(answer.status).end('noted');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks/github`,
    received,
    answer,
    names: () => received.map(({ event, action }) => (action ? `${event}.${action}` : event)),
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
