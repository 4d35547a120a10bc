import { randomBytes } from 'node:crypto';
import { Secret } from '@bough/domain/secret';
import { type Database, only } from './database.ts';

/** A repository on a forge that Bough serves. Its identity is the forge's host and the repository's id. */
export interface Project {
  readonly id: string;
  readonly installationId: string;
  readonly forge: 'github';
  readonly forgeHost: string;
  readonly repositoryId: number;
  /** Owner and name as last read; a rename changes them, and nothing else. */
  readonly owner: string;
  readonly name: string;
  readonly slug: string;
  readonly defaultBranch: string;
  /** As last read from the forge; false also where it was not asked yet. */
  readonly private: boolean;
  readonly production: 'external' | 'managed';
  readonly intake: 'webhook' | 'app' | 'poll';
  readonly webhookId: string | null;
  readonly forgeInstallationId: number | null;
  readonly pollEtag: string | null;
  /** Null: its comments come by webhook, or were not read yet. */
  readonly comments: CommentCursor | null;
  /** Random and stable: PLATFORM_PROJECT_ENTROPY, and the key of what must differ between projects. */
  readonly entropy: Secret;
  readonly state: 'active' | 'removed';
  readonly variablesRevision: string;
  readonly createdAt: Date;
}

/** How far the comments of a polled repository have been read. */
export interface CommentCursor {
  /** The newest comment's id when reading began, 0 where there was none: later ones have higher ids. */
  readonly after: number;
  /** What the next request asks for; null: all there are. */
  readonly since: Date | null;
  /** Of the answer to just that request. */
  readonly etag: string | null;
}

interface ProjectRow extends Omit<Project, 'repositoryId' | 'forgeInstallationId' | 'entropy' | 'comments'> {
  readonly commentsAfter: string | null;
  readonly commentsSince: Date | null;
  readonly commentsEtag: string | null;
  readonly repositoryId: string;
  readonly forgeInstallationId: string | null;
  readonly entropy: string;
}

const COLUMNS = `id::text, installation_id as "installationId", forge, forge_host as "forgeHost", repository_id::text as "repositoryId",
  owner, name, slug, default_branch as "defaultBranch", private, production, intake, webhook_id::text as "webhookId",
  forge_installation_id::text as "forgeInstallationId", poll_etag as "pollEtag", comments_after::text as "commentsAfter",
  comments_since as "commentsSince", comments_etag as "commentsEtag", entropy, state,
  variables_revision::text as "variablesRevision", created_at as "createdAt"`;

function toProject({ commentsAfter, commentsSince, commentsEtag, ...row }: ProjectRow): Project {
  return {
    ...row,
    comments:
      commentsAfter === null
        ? null
        : { after: Number(commentsAfter), since: commentsSince, etag: commentsEtag },
    repositoryId: Number(row.repositoryId),
    forgeInstallationId: row.forgeInstallationId === null ? null : Number(row.forgeInstallationId),
    entropy: new Secret(row.entropy),
  };
}

export interface NewProject {
  readonly installationId: string;
  readonly forge: 'github';
  readonly forgeHost: string;
  readonly repositoryId: number;
  readonly owner: string;
  readonly name: string;
  /** Frozen from now on. When another project has it already, the repository's id is added. */
  readonly slug: string;
  readonly defaultBranch: string;
  readonly production: 'external' | 'managed';
  readonly intake: 'webhook' | 'app' | 'poll';
  readonly forgeInstallationId?: number | null;
  readonly private?: boolean;
}

/** Adds a project, or takes one that was removed (or added before) back into service under its old slug and id. */
export async function insertProject(db: Database, project: NewProject): Promise<Project> {
  const { rows } = await db.query<ProjectRow>(
    `insert into projects (installation_id, forge, forge_host, repository_id, owner, name, slug, default_branch, production, intake,
                           forge_installation_id, entropy, private)
     values ($1, $2, $3, $4, $5, $6,
             case when exists (select from projects where slug = $7 and (forge_host, repository_id) <> ($3, $4::bigint))
               then $7 || '-' || $4 else $7 end,
             $8, $9, $10, $11, $12, $13)
     on conflict (forge_host, repository_id) do update set
       state = 'active', owner = excluded.owner, name = excluded.name, default_branch = excluded.default_branch,
       production = excluded.production, intake = excluded.intake, private = excluded.private,
       forge_installation_id = coalesce(excluded.forge_installation_id, projects.forge_installation_id)
     returning ${COLUMNS}`,
    [
      project.installationId,
      project.forge,
      project.forgeHost,
      String(project.repositoryId),
      project.owner,
      project.name,
      project.slug,
      project.defaultBranch,
      project.production,
      project.intake,
      project.forgeInstallationId ?? null,
      randomBytes(32).toString('base64url'),
      project.private ?? false,
    ],
  );
  return toProject(only(rows));
}

export async function findProject(db: Database, id: string): Promise<Project | undefined> {
  const { rows } = await db.query<ProjectRow>(`select ${COLUMNS} from projects where id = $1`, [id]);
  return rows[0] && toProject(rows[0]);
}

export async function findProjectBySlug(db: Database, slug: string): Promise<Project | undefined> {
  const { rows } = await db.query<ProjectRow>(`select ${COLUMNS} from projects where slug = $1`, [slug]);
  return rows[0] && toProject(rows[0]);
}

export async function findProjectByRepository(
  db: Database,
  repository: { forgeHost: string; repositoryId: number },
): Promise<Project | undefined> {
  const { rows } = await db.query<ProjectRow>(
    `select ${COLUMNS} from projects where forge_host = $1 and repository_id = $2`,
    [repository.forgeHost, repository.repositoryId],
  );
  return rows[0] && toProject(rows[0]);
}

/** By `owner/name`, in any case of letters, as people type it. The newest, should an old name have been taken over. */
export async function findProjectByFullName(
  db: Database,
  repository: { owner: string; name: string },
): Promise<Project | undefined> {
  const { rows } = await db.query<ProjectRow>(
    `select ${COLUMNS} from projects where lower(owner) = lower($1) and lower(name) = lower($2) order by state, projects.id desc limit 1`,
    [repository.owner, repository.name],
  );
  return rows[0] && toProject(rows[0]);
}

/** Active projects, oldest first; at most 1,000. */
export async function listProjects(db: Database): Promise<Project[]> {
  const { rows } = await db.query<ProjectRow>(
    `select ${COLUMNS} from projects where state = 'active' order by projects.id limit 1000`,
  );
  return rows.map(toProject);
}

/**
 * What the forge says of the repository now. True when something differed. One that becomes public has comments that anybody
 * reads: links in them end.
 */
export async function writeRepository(
  db: Database,
  id: string,
  repository: { owner: string; name: string; defaultBranch: string; private: boolean },
): Promise<boolean> {
  const { rowCount } = await db.query(
    `with before as (select private from projects where id = $1 for update),
     published as (
       update environments set link_epoch = link_epoch + 1
       where project_id = $1 and not $5 and (select private from before) returning id
     ),
     told as (select pg_notify('routes', id::text) from published)
     update projects set owner = $2, name = $3, default_branch = $4, private = $5
     where id = $1 and (owner, name, default_branch, private) is distinct from ($2, $3, $4, $5) and (select count(*) from told) >= 0`,
    [id, repository.owner, repository.name, repository.defaultBranch, repository.private],
  );
  return rowCount === 1;
}

/** How deliveries of this project come in. Where that is not by polling, how far its comments were read is forgotten. */
export async function writeIntake(
  db: Database,
  id: string,
  intake: { intake: Project['intake']; webhookId: string | null; forgeInstallationId?: number | null },
): Promise<void> {
  await db.query(
    `update projects set intake = $2, webhook_id = $3, forge_installation_id = coalesce($4, forge_installation_id),
       comments_after = case when $2 = 'poll' then comments_after end,
       comments_since = case when $2 = 'poll' then comments_since end,
       comments_etag = case when $2 = 'poll' then comments_etag end
     where id = $1`,
    [id, intake.intake, intake.webhookId, intake.forgeInstallationId ?? null],
  );
}

export async function writePollEtag(db: Database, id: string, etag: string | null): Promise<void> {
  await db.query('update projects set poll_etag = $2 where id = $1', [id, etag]);
}

/** Where it begins to read comments; where it did already, it goes on from there. */
export async function beginComments(
  db: Database,
  id: string,
  from: Pick<CommentCursor, 'after' | 'since'>,
): Promise<void> {
  await db.query(
    'update projects set comments_after = $2, comments_since = $3, comments_etag = null where id = $1 and comments_after is null',
    [id, from.after, from.since],
  );
}

/** Compare-and-swap: of two that read at once, one moves it on. */
export async function moveComments(
  db: Database,
  id: string,
  to: { before: Date | null; since: Date | null; etag: string | null },
): Promise<void> {
  await db.query(
    `update projects set comments_since = $3, comments_etag = $4
     where id = $1 and comments_after is not null and comments_since is not distinct from $2`,
    [id, to.before, to.since, to.etag],
  );
}

/** Bough stops serving it; its environments are asked away by observe, its history stays. */
export async function removeProject(db: Database, id: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `update projects set state = 'removed', webhook_id = null, poll_etag = null,
       comments_after = null, comments_since = null, comments_etag = null
     where id = $1 and state = 'active'`,
    [id],
  );
  return rowCount === 1;
}
