import { once } from 'node:events';
import { createServer } from 'node:http';
import { createNodeMiddleware, Webhooks } from '@octokit/webhooks';

/** What Probot answers webhooks with, bare: measured where Probot itself cannot be installed. */
const [{ port, secret }] = (await once(process, 'message')) as [{ port: number; secret: string }];
const webhooks = new Webhooks({ secret });
webhooks.onAny(() => {});
const middleware = createNodeMiddleware(webhooks, { path: '/webhooks/github' });
createServer((request, response) => {
  void middleware(request, response);
}).listen(port, '127.0.0.1', () => process.send?.('ready'));
