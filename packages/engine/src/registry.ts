import type { Engine } from './engine.ts';
import { createProcessEngine, type ProcessEngineOptions } from './process/engine.ts';

/** The engines that BOUGH_ENGINE can name. */
export const engines = {
  process: createProcessEngine,
} satisfies Record<string, (options: ProcessEngineOptions) => Promise<Engine>>;

export type EngineName = keyof typeof engines;
