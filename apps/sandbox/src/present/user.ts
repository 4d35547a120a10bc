import type { User } from '../state.ts';
import { userOf, type World } from '../world.ts';

const PERSON_LINKS = {
  followers_url: '/followers',
  following_url: '/following{/other_user}',
  gists_url: '/gists{/gist_id}',
  starred_url: '/starred{/owner}{/repo}',
  subscriptions_url: '/subscriptions',
  organizations_url: '/orgs',
  repos_url: '/repos',
  events_url: '/events{/privacy}',
  received_events_url: '/received_events',
};

export function nodeId(kind: string, id: number): string {
  return Buffer.from(`${kind}:${id}`).toString('base64url');
}

export function presentUser(world: World, who: string | User) {
  const user = typeof who === 'string' ? userOf(world, who) : who;
  const url = `${world.apiUrl}/users/${encodeURIComponent(user.login)}`;
  return {
    login: user.login,
    id: user.id,
    node_id: nodeId('User', user.id),
    avatar_url: `${world.url}/_sandbox/avatars/${user.id}.svg`,
    gravatar_id: '',
    url,
    html_url: `${world.url}/${user.login}`,
    ...Object.fromEntries(Object.entries(PERSON_LINKS).map(([name, path]) => [name, `${url}${path}`])),
    type: user.type,
    site_admin: false,
    user_view_type: 'public',
  };
}

/** The longer form that `GET /user` and `GET /users/{name}` answer with. */
export function presentAccount(world: World, login: string) {
  return {
    ...presentUser(world, login),
    name: login,
    company: null,
    blog: '',
    location: null,
    email: null,
    hireable: null,
    bio: null,
    public_repos: world.state.repositories.filter((repository) => repository.owner === login).length,
    public_gists: 0,
    followers: 0,
    following: 0,
    created_at: '2024-01-01T00:00:00Z',
    updated_at: '2024-01-01T00:00:00Z',
  };
}
