/** The gateway's whole knowledge: rebuilt from the store, swapped in one go, kept on disk. */
export interface RouteTable {
  readonly routes: readonly Route[];
  readonly writtenAt: string;
}

/** One host and path prefix. The longest matching prefix wins. */
export interface Route {
  /** Lower case, without port: `pr-7--shop.localhost`. */
  readonly host: string;
  /** Starts and ends with a slash. */
  readonly path: string;
  readonly environmentId: string;
  readonly environmentSlug: string;
  readonly projectSlug: string;
  readonly subject: string;
  /** Deployment that the target belongs to; sent back as `x-bough-deployment`. */
  readonly deploymentId: string | null;
  readonly state: RouteState;
  readonly target: { readonly host: string; readonly port: number } | null;
  readonly redirect: { readonly to: string; readonly code: 301 | 302 | 307 | 308 } | null;
  readonly access: RouteAccess;
  readonly indexable: boolean;
  /** Page that explains what is going on: the environment's log page. */
  readonly statusUrl: string;
}

/**
 * serving: answer. swapping: hold requests, a new release is about to take over. starting: the first release is being
 * made. asleep: no process. failed: nothing serves and the last deployment failed.
 */
export type RouteState = 'serving' | 'swapping' | 'starting' | 'asleep' | 'failed';

export type RouteAccess =
  | { readonly kind: 'open' }
  /** `passwordHash`: hex sha256 of the password; passwords are generated, 128 random bits. */
  | { readonly kind: 'basic'; readonly username: string; readonly passwordHash: string }
  /** A link signed for this environment and epoch (access-link.ts), exchanged for a cookie. */
  | { readonly kind: 'link'; readonly epoch: number };
