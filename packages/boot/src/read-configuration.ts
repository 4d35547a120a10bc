import { BoughError } from '@bough/domain/bough-error';
import type { z } from 'zod';

/** Schemas by the name under which their part of the configuration is wanted. */
type Schemas = Readonly<Record<string, z.ZodType>>;
type Parts<Given extends Schemas> = { readonly [Name in keyof Given]: z.output<Given[Name]> };

/**
 * The variables that a process is configured by. All problems are said together, each with its variable's name, because
 * whoever mends one at a time starts the process as many times. BoughError `configuration-invalid`.
 */
export function readConfiguration<Given extends Schemas>(
  process: string,
  environment: Readonly<Record<string, string | undefined>>,
  schemas: Given,
): Parts<Given> {
  // `GITHUB_TOKEN=` in a file of variables is how people leave one out.
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = Object.entries(schemas).map(([name, schema]) => ({ name, result: schema.safeParse(given) }));
  const problems = parsed.flatMap(({ result }) =>
    (result.error?.issues ?? []).map((issue) => `${issue.path.join('.')} ${issue.message}`.trim()),
  );
  if (problems.length > 0) {
    throw new BoughError({
      code: 'configuration-invalid',
      message: `The ${process} cannot start: ${problems.join('; ')}.`,
      hint: 'README.md, "Variables", lists them. `bough serve` sets the databases by itself.',
    });
  }
  return Object.fromEntries(parsed.map(({ name, result }) => [name, result.data])) as Parts<Given>;
}
