import type { Network } from '@bough/reconcile/network';
import type pg from 'pg';
import type { Calls } from '../calls.ts';
import type { SimProcess } from '../process.ts';
import type { Machine } from './machine.ts';

/** What answers when somebody dials: workloads, and the gateway, which serves what the table of routes says just then. */
export function createNetwork(of: {
  calls: Calls;
  machine: Machine;
  watcher: pg.Client;
  process: SimProcess;
}): Network {
  const { calls, machine, watcher, process } = of;
  return {
    accepts: ({ port }) =>
      calls.call(
        process,
        'network accepts',
        async () => {
          if ((await machine.listeningAt(port)) === undefined) throw new Error('connect ECONNREFUSED');
        },
        { takes: [0, 30] },
      ),
    get: ({ path, headers = {} }) =>
      calls.call(
        process,
        'network get',
        async () => {
          const { rows } = await watcher.query<{ state: string; port: number; deployment: string }>(
            `select state, target_port as port, deployment_id::text as deployment from routes
             where host = $1 and starts_with($2, path) order by length(path) desc limit 1`,
            [headers.host, path],
          );
          const [route] = rows;
          if (route === undefined) return answer(404, { 'x-bough-cause': 'unknown-host' });
          if (route.state !== 'serving') return answer(503, { 'x-bough-cause': route.state });
          const target = await machine.listeningAt(route.port);
          if (target === undefined) return answer(502, { 'x-bough-cause': 'refused' });
          return answer(200, { 'x-bough-deployment': route.deployment });
        },
        { takes: [1, 40] },
      ),
  };
}

function answer(status: number, headers: Record<string, string>) {
  return { status, headers, body: '' };
}
