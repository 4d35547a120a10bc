import type { FastifyInstance } from 'fastify';
import type { World } from '../world.ts';
export async function pageRoutes(server: FastifyInstance, _world: World): Promise<void> { server.get('/', async () => 'x'); }
