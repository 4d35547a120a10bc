import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { BoughError } from '@bough/domain/bough-error';

/** Whose `X-Forwarded-*` counts. */
export interface TrustedProxies {
  trusts(address: string): boolean;
  /** Address of the visitor: the first one, from the near end, that is not a trusted proxy. */
  clientAddress(request: IncomingMessage): string;
}

/** Takes addresses, networks in CIDR notation and the word `loopback`. */
export function trustedProxies(entries: readonly string[]): TrustedProxies {
  const list = new BlockList();
  for (const entry of entries.flatMap((word) => (word === 'loopback' ? ['127.0.0.0/8', '::1'] : [word]))) {
    addEntry(list, entry);
  }
  const trusts = (address: string) => {
    const version = isIP(address);
    return version !== 0 && list.check(address, version === 6 ? 'ipv6' : 'ipv4');
  };
  return {
    trusts,
    clientAddress(request) {
      let address = peerAddress(request);
      const forwarded = (request.headers['x-forwarded-for']?.toString() ?? '')
        .split(',')
        .map((part) => part.trim());
      while (trusts(address)) {
        const next = plainAddress(forwarded.pop() ?? '');
        if (isIP(next) === 0) return address;
        address = next;
      }
      return address;
    },
  };
}

/** IPv4 addresses of a dual-stack listener lose their `::ffff:`. */
export function peerAddress(request: IncomingMessage): string {
  return plainAddress(request.socket.remoteAddress ?? '');
}

function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '');
}

function addEntry(list: BlockList, entry: string): void {
  const [address = '', bits] = entry.split('/');
  const version = isIP(address);
  const widest = version === 6 ? 128 : 32;
  const prefix = bits === undefined ? widest : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
  if (version === 0 || prefix < 0 || prefix > widest) {
    throw new BoughError({
      code: 'config-invalid',
      message: `"${entry}" in BOUGH_TRUSTED_PROXIES is not an address.`,
      hint: 'Write addresses or networks such as 10.0.0.0/8, or the word loopback, separated by commas.',
    });
  }
  list.addSubnet(address, prefix, version === 6 ? 'ipv6' : 'ipv4');
}
