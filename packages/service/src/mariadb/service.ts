import type { Service } from '../service.ts';
import { mariadbAdopt } from './adopt.ts';
import { mariadbBackup } from './backup.ts';
import { mariadbClaim } from './claim.ts';
import { checkConfiguration, seriesOf } from './configuration.ts';
import { mariadbCount } from './count.ts';
import { mariadbDefang } from './defang.ts';
import { mariadbCredentials, mariadbEndpoints } from './endpoints.ts';
import { mariadbLoad } from './load.ts';
import { mariadbProgram } from './program.ts';
import { mariadbProvision } from './provision.ts';
import { mariadbReady } from './ready.ts';
import { mariadbUnreadable } from './unreadable.ts';

/** `mysql` is the reference platform's other name for it: its MySQL proper is called `oracle-mysql`. */
export const mariadb: Service = {
  types: ['mariadb', 'mysql'],
  persistent: () => true,
  check: checkConfiguration,
  toolchain: (declaration) => `mariadb:${seriesOf(declaration)}`,
  credentials: mariadbCredentials,
  program: mariadbProgram,
  unreadable: mariadbUnreadable,
  ready: mariadbReady,
  provision: mariadbProvision,
  endpoints: mariadbEndpoints,
  load: mariadbLoad,
  cloning: {
    join: mariadbBackup,
    defang: mariadbDefang,
    claim: mariadbClaim,
    adopt: mariadbAdopt,
    count: mariadbCount,
  },
};
