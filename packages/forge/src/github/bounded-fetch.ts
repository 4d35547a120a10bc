/**
 * A fetch that ends after a while, the body included. The timer and the caller's signal are wired by hand because
 * `AbortSignal.any` over `AbortSignal.timeout` can be collected before it fires on Node 20.
 */
export function boundedFetch(fetch: typeof globalThis.fetch, timeoutMs: number): typeof globalThis.fetch {
  return async (input, init) => {
    const outer = init?.signal ?? undefined;
    outer?.throwIfAborted();
    const controller = new AbortController();
    let timedOut = false;
    const forward = (): void => controller.abort(outer?.reason);
    const timer = setTimeout(() => {
      timedOut = true;
      outer?.removeEventListener('abort', forward);
      controller.abort();
    }, timeoutMs);
    // The body is read after this function returns, so the timer runs on; the socket, not it, keeps the process alive.
    timer.unref();
    outer?.addEventListener('abort', forward, { once: true });
    try {
      return await fetch(input, { ...init, signal: controller.signal });
    } catch (error) {
      clearTimeout(timer);
      outer?.removeEventListener('abort', forward);
      // A TypeError, as fetch throws for a broken connection: Octokit takes it for a network failure and retries reads.
      if (timedOut)
        throw new TypeError('timed out', { cause: new Error(`no answer within ${timeoutMs} ms`) });
      throw error;
    }
  };
}
