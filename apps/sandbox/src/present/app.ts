import { installationOf, userOf, type World } from '../world.ts';
import { nodeId, presentUser } from './user.ts';

const PERMISSIONS = {
  checks: 'write',
  contents: 'write',
  deployments: 'write',
  issues: 'write',
  metadata: 'read',
  pull_requests: 'write',
  statuses: 'write',
};
const EVENTS = ['check_run', 'create', 'delete', 'issue_comment', 'pull_request', 'push', 'repository'];

export function presentApp(world: World) {
  const { app } = world.state;
  return {
    id: app.id,
    client_id: `Iv1.${app.slug}`,
    slug: app.slug,
    node_id: nodeId('App', app.id),
    owner: presentUser(world, world.tokenUser),
    name: 'Bough sandbox',
    description: '',
    external_url: world.url,
    html_url: `${world.url}/apps/${app.slug}`,
    created_at: '2024-01-01T00:00:00Z',
    updated_at: '2024-01-01T00:00:00Z',
    permissions: PERMISSIONS,
    events: EVENTS,
    installations_count: Object.keys(app.installations).length,
  };
}

export function presentInstallation(world: World, owner: string) {
  const id = installationOf(world, owner);
  const account = presentUser(world, owner);
  return {
    id,
    account,
    repository_selection: 'all',
    access_tokens_url: `${world.apiUrl}/app/installations/${id}/access_tokens`,
    repositories_url: `${world.apiUrl}/installation/repositories`,
    html_url: `${world.url}/settings/installations/${id}`,
    app_id: world.state.app.id,
    app_slug: world.state.app.slug,
    target_id: account.id,
    target_type: userOf(world, owner).type,
    permissions: PERMISSIONS,
    events: EVENTS,
    created_at: '2024-01-01T00:00:00Z',
    updated_at: '2024-01-01T00:00:00Z',
    single_file_name: null,
    has_multiple_single_files: false,
    single_file_paths: [],
    suspended_by: null,
    suspended_at: null,
  };
}

export { EVENTS as appEvents, PERMISSIONS as appPermissions };
