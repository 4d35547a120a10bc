import type { Service } from '../service.ts';
import { postgresAdopt } from './adopt.ts';
import { postgresClaim } from './claim.ts';
import { checkConfiguration, majorOf } from './configuration.ts';
import { postgresCount } from './count.ts';
import { postgresDefang } from './defang.ts';
import { postgresCredentials, postgresEndpoints } from './endpoints.ts';
import { postgresJoin } from './join.ts';
import { postgresLoad } from './load.ts';
import { postgresProgram } from './program.ts';
import { postgresProvision } from './provision.ts';
import { postgresReady } from './ready.ts';
import { postgresUnreadable } from './unreadable.ts';

export const postgresql: Service = {
  types: ['postgresql'],
  persistent: () => true,
  check: checkConfiguration,
  toolchain: (declaration) => `postgresql:${majorOf(declaration)}`,
  credentials: postgresCredentials,
  program: postgresProgram,
  unreadable: postgresUnreadable,
  ready: postgresReady,
  provision: postgresProvision,
  endpoints: postgresEndpoints,
  load: postgresLoad,
  cloning: {
    join: postgresJoin,
    defang: postgresDefang,
    claim: postgresClaim,
    adopt: postgresAdopt,
    count: postgresCount,
  },
};
