import type { Context } from './context.ts';

/** Asks for feedback. A queue store that is away must not fail what is reported on: resync asks again for everything. */
export async function askForFeedback(
  context: Context,
  environmentId: string,
  options?: { delayMs: number },
): Promise<void> {
  try {
    await context.enqueue('feedback', environmentId, options);
  } catch (error) {
    context.log.warn({ environmentId, error }, 'feedback not queued; resync asks for it again');
  }
}
