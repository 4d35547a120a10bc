import { engineContract } from '../src/contract.ts';
import { createProcessWorld } from './process-world.ts';

engineContract('process', () => createProcessWorld());
engineContract('process, without control groups', () => createProcessWorld({ useControlGroups: false }));
