import { type ApiClient, connectApi } from './api-client.ts';
import type { CliConfig } from './config.ts';
import type { Output } from './output.ts';

/** What every verb gets. `api` connects when it is first asked for: verbs that need none work without a server. */
export interface VerbContext {
  readonly config: CliConfig;
  readonly output: Output;
  api(): Promise<ApiClient>;
}

export function createVerbContext(config: CliConfig, output: Output): VerbContext {
  let connected: Promise<ApiClient> | undefined;
  return {
    config,
    output,
    api() {
      connected ??= connectApi(config);
      return connected;
    },
  };
}
