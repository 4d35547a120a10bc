import type { BootLog } from './logger.ts';

export interface Shutdown {
  /** Aborted when the shutdown begins: pass it to whatever waits. */
  readonly signal: AbortSignal;
  /**
   * Registers a step. Steps run in the reverse order of their registration: last started, first stopped. What comes to
   * life during the shutdown is stopped too: whoever calls `shutDown` again waits for that.
   */
  onShutdown(name: string, stop: () => Promise<void> | void): void;
  /** Runs the steps, once; a second call waits for the first. False when a step failed or took too long. */
  shutDown(reason: string): Promise<boolean>;
  /**
   * SIGTERM, SIGINT and SIGHUP (the terminal is closed) shut down and exit; who sends the same again exits at once. So does
   * the end of a parent that holds an IPC channel: killed, it cannot tell, and its successor needs the port. Returns how to
   * stop listening.
   */
  listen(): () => void;
}

export interface ShutdownOptions {
  readonly log: BootLog;
  /** For all steps together; supervisors kill after 10 to 90 s. */
  readonly timeoutMs?: number | undefined;
  /** The same signal again within this time is an echo and no impatience. */
  readonly echoMs?: number | undefined;
  readonly exit?: ((code: number) => void) | undefined;
}

export const signalExitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

export function createShutdown(options: ShutdownOptions): Shutdown {
  const { log, timeoutMs = 60_000, echoMs = 1_000, exit = (code) => process.exit(code) } = options;
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
      if (running) running = withDeadline(running.then(async (isClean) => (await runSteps()) && isClean));
    },
    shutDown(reason) {
      if (running) return running;
      log.info({ reason }, 'shutting down');
      running = withDeadline(runSteps());
      controller.abort(new Error(`shutting down: ${reason}`));
      return running;
    },
    listen() {
      const first = new Map<string, number>();
      const onSignal = (signal: keyof typeof signalExitCodes) => {
        const now = performance.now();
        // One Ctrl-C arrives twice: from the terminal, and from npm, which passes it on. And a process of Bough that got it
        // from the terminal is told with SIGTERM as well. Neither is somebody who lost patience.
        const since = first.get(signal);
        if (since !== undefined && now - since >= echoMs) return exit(signalExitCodes[signal]);
        first.set(signal, since ?? now);
        if (running) return;
        void shutdown.shutDown(signal).then((isClean) => exit(isClean ? 0 : 1));
      };
      const onOrphaned = () => void shutdown.shutDown('the parent is gone').then(() => exit(1));
      const signals = Object.keys(signalExitCodes) as (keyof typeof signalExitCodes)[];
      for (const signal of signals) process.on(signal, onSignal);
      process.once('disconnect', onOrphaned);
      return () => {
        for (const signal of signals) process.off(signal, onSignal);
        process.off('disconnect', onOrphaned);
      };
    },
  };
  return shutdown;
}
