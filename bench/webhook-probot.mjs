// A Probot app that only answers. The benchmark copies this file beside a Probot of its own and starts it there.
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createNodeMiddleware, createProbot } from 'probot';

const [{ port, secret }] = await once(process, 'message');
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const probot = createProbot({
  env: {},
  overrides: {
    appId: 1,
    privateKey: privateKey.export({ type: 'pkcs1', format: 'pem' }),
    secret,
    logLevel: 'fatal',
  },
});
let seen = 0;
const app = (events) => {
  events.on(['pull_request', 'push', 'issue_comment', 'delete', 'check_run'], async () => {
    seen += 1;
  });
};
const middleware = await createNodeMiddleware(app, { probot, webhooksPath: '/webhooks/github' });
const server = createServer((request, response) => {
  if (request.url === '/seen') return response.end(String(seen));
  middleware(request, response, () => response.writeHead(404).end());
});
server.listen(port, '127.0.0.1', () => process.send?.('ready'));
