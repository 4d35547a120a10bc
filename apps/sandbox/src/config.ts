import { BoughError } from '@bough/domain/bough-error';
import { z } from 'zod';

const Config = z.object({
  SANDBOX_HOME: z.string().min(1),
  SANDBOX_PORT: z.coerce.number().int().min(0).max(65_535).default(4000),
  SANDBOX_TOKEN: z.string().min(8, 'needs at least 8 characters'),
});

/** All problems at once, each with the name of the variable. */
export function readConfig(environment: Record<string, string | undefined> = process.env) {
  const parsed = Config.safeParse(environment);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new BoughError({
      code: 'sandbox-config',
      message: `The sandbox forge is not configured: ${problems.join('; ')}.`,
      hint: 'Set SANDBOX_HOME (a folder), SANDBOX_TOKEN (any secret), and SANDBOX_PORT if 4000 is taken.',
    });
  }
  const { SANDBOX_HOME: home, SANDBOX_PORT: port, SANDBOX_TOKEN: token } = parsed.data;
  return { home, port, token };
}
