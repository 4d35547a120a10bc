/** `http://*.localhost:8080` and a route's host → the address as a visitor types it. */
export function routeUrl(previewUrl: string, route: { host: string; path: string }): string {
  const pattern = new URL(previewUrl.replace('*.', ''));
  return `${pattern.protocol}//${route.host}${pattern.port === '' ? '' : `:${pattern.port}`}${route.path}`;
}
