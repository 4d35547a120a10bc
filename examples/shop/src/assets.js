import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';

const types = { '.css': 'text/css', '.js': 'text/javascript', '.svg': 'image/svg+xml' };
const directory = new URL('../dist/', import.meta.url);

/** Files of the build never change under their name, except pictures, which are kept for an hour. */
export async function serveAsset(response, name) {
  const type = types[extname(name)];
  const content =
    type === undefined || name.includes('..')
      ? undefined
      : await readFile(new URL(name, directory)).catch(() => undefined);
  if (content === undefined)
    return response.writeHead(404, { 'content-type': 'text/plain' }).end('Not found');
  const cache = name.startsWith('images/') ? 'public, max-age=3600' : 'public, max-age=31536000, immutable';
  response.writeHead(200, { 'content-type': type, 'cache-control': cache }).end(content);
}
