import { describe, expect, test } from 'vitest';
import { validateCall } from './validate-call.ts';

describe('validateCall', () => {
  test('a conforming call names its operation', () => {
    const call = { method: 'post', path: '/repos/acme/shop/issues/7/comments', body: { body: 'Ready.' } };
    expect(validateCall(call)).toEqual({ operationId: 'issues/create-comment', ignored: [] });
  });

  test('a missing field, a wrong type and a word outside the enumeration are problems', () => {
    const at = (path: string, body: unknown) => validateCall({ method: 'POST', path, body }).problems;
    expect(at('/repos/acme/shop/issues/7/comments', {})).toEqual([
      "body: must have required property 'body'",
    ]);
    expect(at('/repos/acme/shop/issues/7/comments', { body: 7 })).toEqual(['body/body: must be string']);
    expect(at('/repos/acme/shop/deployments/3/statuses', { state: 'ready' })?.[0]).toContain('in_progress');
    expect(at('/repos/acme/shop/deployments', undefined)).toEqual(['body: is required']);
  });

  test('query and path parameters arrive as text and are still typed', () => {
    const path = '/repos/acme/shop/pulls';
    expect(
      validateCall({ method: 'GET', path, query: { per_page: '100', state: 'open' } }).problems,
    ).toBeUndefined();
    expect(validateCall({ method: 'GET', path, query: { state: 'opened' } }).problems?.[0]).toContain(
      'query.state',
    );
    expect(validateCall({ method: 'GET', path: `${path}/seven` }).problems?.[0]).toContain(
      'path.pull_number',
    );
  });

  test('fields that GitHub would silently drop are named', () => {
    const body = { ref: 'main', auto_inactiv: false };
    const call = validateCall({
      method: 'POST',
      path: '/repos/acme/shop/deployments',
      body,
      query: { v: 1 },
    });
    expect(call).toEqual({ operationId: 'repos/create-deployment', ignored: ['v', 'auto_inactiv'] });
  });

  test('a ref with slashes, encoded or not, and the by-id form are known', () => {
    const idOf = (path: string) => validateCall({ method: 'GET', path }).operationId;
    expect(idOf('/repos/acme/shop/commits/heads/a/b/status')).toBe('repos/get-combined-status-for-ref');
    expect(idOf('/repos/acme/shop/branches/feature%2Fx')).toBe('repos/get-branch');
    expect(idOf('/repositories/42')).toBe('repos/get');
    expect(idOf('/repos/acme/shop/stargazers')).toBeUndefined();
  });

  test('check runs: a completed one needs its conclusion', () => {
    const at = (body: unknown) => validateCall({ method: 'PATCH', path: '/repos/a/b/check-runs/1', body });
    expect(at({ status: 'in_progress' }).problems).toBeUndefined();
    expect(at({ status: 'completed' }).problems).toBeDefined();
  });
});
