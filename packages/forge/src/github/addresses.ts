/** The host that is part of every identity: `api.github.com` is `github.com`, anything else is itself, port included. */
export function hostOf(apiUrl: string): string {
  const { host } = new URL(apiUrl);
  return host === 'api.github.com' ? 'github.com' : host;
}

/** Where git finds the repository: beside the API on Enterprise Server (`https://host/api/v3`), else on github.com. */
export function cloneUrlOf(apiUrl: string, repository: { owner: string; name: string }): string {
  const { protocol } = new URL(apiUrl);
  return `${protocol}//${hostOf(apiUrl)}/${encodeURIComponent(repository.owner)}/${encodeURIComponent(repository.name)}.git`;
}
