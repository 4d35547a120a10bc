#!/usr/bin/env node
// TypeScript is run as it is (docs/decisions/0001-run-typescript.md): the loader first, then the program.
import { register } from 'tsx/esm/api';

register();
await import('../src/main.ts');
