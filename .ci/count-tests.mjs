// Prints `N passed, N failed, N skipped` from vitest's JSON report and exits with the test command's code. A run that
// ended badly never counts as one without failures: a file that does not load is a failure, so is a crash, a type
// error, a formatting error, or a report that was never written. And a report with failures never exits 0.
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

const [path, code] = process.argv.slice(2);
const exitCode = Number(code);

function readReport() {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return { testResults: [] };
  }
}

/** An integration test may fail once (vitest.config.ts): that is said, so that it can be mended. */
function tellOfRetry(file, test) {
  const [reason = ''] = test.failureMessages[0].split('\n');
  process.stdout.write(
    `passed only at the second try: ${relative('.', file)} > ${test.fullName}: ${reason}\n`,
  );
}

const counts = { passed: 0, failed: 0, skipped: 0 };
for (const file of readReport().testResults) {
  for (const test of file.assertionResults) {
    if (test.status === 'passed') {
      counts.passed += 1;
      if (test.failureMessages.length > 0) tellOfRetry(file.name, test);
    } else if (test.status === 'failed') counts.failed += 1;
    else counts.skipped += 1;
  }
  const saidSo = file.assertionResults.some((test) => test.status === 'failed');
  if (file.status === 'failed' && !saidSo) counts.failed += 1;
}
if (exitCode !== 0 && counts.failed === 0) counts.failed = 1;
// Nothing passed although the command succeeded: the report is not there, so nobody knows.
if (exitCode === 0 && counts.passed === 0) counts.failed = Math.max(1, counts.failed);

process.stdout.write(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
process.exitCode = exitCode === 0 && counts.failed > 0 ? 1 : exitCode;
