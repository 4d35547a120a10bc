import { gone, internals, keep, type Preset } from './preset.ts';

/** What migrations, queues and sessions of Node's libraries keep. */
export const node: Preset = {
  tables: [
    {
      name: '_prisma_migrations',
      has: ['checksum', 'migration_name', 'applied_steps_count'],
      rule: {
        columns: {
          id: keep('a random id of a row'),
          checksum: keep('of a migration'),
          migration_name: keep('names a migration'),
          logs: gone,
        },
      },
    },
    { name: 'knex_migrations', has: ['name', 'batch'], rule: internals('Knex') },
    { name: 'knex_migrations_lock', has: ['is_locked'], rule: internals('Knex') },
    { name: 'SequelizeMeta', has: ['name'], rule: internals('Sequelize') },
    { name: 'migrations', has: ['timestamp', 'name'], rule: internals('TypeORM') },
    { name: 'typeorm_metadata', has: ['type', 'table', 'value'], rule: internals('TypeORM') },
    { name: 'drizzle.__drizzle_migrations', has: ['hash', 'created_at'], rule: internals('Drizzle') },
    { name: '__drizzle_migrations', has: ['hash', 'created_at'], rule: internals('Drizzle') },
    { name: 'pgmigrations', has: ['name', 'run_on'], rule: internals('node-pg-migrate') },
    { name: 'mikro_orm_migrations', has: ['name', 'executed_at'], rule: internals('MikroORM') },
    // connect-pg-simple, express-mysql-session.
    { name: 'session', has: ['sid', 'sess', 'expire'], rule: 'truncate' },
    { name: 'sessions', has: ['session_id', 'expires', 'data'], rule: 'truncate' },
    // Jobs of production must not run in a preview.
    { name: 'pgboss.version', has: ['version'], rule: internals('pg-boss') },
    { name: 'pgboss.job', has: ['name', 'data', 'state'], rule: 'truncate' },
    { name: 'pgboss.archive', has: ['name', 'data', 'state'], rule: 'truncate' },
    { name: 'graphile_worker.migrations', has: ['id', 'ts'], rule: internals('Graphile Worker') },
    { name: 'graphile_worker._private_*', has: ['id'], rule: 'truncate' },
    { name: 'graphile_worker.jobs', has: ['payload'], rule: 'truncate' },
  ],
};
