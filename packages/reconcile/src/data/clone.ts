import { filesWords, keysWords } from '@bough/domain/data-report';
import type { PlannedRun, StepVoice } from '../deploy/run.ts';
import { serviceVolumeId, serviceVolumeName } from '../deploy/services.ts';
import { mountVolumeId, mountVolumeName } from '../deploy/surroundings.ts';
import type { AttestedSnapshot } from './attestation.ts';
import { mountVolumes } from './mount-volumes.ts';
import { holdUp } from './sanitize-capture.ts';

/**
 * Makes a preview's volumes from a golden snapshot. Takes an attestation, not a path. Volumes that are there already
 * are left alone, so that it can be called again after a crash half-way.
 *
 * A service that the pull request adds, or whose type or version it changes, is not in the golden or cannot be started
 * on its files: it starts empty, and that is said.
 */
export async function cloneGolden(
  run: PlannedRun,
  golden: AttestedSnapshot,
  voice: StepVoice,
): Promise<{ cloned: string[]; left: string[] }> {
  const cloned: string[] = [];
  const left: string[] = [];
  for (const planned of run.plan.common.services) {
    const service = run.context.service(planned.type);
    const source = golden.facts.volumes[`service:${planned.name}`];
    const isWhole = service.cloning !== undefined && service.persistent(planned.type);
    // Without rules for its keys it starts empty, as ever.
    if (!isWhole && (service.keyed === undefined || source === undefined)) continue;
    const type = `${planned.type}:${planned.version}`;
    if (source === undefined) left.push(`${planned.name} is new here and starts empty`);
    else if (source.type !== type)
      left.push(`${planned.name} changes from ${source.type} to ${type} and starts empty`);
    else {
      await ensureClone(
        run,
        serviceVolumeId(run, planned.name),
        serviceVolumeName(run.environment, planned.name),
        source.snapshotId,
      );
      await holdUp(run, 'clone');
      cloned.push(planned.name);
      const keys = golden.facts.keys?.[planned.name];
      if (keys !== undefined) left.push(`${planned.name} has ${keysWords(keys)}`);
    }
  }
  for (const volume of mountVolumes(run)) {
    const isKept = golden.facts.volumes[`mount:${volume}`] !== undefined;
    if (!isKept && golden.facts.sanitize !== 'none')
      left.push(`${volume} starts empty, as the data policy does not keep it`);
  }
  for (const [name, source] of Object.entries(golden.facts.volumes)) {
    if (!name.startsWith('mount:')) continue;
    const volume = name.slice('mount:'.length);
    await ensureClone(
      run,
      mountVolumeId(run, volume),
      mountVolumeName(run.environment, volume),
      source.snapshotId,
    );
    cloned.push(volume);
    const files = golden.facts.files?.[volume];
    if (files !== undefined) left.push(`${volume} has ${filesWords(files)}`);
  }
  voice.line(`cloned from golden snapshot ${golden.facts.snapshotId}: ${cloned.join(', ') || 'nothing'}`);
  for (const reason of left) voice.line(reason);
  return { cloned, left };
}

async function ensureClone(run: PlannedRun, id: string, name: string, from: string): Promise<void> {
  run.lock.signal.throwIfAborted();
  const { storage } = run.context;
  // An attempt that was cut off cloned an older golden: its files carry other passwords.
  const present = await storage.observe(id);
  if (present !== undefined && present.from !== from) await storage.remove(id);
  await storage.ensure({
    id,
    from,
    labels: {
      installationId: run.context.installationId,
      environmentId: run.environment.id,
      name,
      kind: 'preview',
    },
  });
}
