/**
 * Where a redirecting route sends a request: what follows the route's path, query included, is put behind `to`.
 * Slashes and backslashes at its start are dropped, or `//other.example` behind `/` would lead off the site.
 */
export function redirectLocation(to: string, url: string, routePath: string): string {
  const rest = url.startsWith(routePath) ? url.slice(routePath.length) : url.slice(routePath.length - 1);
  const cut = rest.search(/[?#]/);
  const path = (cut === -1 ? rest : rest.slice(0, cut)).replace(/^[/\\]+/, '');
  const query = cut === -1 ? '' : rest.slice(cut);
  if (path === '') return to + query;
  return `${to}${to.endsWith('/') ? '' : '/'}${path}${query}`;
}
