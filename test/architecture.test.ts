import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { basename, dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

/** DESIGN §3 as a test: which way imports point, who may name an implementation, what a file may be called. */
const root = fileURLToPath(new URL('..', import.meta.url));

/** What each package may import besides itself. A package that is not here may import nothing: add it on purpose. */
const GROUND = ['domain', 'manifest'];
const STATE = ['store', 'queue'];
const DRIVERS = ['engine', 'service', 'storage', 'forge'];
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  manifest: ['domain'],
  toolchain: ['domain'],
  sanitize: ['domain', 'manifest'],
  rehearse: ['domain'],
  store: GROUND,
  queue: GROUND,
  engine: [...GROUND, ...STATE, 'toolchain'],
  service: [...GROUND, ...STATE],
  storage: [...GROUND, ...STATE],
  forge: [...GROUND, ...STATE, 'toolchain'],
  reconcile: [...GROUND, ...STATE, ...DRIVERS, 'sanitize', 'rehearse'],
  feedback: [...GROUND, ...STATE, ...DRIVERS],
  boot: ['store', 'toolchain', 'domain'],
  // Starts real servers for tests; only tests import it.
  testkit: ['boot', 'store', 'toolchain', 'domain'],
};

/** Apps are processes of their own and import packages only, but for these. */
const APPS_MAY_IMPORT_APPS: Readonly<Record<string, readonly string[]>> = {
  // `bough serve` and `bough demo` start the other processes.
  cli: ['sandbox', 'server', 'worker', 'gateway'],
};

/** What a package above the drivers may name of them: the contract. Everything else there is an implementation. */
const CONTRACTS: readonly RegExp[] = [
  /^(engine|service|storage|forge)\/\1$/,
  // Data of the contract: what every engine gives a workload to see.
  /^engine\/variables$/,
  // Asks only the contract for what stored credentials lack: the same for every service.
  /^service\/complete-credentials$/,
  // Source trees are git's, whatever forge they came from.
  /^forge\/git\//,
];

/** Cycles that are left to untie, each with its reason. Nothing new belongs here. */
const KNOWN_CYCLES: readonly string[] = [
  // A merge moves refs, and a moved ref merges pull requests.
  'apps/sandbox/src/actions/notice-refs.ts → apps/sandbox/src/actions/pulls.ts → apps/sandbox/src/actions/notice-refs.ts',
];

const FORBIDDEN_FOLDERS = ['utils', 'util', 'helpers', 'helper', 'common', 'shared', 'core', 'lib'];
const MAIN_LINES_MAX = 80;

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
}

interface SourceFile {
  /** From the root, with slashes: `packages/domain/src/names.ts`. */
  readonly path: string;
  readonly kind: 'apps' | 'packages';
  /** Folder under apps/ or packages/. */
  readonly unit: string;
  readonly text: string;
  readonly imports: readonly Import[];
  readonly readsEnvironment: boolean;
}

interface PackageFile {
  readonly name: string;
  readonly declared: ReadonlySet<string>;
  readonly declaredForTests: ReadonlySet<string>;
}

const files = (['apps', 'packages'] as const).flatMap((kind) =>
  foldersIn(kind).flatMap((unit) => sourcesUnder(kind, unit)),
);
const byPath = new Map(files.map((file) => [file.path, file]));
const rootPackage = readPackage('.');

/** Unit tests, contract suites and the testkit run under vitest, never in production. */
function isForTests(file: SourceFile): boolean {
  return /\.test\.ts$/.test(file.path) || basename(file.path) === 'contract.ts' || file.unit === 'testkit';
}

function foldersIn(path: string): string[] {
  return readdirSync(join(root, path), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}

function sourcesUnder(kind: 'apps' | 'packages', unit: string): SourceFile[] {
  return listFiles(`${kind}/${unit}/src`)
    .filter((path) => path.endsWith('.ts'))
    .map((path) => ({ path, kind, unit, ...parse(path) }));
}

function listFiles(folder: string): string[] {
  let entries: { name: string; isDirectory(): boolean }[];
  try {
    entries = readdirSync(join(root, folder), { withFileTypes: true });
  } catch (error) {
    // The dashboard has no src until somebody writes it.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return entries.flatMap((entry) =>
    entry.isDirectory() ? listFiles(`${folder}/${entry.name}`) : [`${folder}/${entry.name}`],
  );
}

function parse(path: string): Pick<SourceFile, 'text' | 'imports' | 'readsEnvironment'> {
  const text = readFileSync(join(root, path), 'utf8');
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext);
  const imports: Import[] = [];
  let readsEnvironment = false;
  const visit = (node: ts.Node): void => {
    const found = importOf(node);
    if (found) imports.push(found);
    if (
      ts.isPropertyAccessExpression(node) &&
      ts.isIdentifier(node.expression) &&
      node.expression.text === 'process' &&
      node.name.text === 'env'
    )
      readsEnvironment = true;
    ts.forEachChild(node, visit);
  };
  visit(source);
  return { text, imports, readsEnvironment };
}

function importOf(node: ts.Node): Import | undefined {
  if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier))
    return { specifier: node.moduleSpecifier.text, typeOnly: isTypeOnly(node.importClause) };
  if (ts.isExportDeclaration(node) && node.moduleSpecifier && ts.isStringLiteral(node.moduleSpecifier))
    return { specifier: node.moduleSpecifier.text, typeOnly: node.isTypeOnly };
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    const { literal } = node.argument;
    return ts.isStringLiteral(literal) ? { specifier: literal.text, typeOnly: true } : undefined;
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    const [argument] = node.arguments;
    return argument && ts.isStringLiteral(argument)
      ? { specifier: argument.text, typeOnly: false }
      : undefined;
  }
  return undefined;
}

/** `import type { A }` and `import { type A, type B }` are gone when the program runs. */
function isTypeOnly(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false;
  if (clause.isTypeOnly) return true;
  const bindings = clause.namedBindings;
  return (
    clause.name === undefined &&
    bindings !== undefined &&
    ts.isNamedImports(bindings) &&
    bindings.elements.length > 0 &&
    bindings.elements.every((element) => element.isTypeOnly)
  );
}

function readPackage(folder: string): PackageFile {
  const json = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as Record<
    string,
    unknown
  >;
  const names = (field: string) => Object.keys((json[field] ?? {}) as object);
  const declared = [...names('dependencies'), ...names('optionalDependencies')];
  return {
    name: String(json.name),
    declared: new Set(declared),
    declaredForTests: new Set([...declared, ...names('devDependencies')]),
  };
}

/** `@bough/engine/process/engine` → package `engine`, module `process/engine`. */
function boughImport(specifier: string): { unit: string; module: string } | undefined {
  const match = /^@bough\/([^/]+)\/?(.*)$/.exec(specifier);
  return match ? { unit: match[1] ?? '', module: match[2] ?? '' } : undefined;
}

/** `@octokit/rest`, `pg`; undefined for relative imports and what Node brings. */
function packageName(specifier: string): string | undefined {
  if (specifier.startsWith('.') || specifier.startsWith('node:') || builtinModules.includes(specifier))
    return undefined;
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0];
}

function relativeTarget(file: SourceFile, specifier: string): string | undefined {
  return specifier.startsWith('.') ? posix.join(dirname(file.path), specifier) : undefined;
}

const appNames = foldersIn('apps');

describe('imports', () => {
  test('there is something to check', () => {
    expect(files.length).toBeGreaterThan(100);
    expect(files.flatMap((file) => file.imports).length).toBeGreaterThan(500);
    expect(byPath.get('packages/store/src/routes.ts')?.imports).toContainEqual({
      specifier: '@bough/domain/route',
      typeOnly: true,
    });
  });

  test('point down: apps → reconcile, feedback → drivers → store, queue → domain, manifest', () => {
    const wrong = files.flatMap((file) =>
      file.imports.flatMap(({ specifier }) => {
        const target = boughImport(specifier)?.unit;
        if (target === undefined || target === file.unit || mayImport(file, target)) return [];
        return [`${file.path} imports ${specifier}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  test('name the contract of a driver, not an implementation, except in apps', () => {
    const wrong = files
      .filter((file) => file.kind === 'packages')
      .flatMap((file) =>
        file.imports.flatMap(({ specifier }) => {
          const target = boughImport(specifier);
          if (target === undefined || target.unit === file.unit || !DRIVERS.includes(target.unit)) return [];
          const isContract = CONTRACTS.some((contract) => contract.test(`${target.unit}/${target.module}`));
          return isContract ? [] : [`${file.path} imports ${specifier}`];
        }),
      );
    expect(wrong).toEqual([]);
  });

  test('leave a package by its name, and stay relative inside it', () => {
    const wrong = files.flatMap((file) =>
      file.imports.flatMap(({ specifier }) => {
        const target = relativeTarget(file, specifier);
        if (target !== undefined && !target.startsWith(`${file.kind}/${file.unit}/`))
          return [`${file.path} leaves its package by ${specifier}`];
        return boughImport(specifier)?.unit === file.unit
          ? [`${file.path} imports ${specifier} from itself`]
          : [];
      }),
    );
    expect(wrong).toEqual([]);
  });

  test('are declared in the package.json of the package', () => {
    const packages = new Map(
      files.map((file) => [`${file.kind}/${file.unit}`, readPackage(`${file.kind}/${file.unit}`)]),
    );
    const missing = files.flatMap((file) => {
      const own = packages.get(`${file.kind}/${file.unit}`);
      return file.imports.flatMap(({ specifier }) => {
        const name = packageName(specifier);
        if (name === undefined || name === own?.name || own?.declared.has(name)) return [];
        if (isForTests(file) && (own?.declaredForTests.has(name) || rootPackage.declaredForTests.has(name)))
          return [];
        return [`${file.kind}/${file.unit}/package.json lacks ${name} (${basename(file.path)})`];
      });
    });
    expect([...new Set(missing)]).toEqual([]);
  });

  test('make no cycles inside a package', () => {
    expect(findCycles().filter((cycle) => !KNOWN_CYCLES.includes(cycle))).toEqual([]);
  });
});

function mayImport(file: SourceFile, target: string): boolean {
  if (target === 'testkit') return isForTests(file);
  if (file.kind === 'packages') return MAY_IMPORT[file.unit]?.includes(target) ?? false;
  return appNames.includes(target) ? (APPS_MAY_IMPORT_APPS[file.unit]?.includes(target) ?? false) : true;
}

/**
 * Each cycle once, as `a → b → a`. Imports of types do not count: they are gone when the program runs, and the file
 * that declares a contract may well hold the map of what implements it.
 */
function findCycles(): string[] {
  const cycles = new Set<string>();
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      cycles.add([...trail.slice(start), path].join(' → '));
      return;
    }
    const file = byPath.get(path);
    if (file === undefined || done.has(path)) return;
    trail.push(path);
    for (const { specifier, typeOnly } of file.imports) {
      const target = typeOnly ? undefined : relativeTarget(file, specifier);
      if (target !== undefined) visit(target);
    }
    trail.pop();
    done.add(path);
  };
  for (const file of files) visit(file.path);
  return [...cycles];
}

describe('files', () => {
  test('are named in kebab-case', () => {
    const wrong = files.filter((file) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.ts$/.test(basename(file.path)));
    expect(wrong.map((file) => file.path)).toEqual([]);
  });

  test('are no barrels, and their folders are nouns of the domain', () => {
    const wrong = files
      .map((file) => file.path)
      .filter(
        (path) =>
          basename(path) === 'index.ts' ||
          path.split('/').some((folder) => FORBIDDEN_FOLDERS.includes(folder)),
      );
    expect(wrong).toEqual([]);
  });

  test('read process.env only where configuration is read', () => {
    const wrong = files
      .filter((file) => file.readsEnvironment && !isForTests(file))
      .map((file) => file.path)
      .filter((path) => !['config.ts', 'main.ts'].includes(basename(path)));
    expect(wrong).toEqual([]);
  });

  test(`an app's main.ts only wires: at most ${MAIN_LINES_MAX} lines`, () => {
    const mains = files.filter((file) => file.kind === 'apps' && basename(file.path) === 'main.ts');
    expect(mains.length).toBeGreaterThan(2);
    const long = mains.filter((file) => file.text.trimEnd().split('\n').length > MAIN_LINES_MAX);
    expect(long.map((file) => file.path)).toEqual([]);
  });
});
