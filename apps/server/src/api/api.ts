import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import type { Authentication } from '../authenticate.ts';
import type { StreamLimiter } from '../event-stream.ts';
import type { ServerOptions } from '../options.ts';
import type { DeliveryReceiver } from '../receive-delivery.ts';
import { branchRoutes } from './branches.ts';
import { budgetRoutes } from './budgets.ts';
import { dataRoutes } from './data.ts';
import { deliveryRoutes } from './deliveries.ts';
import { deploymentRoutes } from './deployments.ts';
import { environmentRoutes } from './environments.ts';
import { eventRoutes } from './events.ts';
import { linkRoutes } from './links.ts';
import { projectRoutes } from './projects.ts';
import { rehearsalRoutes } from './rehearsals.ts';
import { statusRoutes } from './status.ts';
import { subjectRoutes } from './subjects.ts';
import { variableRoutes } from './variables.ts';
import { workloadRoutes } from './workloads.ts';

const bodyLimit = 256 * 1024;

/** `/api/v1`: everything needs the admin token, except the description of itself. */
export function registerApi(
  app: FastifyInstance,
  options: ServerOptions & {
    authentication: Authentication;
    receiver: DeliveryReceiver;
    streams: StreamLimiter;
  },
): void {
  app.register(
    async (api) => {
      api.setValidatorCompiler(validatorCompiler);
      api.setSerializerCompiler(serializerCompiler);
      await api.register(swagger, {
        openapi: {
          openapi: '3.0.3',
          info: {
            title: 'Bough',
            version: options.version,
            description: 'An environment for every pull request.',
          },
          servers: [{ url: options.publicUrl }],
          components: { securitySchemes: { adminToken: { type: 'http', scheme: 'bearer' } } },
          security: [{ adminToken: [] }],
        },
        transform: jsonSchemaTransform,
      });
      api.get('/openapi.json', { schema: { hide: true } }, async () => api.swagger());
      api.register(async (closed) => {
        closed.addHook('onRequest', async (request) => options.authentication.require(request));
        closed.addHook('onRoute', (route) => {
          route.bodyLimit ??= bodyLimit;
        });
        for (const routes of [
          projectRoutes(options),
          subjectRoutes(options),
          variableRoutes(options),
          branchRoutes(options),
          environmentRoutes(options),
          linkRoutes(options),
          dataRoutes(options),
          budgetRoutes(options),
          workloadRoutes(options),
          deploymentRoutes(options),
          rehearsalRoutes(options),
          deliveryRoutes(options),
          statusRoutes(options),
          eventRoutes(options),
        ]) {
          closed.register(routes);
        }
      });
    },
    { prefix: '/api/v1' },
  );
}
