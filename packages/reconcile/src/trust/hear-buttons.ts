import type { Forge, ParsedDelivery, RepositoryRef } from '@bough/forge/forge';
import { type Delivery, settleDeliveries } from '@bough/store/deliveries';
import type { Project } from '@bough/store/projects';
import { insertRequest } from '@bough/store/requests';
import type pg from 'pg';
import { refuseCommand } from '../hear-commands.ts';

/** Each costs a question to the forge. */
const BUTTONS_PER_LOOK_MAX = 5;

interface Listening {
  readonly pool: pg.Pool;
  readonly forge: Forge;
  readonly repository: RepositoryRef;
  readonly project: Project;
  readonly subject: string;
}

/** Makes requests of the buttons that were pressed on checks. Whoever presses one may be anybody, so the forge is asked. */
export async function hearButtons(listening: Listening, deliveries: readonly Delivery[]): Promise<void> {
  const { pool, project, subject } = listening;
  const pressed = deliveries.flatMap((delivery) => {
    // It was parsed by the forge's schema when it was stored.
    const payload = delivery.payload as ParsedDelivery;
    return payload.kind === 'action' && payload.subject === subject ? [{ id: delivery.id, payload }] : [];
  });
  for (const [index, { id, payload }] of pressed.entries()) {
    const refusal =
      index >= BUTTONS_PER_LOOK_MAX
        ? 'too many buttons were pressed at once'
        : payload.action === 'approve'
          ? await refuseCommand(listening, payload.user)
          : `there is no button "${payload.action.slice(0, 20)}"`;
    if (refusal !== undefined) {
      const reason = `${payload.user} pressed a button: ${refusal}`;
      await settleDeliveries(pool, [id], { fate: 'declined', reason });
      continue;
    }
    const request = { projectId: project.id, subject, kind: 'approve' as const, askedBy: payload.user };
    await insertRequest(pool, { ...request, argument: payload.commit });
  }
}
