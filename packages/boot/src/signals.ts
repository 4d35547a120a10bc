import type { BootLog } from './logger.ts';

export interface Shutdown {
  /** Aborted when the shutdown begins: pass it to whatever waits. */
  readonly signal: AbortSignal;
  /** Registers a step. Steps run in the reverse order of their registration: last started, first stopped. */
  onShutdown(name: string, stop: () => Promise<void> | void): void;
  /** Runs the steps, once; a second call waits for the first. False when a step failed or took too long. */
  shutDown(reason: string): Promise<boolean>;
  /** SIGTERM and SIGINT shut down and exit; the second one exits at once. Returns how to stop listening. */
  listen(): () => void;
}

export interface ShutdownOptions {
  readonly log: BootLog;
  /** For all steps together; supervisors kill after 10 to 90 s. */
  readonly timeoutMs?: number | undefined;
  readonly exit?: ((code: number) => void) | undefined;
}

const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

export function createShutdown(options: ShutdownOptions): Shutdown {
  const { log, timeoutMs = 60_000, exit = (code) => process.exit(code) } = options;
  const controller = new AbortController();
  const steps: { name: string; stop: () => Promise<void> | void }[] = [];
  let running: Promise<boolean> | undefined;

  async function runSteps(): Promise<boolean> {
    let isClean = true;
    for (let step = steps.pop(); step; step = steps.pop()) {
      // A step that fails must not keep the others from being stopped.
      try {
        await step.stop();
        log.info({ step: step.name }, 'stopped');
      } catch (error) {
        isClean = false;
        log.warn({ step: step.name, err: error }, 'could not be stopped');
      }
    }
    return isClean;
  }

  async function withDeadline(work: Promise<boolean>): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), timeoutMs);
    });
    return Promise.race([work, late]).finally(() => clearTimeout(timer));
  }

  const shutdown: Shutdown = {
    signal: controller.signal,
    onShutdown(name, stop) {
      steps.push({ name, stop });
    },
    shutDown(reason) {
      if (running) return running;
      log.info({ reason }, 'shutting down');
      running = withDeadline(runSteps());
      controller.abort(new Error(`shutting down: ${reason}`));
      return running;
    },
    listen() {
      const onSignal = (signal: 'SIGINT' | 'SIGTERM') => {
        if (running) return exit(exitCodes[signal]);
        void shutdown.shutDown(signal).then((isClean) => exit(isClean ? 0 : 1));
      };
      process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
      return () => {
        process.off('SIGTERM', onSignal).off('SIGINT', onSignal);
      };
    },
  };
  return shutdown;
}
