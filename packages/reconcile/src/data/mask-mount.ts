import { type FilesReport, filesWords } from '@bough/domain/data-report';
import type { SanitizePolicy } from '@bough/manifest/sanitize-policy';
import { maskFiles } from '@bough/sanitize/files/mask-files';
import type { Snapshot } from '@bough/storage/storage';
import type { CaptureRun, StepVoice } from '../deploy/run.ts';
import { mountCapture } from './capture-together.ts';
import { holdUp, mountName, mountRuleOf, sanitizeTimeoutMs, unfit } from './sanitize-capture.ts';

/**
 * The golden snapshot of a mount: what was taken, where it is kept as it is, else a volume of its own with what the rules let through.
 * The raw copy is gone afterwards, however it went.
 */
export async function maskMount(
  parent: CaptureRun,
  of: {
    snapshotRowId: string;
    volume: string;
    taken: Snapshot;
    policy: SanitizePolicy | null;
    voice: StepVoice;
  },
): Promise<{ snapshot: Snapshot; report: FilesReport | null }> {
  const { policy, volume, taken, voice } = of;
  const rule = policy === null ? 'keep' : mountRuleOf(policy, volume);
  if (policy === null || rule === undefined || rule === 'keep' || rule === 'drop')
    return { snapshot: taken, report: null };
  const { storage } = parent.context;
  const draft = mountCapture(parent, { ...of, stage: 'volume' });
  try {
    await holdUp(parent, 'files');
    const target = await storage.ensure(draft);
    const name = mountName(volume);
    const masked = await maskFiles({
      ...{ mount: name, source: taken.path, target: target.path, rules: rule },
      unmatched: policy.default === 'fail' ? 'fail' : 'drop',
      signal: AbortSignal.any([parent.lock.signal, AbortSignal.timeout(sanitizeTimeoutMs)]),
      line: (text) => voice.line(`${volume}: ${text}`),
    });
    if (masked.kind === 'findings') throw unfit(name, masked.findings, voice);
    const { report } = masked;
    voice.line(`${volume}: ${filesWords(report)}`);
    return {
      snapshot: await storage.snapshot(draft.id, mountCapture(parent, { ...of, stage: 'golden' })),
      report,
    };
  } finally {
    await storage.remove(draft.id);
    await storage.removeSnapshot(taken.id);
  }
}
