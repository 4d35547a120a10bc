import { fileURLToPath } from 'node:url';

/** The numbered files that make a database this version's. */
export const migrationsDirectory = fileURLToPath(new URL('../../../migrations', import.meta.url));
