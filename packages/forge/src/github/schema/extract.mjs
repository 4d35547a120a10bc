// Writes operations.json: the part of GitHub's published OpenAPI that Bough and the sandbox forge speak.
// See README.md beside this file for how to run it. Data in, data out; nothing here runs in the product.
import { readFile, writeFile } from 'node:fs/promises';

const OPERATIONS = [
  'GET /rate_limit',
  'GET /user',
  'GET /app',
  'GET /app/installations',
  'GET /app/installations/{installation_id}',
  'POST /app/installations/{installation_id}/access_tokens',
  'GET /installation/repositories',
  'GET /app/hook/config',
  'PATCH /app/hook/config',
  'GET /app/hook/deliveries',
  'GET /app/hook/deliveries/{delivery_id}',
  'POST /app/hook/deliveries/{delivery_id}/attempts',
  'GET /repos/{owner}/{repo}',
  'GET /repos/{owner}/{repo}/installation',
  'GET /repos/{owner}/{repo}/hooks',
  'POST /repos/{owner}/{repo}/hooks',
  'GET /repos/{owner}/{repo}/hooks/{hook_id}',
  'PATCH /repos/{owner}/{repo}/hooks/{hook_id}',
  'DELETE /repos/{owner}/{repo}/hooks/{hook_id}',
  'POST /repos/{owner}/{repo}/hooks/{hook_id}/pings',
  'GET /repos/{owner}/{repo}/hooks/{hook_id}/deliveries',
  'GET /repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}',
  'POST /repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}/attempts',
  'GET /repos/{owner}/{repo}/pulls',
  'POST /repos/{owner}/{repo}/pulls',
  'GET /repos/{owner}/{repo}/pulls/{pull_number}',
  'PATCH /repos/{owner}/{repo}/pulls/{pull_number}',
  'GET /repos/{owner}/{repo}/pulls/{pull_number}/files',
  'GET /repos/{owner}/{repo}/pulls/{pull_number}/commits',
  'PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge',
  'GET /repos/{owner}/{repo}/branches',
  'GET /repos/{owner}/{repo}/branches/{branch}',
  'GET /repos/{owner}/{repo}/git/ref/{ref}',
  'GET /repos/{owner}/{repo}/git/matching-refs/{ref}',
  'POST /repos/{owner}/{repo}/git/refs',
  'PATCH /repos/{owner}/{repo}/git/refs/{ref}',
  'DELETE /repos/{owner}/{repo}/git/refs/{ref}',
  'GET /repos/{owner}/{repo}/contents/{path}',
  'PUT /repos/{owner}/{repo}/contents/{path}',
  'GET /repos/{owner}/{repo}/commits',
  'GET /repos/{owner}/{repo}/commits/{ref}',
  'GET /repos/{owner}/{repo}/commits/{ref}/status',
  'GET /repos/{owner}/{repo}/commits/{ref}/statuses',
  'GET /repos/{owner}/{repo}/commits/{ref}/check-runs',
  'GET /repos/{owner}/{repo}/compare/{basehead}',
  'GET /repos/{owner}/{repo}/issues/{issue_number}',
  'GET /repos/{owner}/{repo}/issues/{issue_number}/comments',
  'POST /repos/{owner}/{repo}/issues/{issue_number}/comments',
  'POST /repos/{owner}/{repo}/issues/{issue_number}/labels',
  'DELETE /repos/{owner}/{repo}/issues/{issue_number}/labels/{name}',
  'GET /users/{username}',
  'GET /repos/{owner}/{repo}/issues/comments',
  'GET /repos/{owner}/{repo}/issues/comments/{comment_id}',
  'PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}',
  'DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}',
  'POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions',
  'POST /repos/{owner}/{repo}/check-runs',
  'GET /repos/{owner}/{repo}/check-runs/{check_run_id}',
  'PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}',
  'POST /repos/{owner}/{repo}/statuses/{sha}',
  'GET /repos/{owner}/{repo}/deployments',
  'POST /repos/{owner}/{repo}/deployments',
  'GET /repos/{owner}/{repo}/deployments/{deployment_id}',
  'DELETE /repos/{owner}/{repo}/deployments/{deployment_id}',
  'GET /repos/{owner}/{repo}/deployments/{deployment_id}/statuses',
  'POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses',
  'GET /repos/{owner}/{repo}/deployments/{deployment_id}/statuses/{status_id}',
  'GET /repos/{owner}/{repo}/collaborators/{username}/permission',
];

// Only the payloads that the sandbox sends; used by its tests, so that it does not lie about GitHub's shape either.
const WEBHOOKS = [
  'ping',
  'pull-request-opened',
  'pull-request-synchronize',
  'pull-request-closed',
  'pull-request-labeled',
  'issue-comment-created',
  'push',
  'delete',
  'create',
];

// The description wants an installation's account to be a person and an enterprise at once here; elsewhere it does not.
const CORRECTED = {
  'apps/list-installations': { type: 'array', items: { $ref: '#/components/schemas/installation' } },
};

// Prose and samples: they make up most of the bytes and no validator reads them.
const DROPPED_KEYS = new Set(['description', 'example', 'examples', 'title', 'externalDocs', 'deprecated']);

/** OpenAPI 3.0 → JSON Schema: `nullable` becomes a union with null, references point into the document `github`. */
function toJsonSchema(node, used) {
  if (Array.isArray(node)) return node.map((item) => toJsonSchema(item, used));
  if (node === null || typeof node !== 'object') return node;
  if (typeof node.$ref === 'string') {
    const name = node.$ref.split('/').pop();
    used.add(name);
    return { $ref: `github#/definitions/${name}` };
  }
  const schema = {};
  for (const [key, value] of Object.entries(node)) {
    if (key === 'properties' || key === 'patternProperties') schema[key] = mapValues(value, used);
    else if (key === 'enum' || key === 'required' || key === 'const' || key === 'default')
      schema[key] = value;
    else if (!DROPPED_KEYS.has(key) && !key.startsWith('x-')) schema[key] = toJsonSchema(value, used);
  }
  delete schema.default;
  delete schema.readOnly;
  if (schema.nullable === undefined) return schema;
  const { nullable, ...rest } = schema;
  return nullable ? { anyOf: [rest, { type: 'null' }] } : rest;
}

function mapValues(properties, used) {
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => [name, toJsonSchema(value, used)]),
  );
}

function parameter(spec, raw, used) {
  const resolved = raw.$ref ? spec.components.parameters[raw.$ref.split('/').pop()] : raw;
  return {
    name: resolved.name,
    in: resolved.in,
    required: resolved.required === true,
    schema: toJsonSchema(resolved.schema ?? {}, used),
  };
}

function successOf(spec, operation, used) {
  const codes = Object.keys(operation.responses)
    .filter((code) => /^2\d\d$/.test(code))
    .sort();
  return codes.map((code) => {
    const raw = operation.responses[code];
    const response = raw.$ref ? spec.components.responses[raw.$ref.split('/').pop()] : raw;
    const schema = CORRECTED[operation.operationId] ?? response.content?.['application/json']?.schema;
    return { status: Number(code), ...(schema ? { schema: toJsonSchema(schema, used) } : {}) };
  });
}

function operationOf(spec, line, used) {
  const [method, path] = line.split(' ');
  const item = spec.paths[path];
  const operation = item?.[method.toLowerCase()];
  if (!operation) throw new Error(`${line} is not in this edition of the specification`);
  const body = operation.requestBody;
  const bodySchema = body?.content?.['application/json']?.schema;
  return {
    method,
    path,
    operationId: operation.operationId,
    parameters: [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((raw) =>
      parameter(spec, raw, used),
    ),
    ...(bodySchema
      ? { requestBody: { required: body.required === true, schema: toJsonSchema(bodySchema, used) } }
      : {}),
    responses: successOf(spec, operation, used),
  };
}

function webhookOf(spec, name, used) {
  const webhooks = spec.webhooks ?? spec['x-webhooks'];
  const schema = webhooks[name].post.requestBody.content['application/json'].schema;
  return { name, schema: toJsonSchema(schema, used) };
}

function definitionsOf(spec, used) {
  const definitions = {};
  for (let next = [...used]; next.length > 0; next = [...used].filter((name) => !(name in definitions))) {
    for (const name of next) definitions[name] = toJsonSchema(spec.components.schemas[name], used);
  }
  return Object.fromEntries(Object.entries(definitions).sort(([a], [b]) => a.localeCompare(b)));
}

/** The description forgets, outside of webhooks, that a head's repository is null once the fork is deleted. */
function allowDeletedFork(node) {
  if (node === null || typeof node !== 'object') return;
  const head = node.properties?.head?.properties;
  if (head?.label && head.repo && !head.repo.anyOf) head.repo = { anyOf: [head.repo, { type: 'null' }] };
  for (const value of Object.values(node)) allowDeletedFork(value);
}

const packageFolder = process.argv[2];
if (!packageFolder)
  throw new Error('Usage: node extract.mjs <folder of the unpacked @octokit/openapi package>');
const { version } = JSON.parse(await readFile(`${packageFolder}/package.json`, 'utf8'));
const spec = JSON.parse(await readFile(`${packageFolder}/generated/api.github.com.json`, 'utf8'));
const used = new Set();
const operations = OPERATIONS.map((line) => operationOf(spec, line, used));
const webhooks = WEBHOOKS.map((name) => webhookOf(spec, name, used));
const output = {
  source: `@octokit/openapi ${version}`,
  license: 'MIT',
  operations,
  webhooks,
  definitions: definitionsOf(spec, used),
};
allowDeletedFork(output);
await writeFile(new URL('operations.json', import.meta.url), `${JSON.stringify(output)}\n`);
