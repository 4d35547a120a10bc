import { join } from 'node:path';
import { styleText } from 'node:util';
import { diagnose } from '@bough/boot/doctor';
import { embeddedPackageDirectories } from '@bough/boot/embedded-toolchain';
import { createToolchain } from '@bough/toolchain/toolchain';
import type { Command } from 'commander';
import { EXIT } from '../output.ts';
import type { VerbContext } from '../verb.ts';
import { cloningFindings } from './cloning-findings.ts';
import { readStorageStatus } from './storage.ts';

const SIGNS = {
  ok: styleText('green', '✔'),
  warning: styleText('yellow', '!'),
  problem: styleText('red', '✘'),
} as const;

export function doctorVerb(program: Command, context: VerbContext): void {
  program
    .command('doctor')
    .description(
      'what this machine has, what it lacks and what to do; exit code 3 when something promised will not work',
    )
    .action(async () => {
      const { home, environment } = context.config;
      const toolchain = createToolchain({
        home: join(home, 'toolchains'),
        env: environment,
        log: { info() {} },
        packageDirectories: embeddedPackageDirectories(),
      });
      const findings = [
        ...(await diagnose({
          home,
          toolchain,
          env: environment,
          redisUrl: environment.REDIS_URL,
          databaseUrl: environment.DATABASE_URL,
        })),
        ...cloningFindings(await readStorageStatus(context.config, toolchain)),
      ];
      context.output.result(findings, () =>
        findings
          .flatMap((finding) => [
            `${SIGNS[finding.status]} ${finding.name.padEnd(16)} ${finding.message}`,
            ...(finding.fix === undefined ? [] : [`  ${' '.repeat(16)} → ${finding.fix}`]),
          ])
          .join('\n'),
      );
      if (findings.some((finding) => finding.status === 'problem')) process.exitCode = EXIT.unwell;
    });
}
