import type { FilesReport, KeysReport, ServiceReport } from '@bough/domain/data-report';
import type { DataPolicy } from '@bough/manifest/manifest';
import type { SanitizePolicy } from '@bough/manifest/sanitize-policy';
import type { Snapshot } from '@bough/storage/storage';
import type { SnapshotRow, SnapshotVolume } from '@bough/store/snapshots';
import type { CaptureRun, StepVoice } from '../deploy/run.ts';
import type { KeysCapture } from './capture-keys.ts';
import type { MaskingFacts } from './sanitize-capture.ts';

/** The default branch's word on data, as one capture follows it. */
export type CapturePolicy = Pick<DataPolicy, 'sanitize'> &
  Partial<Pick<DataPolicy, 'source'>> & {
    readonly commit: string;
    /** Production does not run here: only what its sources name is taken. */
    readonly isElsewhere?: boolean;
    /** Who or what asked for it, for the report. */
    readonly why: string;
  };

/** The rules, and which of them met something: those that met nothing are refused at the end. */
export interface Rules {
  readonly policy: SanitizePolicy;
  readonly used: Set<string>;
}

/** One capture under way. */
export interface Capturing {
  readonly parent: CaptureRun;
  readonly row: SnapshotRow;
  readonly policy: CapturePolicy;
  /** Null under `sanitize: none`. */
  readonly rules: Rules | null;
  readonly voice: StepVoice;
  readonly parts: GoldenParts;
}

/** What a golden is made of, as far as it is made; by the name of the service or the volume of the mount. */
export interface GoldenParts {
  readonly volumes: Record<string, SnapshotVolume>;
  /** The passwords in its files, written out. */
  readonly credentials: Record<string, string>;
  readonly masking: Record<string, MaskingFacts>;
  readonly services: Record<string, ServiceReport>;
  /** In words, where the data of a service came from that was not captured here. */
  readonly origins: Record<string, string>;
  readonly files: Record<string, FilesReport>;
  readonly keys: Record<string, KeysReport>;
  /** Frozen copies. */
  readonly made: Snapshot[];
  /** Ids of raw copies; none is left at the end. */
  readonly raws: string[];
  readonly keyed: KeysCapture[];
}

export function noParts(): GoldenParts {
  return {
    volumes: {},
    credentials: {},
    masking: {},
    services: {},
    origins: {},
    files: {},
    keys: {},
    made: [],
    raws: [],
    keyed: [],
  };
}
