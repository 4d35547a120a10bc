import { z } from 'zod';

/** `DATABASE_URL`. Anything else would be taken for a host's name, and looked for in vain. */
export const postgresUrl = z
  .string()
  .regex(/^postgres(?:ql)?:\/\/./, 'is not an address such as postgres://user:password@host/name');
