import { type Answer, accepts, type GetOptions, get } from './probe.ts';

/** How workloads and the gateway are reached from this process. */
export interface Network {
  /** Resolves when something accepts connections there. */
  accepts(address: { host: string; port: number }, signal: AbortSignal): Promise<void>;
  get(request: GetOptions): Promise<Answer>;
}

export const systemNetwork: Network = { accepts, get };
