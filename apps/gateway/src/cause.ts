import type { Route } from '@bough/domain/route';

/** Why the gateway answers itself, and what it says then. The one place that maps causes to statuses. */
export interface CausePage {
  readonly status: number;
  readonly title: string;
  readonly message: (route: Route | null) => string;
  readonly hint: string;
  /** Seconds until another try makes sense. */
  readonly retryAfter?: number;
  /** Browsers ask again by themselves after `retryAfter`. */
  readonly refresh?: boolean;
  /** Show the link to the environment's own page. */
  readonly linksStatus?: boolean;
}

const named = (route: Route | null): string =>
  route === null ? 'This environment' : `The environment of ${route.subject} (${route.projectSlug})`;

export const causes = {
  'bad-host': {
    status: 400,
    title: 'Which host?',
    message: () => 'The request does not name exactly one valid host.',
    hint: 'Send one Host header with the name of the environment, as in its URL.',
  },
  'bad-request': {
    status: 400,
    title: 'Not a valid request',
    message: () => 'The bytes that arrived are not a valid HTTP request.',
    hint: 'Check the client, or the proxy in front of the gateway.',
  },
  'headers-too-large': {
    status: 431,
    title: 'Headers too large',
    message: () => 'The headers of this request are larger than the gateway accepts.',
    hint: 'Most often cookies have piled up: delete those of this site and try again.',
  },
  'access-required': {
    status: 401,
    title: 'Password required',
    message: () => 'This environment is closed to the public.',
    hint: 'Sign in with the user name and password that `bough env show` prints.',
  },
  'link-required': {
    status: 403,
    title: 'A link is needed',
    message: () => 'This environment is opened by a signed link, and this address has none that fits.',
    hint: 'Take the link in the pull request’s comment, or ask somebody who runs Bough for one: `bough env url <environment>`.',
  },
  'link-expired': {
    status: 403,
    title: 'The link has expired',
    message: () => 'The signed link that opened this environment is too old.',
    hint: 'The pull request’s comment has a newer one where its repository is private; `bough env url <environment>` makes one.',
  },
  'too-many-attempts': {
    status: 429,
    title: 'Too many wrong passwords',
    message: () => 'Too many wrong passwords came from your address.',
    hint: 'Wait a minute, then sign in with what `bough env show` prints.',
    retryAfter: 60,
  },
  'unknown-host': {
    status: 404,
    title: 'No environment here',
    message: () => 'No environment answers at this address.',
    hint: 'It may have been removed after its pull request was closed; the pull request has the current link.',
  },
  'unknown-path': {
    status: 404,
    title: 'No route for this path',
    message: () => 'This environment has no route for this path.',
    hint: 'Add a route for it to the manifest, or start at the URL that the pull request shows.',
  },
  'reserved-path': {
    status: 404,
    title: 'Reserved path',
    message: () => 'Paths under /.well-known/bough/ belong to the gateway.',
    hint: 'Serve this from another path of the app.',
  },
  'no-table': {
    status: 503,
    title: 'The gateway has just been started',
    message: () => 'The gateway has no routing table yet, so it cannot tell whether an environment is here.',
    hint: 'If this stays, check that the gateway reaches the database (`bough doctor`).',
    retryAfter: 3,
    refresh: true,
  },
  starting: {
    status: 503,
    title: 'Being prepared',
    message: (route) => `${named(route)} is being prepared: its first release is not up yet.`,
    hint: 'This page asks again by itself; the log shows how far it is.',
    retryAfter: 3,
    refresh: true,
    linksStatus: true,
  },
  'swap-timeout': {
    status: 503,
    title: 'The new release takes longer',
    message: (route) =>
      `${named(route)} is switching to a new release, and that takes longer than a request is held.`,
    hint: 'Try again in a moment; the log shows what it waits for.',
    retryAfter: 5,
    refresh: true,
    linksStatus: true,
  },
  'too-many-held': {
    status: 503,
    title: 'Too many requests are waiting',
    message: (route) => `${named(route)} is not ready to answer, and too many requests wait for it already.`,
    hint: 'Try again in a moment.',
    retryAfter: 2,
    linksStatus: true,
  },
  asleep: {
    status: 503,
    title: 'Asleep',
    message: (route) => `${named(route)} is asleep: nothing of it is running.`,
    hint: 'A visit of a person wakes it; crawlers, link previews and prefetches do not. So does `bough env wake`.',
    retryAfter: 60,
    linksStatus: true,
  },
  waking: {
    status: 503,
    title: 'Waking up',
    message: (route) => `${named(route)} was asleep and is being started for you.`,
    hint: 'This page asks again by itself; the log shows what it waits for.',
    retryAfter: 2,
    refresh: true,
    linksStatus: true,
  },
  failed: {
    status: 503,
    title: 'The deployment failed',
    message: (route) =>
      `The last deployment of ${route === null ? 'this environment' : `${route.subject} (${route.projectSlug})`} failed and no earlier release is running.`,
    hint: 'The log shows the step that failed and what it printed; fix it and push.',
    linksStatus: true,
  },
  'upstream-refused': {
    status: 502,
    title: 'The app does not answer',
    message: (route) => `${named(route)} is deployed, but its app accepts no connections.`,
    hint: 'It has probably crashed or does not listen on $PORT; look at its log.',
    linksStatus: true,
  },
  'upstream-timeout': {
    status: 504,
    title: 'The app takes too long',
    message: (route) => `${named(route)}: the app took the request but did not answer in time.`,
    hint: 'Look at its log for what it was doing.',
    linksStatus: true,
  },
  'upstream-reset': {
    status: 502,
    title: 'The app hung up',
    message: (route) => `${named(route)}: the app closed the connection before it answered.`,
    hint: 'It has probably crashed while it handled this request; look at its log.',
    linksStatus: true,
  },
  'upstream-not-http': {
    status: 502,
    title: 'The app does not speak HTTP',
    message: (route) => `${named(route)}: what the app answered is not valid HTTP.`,
    hint: 'Check that what listens on $PORT is a plain HTTP server (not TLS, not a database).',
    linksStatus: true,
  },
  'client-timeout': {
    status: 408,
    title: 'The upload stopped',
    message: () => 'The rest of the request did not arrive in time.',
    hint: 'Send it again; check the connection if it happens often.',
  },
  'gateway-closing': {
    status: 503,
    title: 'The gateway restarts',
    message: () => 'The gateway is being restarted.',
    hint: 'Try again in a moment.',
    retryAfter: 2,
    refresh: true,
  },
  'gateway-error': {
    status: 500,
    title: 'The gateway made a mistake',
    message: () => 'The gateway failed while it handled this request. The app has not been at fault.',
    hint: 'The gateway’s log has the details; please report it.',
  },
} satisfies Record<string, CausePage>;

export type Cause = keyof typeof causes;
