import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import type { ReadSource } from '@bough/manifest/manifest';
import type { PlannedService } from '@bough/manifest/plan';
import type {
  Address,
  Credentials,
  DataSource,
  LoadedSource,
  ServiceDeclaration,
} from '@bough/service/service';
import type { Project } from '@bough/store/projects';
import { listVariables, readVariables } from '@bough/store/variables';
import { compile } from '../deploy/compile.ts';
import type { CaptureRun, StepVoice } from '../deploy/run.ts';
import { mirrorOf } from '../observe.ts';

/** A capture of a production that does not run here: the services are those of the default branch. */
export async function planElsewhere(
  of: Pick<CaptureRun, 'context' | 'project' | 'commit' | 'lock'>,
  voice: StepVoice,
): Promise<CaptureRun> {
  const { context, project, commit, lock } = of;
  const environment = {
    id: `p${project.id}`,
    slug: project.slug,
    kind: 'production' as const,
    dataEpoch: '0',
    trust: 'trusted' as const,
  };
  const mirror = mirrorOf(context, project);
  const compiled = await compile({ context, mirror, commit, lock, environment }, voice);
  return { context, project, commit, mirror, lock, environment, secrets: new Set(), ...compiled };
}

/** Fills the private server of a service from its source. What goes wrong never says the connection string. What was read, for the report. */
export async function loadSource(
  run: CaptureRun,
  of: {
    planned: PlannedService;
    source: ReadSource;
    declaration: ServiceDeclaration;
    address: Address;
    own: Credentials;
    voice: StepVoice;
  },
): Promise<LoadedSource> {
  const { context, lock } = run;
  const { planned, declaration, address } = of;
  const service = context.service(planned.type);
  if (service.load === undefined)
    throw new BoughError({
      code: 'source-not-possible',
      message: `"${planned.name}" (${planned.type}) cannot be filled from elsewhere.`,
      hint: 'Remove it below `data: source:` in the default branch; previews then start it empty.',
    });
  const source = await resolveSource(run, planned.name, of.source);
  return await service.load(
    source,
    { declaration, address, credentials: of.own },
    {
      signal: lock.signal,
      line: (text) => of.voice.line(`${planned.name}: ${text}`),
      tools: context.tools,
    },
  );
}

async function resolveSource(run: CaptureRun, service: string, source: ReadSource): Promise<DataSource> {
  if (source.kind === 'file') return { kind: 'file', path: await dumpPath(run, service, source.name) };
  const { context, project } = run;
  const known = (await listVariables(context.pool, project.id)).find(({ name }) => name === source.name);
  if (known?.forPreview)
    throw new BoughError({
      code: 'source-exposed',
      message: `The secret ${source.name}, the source of "${service}", is set for previews, which would see production's password.`,
      hint: `Set it for production only: bough secret set ${source.name} --for production`,
    });
  const values = await readVariables(context.pool, context.encryption, {
    projectId: project.id,
    at: 'run',
    kind: 'production',
  });
  const found = values.find(({ name, secret }) => name === source.name && secret);
  const { standby = false, connections } = source;
  if (found !== undefined)
    return { kind: 'url', url: found.value, standby, ...(connections === undefined ? {} : { connections }) };
  throw new BoughError({
    code: 'source-absent',
    message: `The project has no secret ${source.name}, which is to hold the connection string of "${service}".`,
    hint: `Set it: bough secret set ${project.slug} ${source.name} --run --for production`,
  });
}

/** In the operator's folder of the project; a link could lead to any other file of the machine. */
async function dumpPath(run: CaptureRun, service: string, name: string): Promise<string> {
  const folder = dumpsOf(run.context.directories.dumps, run.project);
  const path = join(folder, name);
  const isFile = await lstat(path).then(
    (entry) => entry.isFile(),
    () => false,
  );
  if (isFile) return path;
  throw new BoughError({
    code: 'source-absent',
    message: `There is no dump ${name} for "${service}".`,
    hint: `Put it, made by \`pg_dump\` (\`--format=custom\` or plain SQL) or \`mariadb-dump\`, at ${path} on the machine that runs Bough.`,
  });
}

function dumpsOf(dumps: string, project: Project): string {
  return join(dumps, project.slug);
}
