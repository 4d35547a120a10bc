import { isClaimRefused } from '../endpoint-login.ts';
import type { Address, Adoption, ServiceDeclaration } from '../service.ts';
import { waitUntilReady } from '../wait-until-ready.ts';
import { mariadbClaim } from './claim.ts';
import { mariadbProvision } from './provision.ts';
import { mariadbReady } from './ready.ts';

/** One after the other: beside the start of a server of this kind, connections cost nothing. */
export async function mariadbAdopt(
  declaration: ServiceDeclaration,
  address: Address,
  { from, to, signal }: Adoption,
): Promise<{ version: string }> {
  await waitUntilReady(() => mariadbClaim(address, from, to), isClaimRefused, signal);
  signal.throwIfAborted();
  await mariadbProvision(declaration, address, to);
  return mariadbReady(address, to, signal);
}
