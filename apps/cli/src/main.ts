import { BoughError } from '@bough/domain/bough-error';
import { VERSION } from '@bough/domain/version';
import { Command, CommanderError } from 'commander';
import { readCliConfig } from './config.ts';
import { createOutput, describeError, EXIT } from './output.ts';
import { createVerbContext, type VerbContext } from './verb.ts';
import { backupVerbs } from './verbs/backup.ts';
import { branchVerbs } from './verbs/branch.ts';
import { checkVerb } from './verbs/check.ts';
import { dataVerbs } from './verbs/data.ts';
import { deliveryVerbs } from './verbs/delivery.ts';
import { demoVerb } from './verbs/demo.ts';
import { doctorVerb } from './verbs/doctor.ts';
import { downVerb } from './verbs/down.ts';
import { environmentVerbs } from './verbs/environment.ts';
import { eventsVerb } from './verbs/events.ts';
import { migrateVerb } from './verbs/migrate.ts';
import { projectVerbs } from './verbs/project.ts';
import { variableVerbs } from './verbs/secret.ts';
import { serveVerb } from './verbs/serve.ts';
import { storageVerbs } from './verbs/storage.ts';
import { whyVerb } from './verbs/why.ts';

// Whoever read it has gone: `bough events | head`, or a terminal that was closed while the demo removes its things.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

const program = new Command('bough')
  .description('an environment of its own for every pull request')
  .version(VERSION)
  .option('--json', 'for scripts')
  .exitOverride()
  .configureHelp({ sortSubcommands: true })
  .showHelpAfterError('(--help says what there is)');
const output = createOutput({
  json: process.argv.includes('--json'),
  write: (text) => process.stdout.write(text),
});

try {
  addVerbs(createVerbContext(readCliConfig(process.env), output));
  await program.parseAsync(process.argv.filter((argument) => argument !== '--json'));
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? EXIT.fine : EXIT.usage;
  } else {
    process.stderr.write(`${describeError(error)}\n`);
    process.exitCode = error instanceof BoughError && error.code === 'usage' ? EXIT.usage : EXIT.failed;
  }
}

function addVerbs(context: VerbContext): void {
  serveVerb(program, context);
  demoVerb(program, context);
  doctorVerb(program, context);
  checkVerb(program, context);
  downVerb(program, context);
  migrateVerb(program, context);
  backupVerbs(program, context);
  projectVerbs(program, context);
  environmentVerbs(program, context);
  branchVerbs(program, context);
  whyVerb(program, context);
  eventsVerb(program, context);
  dataVerbs(program, context);
  storageVerbs(program, context);
  deliveryVerbs(program, context);
  variableVerbs(program, context, 'secret');
  variableVerbs(program, context, 'variable');
}
