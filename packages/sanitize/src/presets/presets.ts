import type { PresetName } from '@bough/manifest/sanitize-policy';
import { authjs } from './authjs.ts';
import { django } from './django.ts';
import { laravel } from './laravel.ts';
import { node } from './node.ts';
import type { Preset } from './preset.ts';
import { rails } from './rails.ts';
import { symfony } from './symfony.ts';
import { wordpress } from './wordpress.ts';

export const presets: Readonly<Record<PresetName, Preset>> = {
  ...{ rails, django, laravel, symfony, wordpress, authjs, node },
};
