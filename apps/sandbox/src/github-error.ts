/** An answer that GitHub would give instead of the wanted one. `body.message` is GitHub's own wording. */
export class GithubError extends Error {
  readonly status: number;
  readonly errors: unknown[] | undefined;
  readonly headers: Record<string, string>;

  constructor(
    status: number,
    message: string,
    more: { errors?: unknown[]; headers?: Record<string, string> } = {},
  ) {
    super(message);
    this.name = 'GithubError';
    this.status = status;
    this.errors = more.errors;
    this.headers = more.headers ?? {};
  }

  get body(): Record<string, unknown> {
    return {
      message: this.message,
      ...(this.errors ? { errors: this.errors } : {}),
      documentation_url: 'https://docs.github.com/rest',
      status: String(this.status),
    };
  }
}

export function notFound(): GithubError {
  return new GithubError(404, 'Not Found');
}

/** GitHub's 422 for a value that has the right type but cannot be. */
export function invalid(resource: string, field: string, code: string, message?: string): GithubError {
  return new GithubError(422, 'Validation Failed', {
    errors: [{ resource, field, code, ...(message ? { message } : {}) }],
  });
}
