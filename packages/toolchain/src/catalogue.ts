import { createHash, randomBytes } from 'node:crypto';
import { link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { compareVersions, versionFits } from './want.ts';

/** What a materialised directory says of itself, in `toolchain.json` at its top. */
const MaterialisedNote = z.object({
  name: z.string(),
  version: z.string(),
  source: z.enum(['npm', 'debian']),
  /** The packages that it was made of, with their exact versions. */
  packages: z.record(z.string(), z.string()),
});
export type MaterialisedNote = z.infer<typeof MaterialisedNote>;

export interface MaterialisedTool extends MaterialisedNote {
  readonly directory: string;
}

const noteFile = 'toolchain.json';

export async function writeNote(directory: string, note: MaterialisedNote): Promise<void> {
  await writeFile(join(directory, noteFile), `${JSON.stringify(note, null, 2)}\n`);
}

/** Directories are `<home>/<source>/<name>-<version>`; one without a readable note is not a tool and is not listed. */
export async function readCatalogue(home: string): Promise<MaterialisedTool[]> {
  const found: MaterialisedTool[] = [];
  for (const source of ['npm', 'debian']) {
    for (const entry of await readdir(join(home, source)).catch(() => [])) {
      const directory = join(home, source, entry);
      const text = await readFile(join(directory, noteFile), 'utf8').catch(() => undefined);
      const note = text === undefined ? undefined : MaterialisedNote.safeParse(parseJson(text));
      if (note?.success) found.push({ ...note.data, directory });
    }
  }
  return found.sort((a, b) => a.name.localeCompare(b.name) || compareVersions(a.version, b.version));
}

export async function newestMaterialised(
  home: string,
  name: string,
  version: string | undefined,
): Promise<MaterialisedTool | undefined> {
  const tools = await readCatalogue(home);
  return tools.filter((tool) => tool.name === name && versionFits(tool.version, version)).at(-1);
}

export function toolDigest(note: { name: string; version: string; source: string }, detail = ''): string {
  return createHash('sha256')
    .update(`${note.name}\n${note.version}\n${note.source}\n${detail}`)
    .digest('hex')
    .slice(0, 32);
}

/**
 * The exact version that `nodejs:22` first became on this installation. Production and its previews must not differ
 * because a registry or the machine moved on between two deployments. Removing the file is how to move on.
 */
export async function rememberedVersion(home: string, want: string): Promise<string | undefined> {
  const text = await readFile(rememberedFile(home, want), 'utf8').catch(() => '');
  return /^\d[\w.-]*$/.test(text.trim()) ? text.trim() : undefined;
}

/** One file per want, made by `link`: of several processes that choose at once the first one wins, for all of them. */
export async function rememberVersion(home: string, want: string, version: string): Promise<string> {
  const file = rememberedFile(home, want);
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  await mkdir(dirname(file), { recursive: true });
  try {
    await writeFile(temporary, `${version}\n`);
    await link(temporary, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(temporary, { force: true });
  }
  return (await rememberedVersion(home, want)) ?? version;
}

function rememberedFile(home: string, want: string): string {
  return join(home, 'remembered', want.replace(':', '-'));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
