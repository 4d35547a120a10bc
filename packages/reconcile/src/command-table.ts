import { parseDuration } from '@bough/domain/duration';
import type { RequestKind } from '@bough/store/requests';

/** One command that a comment may hold. A new one is a line in the table, and what acts on its request. */
export interface CommandSpec {
  /** Behind "`/bough word`" in the list of commands. */
  readonly meaning: string;
  /** What it asks for; null when it only wants an answer. */
  readonly request: RequestKind | null;
  /** The answer where it is known at once; else the outcome of the request is. */
  readonly answer?: string;
  /** What may stand behind the word. Absent: nothing. */
  readonly argument?: {
    readonly name: string;
    readonly optional: boolean;
    /** Why it is wrong, and what to write instead; undefined when it is right. */
    readonly problem: (text: string) => string | undefined;
  };
}

const DELETED =
  'The preview is removed. It stays away until `/bough deploy`, also when the pull request is closed and opened again.';

export const COMMANDS: Readonly<Record<string, CommandSpec>> = {
  deploy: {
    meaning: 'deploys the newest commit, also where the policy makes none or it was deleted',
    request: 'open',
  },
  redeploy: {
    meaning: 'deploys the newest commit again, and brings a deleted preview back',
    request: 'redeploy',
  },
  rebuild: { meaning: 'builds it anew, reusing nothing, and deploys it', request: 'rebuild' },
  sync: {
    meaning: 'replaces its data by the newest sanitized data of production, and runs the deploy hook on it',
    request: 'sync',
  },
  reset: {
    meaning: 'puts its data back to what it started from, and runs the deploy hook',
    request: 'reset',
  },
  sleep: { meaning: 'stops its processes and keeps its data; a visit wakes it', request: 'sleep' },
  wake: { meaning: 'starts it again', request: 'wake' },
  keep: {
    meaning: 'keeps it from being put to sleep or removed for 7 days, or as long as said: `/bough keep 30d`',
    request: 'keep',
    argument: {
      name: 'duration',
      optional: true,
      problem: (text) =>
        parseDuration(text) === undefined
          ? 'write how long as a number and a unit, up to a year: `/bough keep 12h`, `/bough keep 30d`'
          : undefined,
    },
  },
  approve: {
    meaning:
      'lets one commit of a fork run, without secrets, data and network: `/bough approve` and the whole id of the commit',
    request: 'approve',
    // Which one it must be is known when the pull request is looked at.
    argument: { name: 'commit', optional: true, problem: () => undefined },
  },
  delete: {
    meaning: 'removes the preview, which then stays away until `/bough deploy`',
    request: 'delete',
    answer: DELETED,
  },
  why: { meaning: 'says here why the preview is as it is', request: null },
  help: { meaning: 'lists these commands', request: null },
};
