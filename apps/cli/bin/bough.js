#!/usr/bin/env node
// TypeScript is run as it is (docs/decisions/0001-run-typescript.md): the loader first, then the program.
// Without the loader's cache: it lies under /tmp by a foreseeable name, where another user could put code into it, stays
// behind, and saves nothing measurable. Also for the processes that this one starts.
process.env.TSX_DISABLE_CACHE ??= '1';
const { register } = await import('tsx/esm/api');

register();
await import('../src/main.ts');
