import type { Caller } from './caller.ts';

/** One call that the sandbox received; what tests assert on. Fault-injected answers are here too. */
export interface ApiCall {
  time: string;
  method: string;
  /** Below the API's base, as sent. */
  path: string;
  query: Record<string, unknown>;
  body: unknown;
  /** GitHub's operation id; null for a route that is not in the vendored schema. */
  operation: string | null;
  /** 0 until answered, or when the connection was cut. */
  status: number;
  caller: Caller['kind'] | null;
  /** Where the call breaks GitHub's published schema; empty for one that conforms. */
  problems: string[];
  /** Fields that GitHub would ignore, nearly always misspelt. */
  ignored: string[];
  /** Where our own answer breaks it: a defect of the sandbox. */
  answerProblems: string[];
}

const KEPT_CALLS = 10_000;

export function recordCall(calls: ApiCall[], call: ApiCall): void {
  calls.push(call);
  if (calls.length > KEPT_CALLS) calls.shift();
}
