import { BoughError } from '@bough/domain/bough-error';
import type pg from 'pg';
import type { BackupContents } from './contents.ts';

/** What of the rows' belongings is on this machine. */
export interface WhatIsHere {
  readonly volumes: readonly { readonly id: string; readonly environmentId: string }[];
  readonly snapshots: ReadonlySet<string>;
  readonly artifacts: ReadonlySet<string>;
}

export interface Settled {
  /** Slugs of environments whose data was not there. */
  readonly lostVolumes: readonly string[];
  /** Environments that are deployed anew, because something of theirs is not there. */
  readonly redeployed: number;
}

/**
 * Makes the restored rows say what is true on this machine. A preview whose volumes are gone gets its data anew; one
 * whose artifact is gone is built again; a golden that is gone is nobody's source. Production's data cannot be made
 * again: that it is gone must be said to a person, who says whether to go on.
 */
export async function settleRestored(
  client: pg.Client,
  here: WhatIsHere,
  options: { volumes: BackupContents['volumes']; withoutData: boolean },
): Promise<Settled> {
  const present = new Set(here.volumes.map(({ id }) => id));
  const missing = options.volumes.filter(({ id }) => !present.has(id));
  const lost = await livingEnvironments(client, missing);
  if (lost.length > 0 && !options.withoutData) {
    const slugs = lost.map(({ slug }) => slug);
    throw new BoughError({
      code: 'restore-without-data',
      message: `The volumes of ${slugs.length} environment(s) are not on this machine: ${slugs.slice(0, 10).join(', ')}${slugs.length > 10 ? ', …' : ''}.`,
      hint: 'Put BOUGH_HOME/volumes back first, or add --without-data: previews then get their data anew, and production starts empty.',
    });
  }
  await forgetSnapshots(client, here);
  const ids = lost.map(({ id }) => id);
  await client.query(
    `update environments set data_state = 'undecided', data_snapshot_id = null, data_note = null where id = any($1)`,
    [ids],
  );
  const { rowCount } = await client.query(
    `update environments set generation = generation + 1, failures = 0, retry_at = null
     where removed_at is null and desired_state <> 'absent' and (id = any($1) or exists (
       select 1 from deployment_artifacts where deployment_id = environments.release_deployment_id and not key = any($2)
     ))`,
    [ids, [...here.artifacts]],
  );
  return { lostVolumes: lost.map(({ slug }) => slug), redeployed: rowCount ?? 0 };
}

async function livingEnvironments(
  client: pg.Client,
  volumes: BackupContents['volumes'],
): Promise<{ id: string; slug: string }[]> {
  const { rows } = await client.query<{ id: string; slug: string }>(
    `select id::text, slug from environments
     where id = any($1) and removed_at is null and desired_state <> 'absent' order by kind = 'preview', environments.slug`,
    [volumes.map(({ environmentId }) => environmentId)],
  );
  return rows;
}

/** A snapshot's row names the volumes' copies; without each of them it cannot be cloned. */
async function forgetSnapshots(client: pg.Client, here: WhatIsHere): Promise<void> {
  const { rows } = await client.query<{ id: string; copies: string[] }>(
    `select id, array(select value ->> 'snapshotId' from jsonb_each(volumes)) as copies
     from snapshots where state = 'frozen'`,
  );
  const gone = rows.filter(({ copies }) => copies.some((copy) => !here.snapshots.has(copy)));
  await client.query(`update snapshots set state = 'removed' where id = any($1)`, [gone.map(({ id }) => id)]);
}
