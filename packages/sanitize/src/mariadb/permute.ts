import { mac } from './mask-text.ts';

/** A number of `[1, size)` to another one, none to the same; 0 stays, for it often means "none". */
export function permute(key: Buffer, domain: string, value: bigint, size: bigint): bigint {
  if (value === 0n) return 0n;
  if (value < 0n || value >= size)
    throw new Error('permuted-id cannot mask a number that is negative or out of range');
  const half = BigInt(Math.ceil((size.toString(2).length - 1) / 2));
  const mask = (1n << half) - 1n;
  let current = value;
  do {
    let left = current >> half;
    let right = current & mask;
    for (let round = 1; round <= 6; round += 1) {
      const noise = BigInt(`0x${mac(key, `${domain} ${round}`, String(right)).toString('hex').slice(0, 15)}`);
      [left, right] = [right, left ^ (noise & mask)];
    }
    current = (left << half) | right;
  } while (current === 0n || current >= size);
  return current;
}

/** The next power of two above the largest number in use; numbers go on from there. */
export function permutationSize(largest: bigint): bigint {
  let size = 16n;
  while (size <= largest) size *= 2n;
  return size;
}
