import { testToolchain } from '@bough/testkit/test-toolchain';

/** The series (`10.11`) of a server that can be had here: installed, unpacked before, or from Debian's sources now. */
export async function findSeries(
  tool: string,
): Promise<{ series: string; why?: undefined } | { series: ''; why: string }> {
  const toolchain = await testToolchain();
  return toolchain.resolve(tool).then(
    ({ version }) => ({ series: version.split('.').slice(0, 2).join('.') }),
    (error: Error) => ({ series: '' as const, why: error.message }),
  );
}

export function skipNote(why: string | undefined): string {
  return why === undefined ? '' : ` - SKIPPED: ${why}`;
}
