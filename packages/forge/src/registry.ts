import { createGitHubForge } from './github/forge.ts';

/** Every forge that Bough can talk to. A new one is a folder and a line here. */
export const forges = {
  github: createGitHubForge,
} as const;

export type ForgeKind = keyof typeof forges;
