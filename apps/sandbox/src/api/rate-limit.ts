const LIMIT = 5000;
const WINDOW_S = 3600;

/** Counts calls as GitHub does for a token; it only tells, a limit is reached by a fault. */
export class RateLimit {
  #used = 0;
  #resetS = 0;

  count(counts: boolean): void {
    const nowS = Math.floor(Date.now() / 1000);
    if (nowS >= this.#resetS) {
      this.#resetS = nowS + WINDOW_S;
      this.#used = 0;
    }
    if (counts) this.#used = Math.min(this.#used + 1, LIMIT - 1);
  }

  headers(): Record<string, string> {
    const { limit, remaining, used, reset } = this.#core();
    return {
      'x-ratelimit-limit': String(limit),
      'x-ratelimit-remaining': String(remaining),
      'x-ratelimit-used': String(used),
      'x-ratelimit-reset': String(reset),
      'x-ratelimit-resource': 'core',
    };
  }

  overview() {
    this.count(false);
    const core = this.#core();
    const search = { limit: 30, remaining: 30, used: 0, reset: core.reset };
    return { resources: { core, search }, rate: core };
  }

  #core() {
    return { limit: LIMIT, remaining: LIMIT - this.#used, used: this.#used, reset: this.#resetS };
  }
}
