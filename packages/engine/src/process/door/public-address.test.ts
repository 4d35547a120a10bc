import { expect, test } from 'vitest';
import { isPublicAddress } from './public-address.ts';

const none = new Set<string>();

test.each(['1.1.1.1', '93.184.216.34', '172.15.255.255', '172.32.0.1', '2606:4700::1111', '2a00:1450::8'])(
  '%s is public',
  (address) => expect(isPublicAddress(address, none)).toBe(true),
);

test.each([
  ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '169.254.169.254', '172.16.0.1', '172.31.255.255'],
  ...['192.168.0.1', '198.18.0.1', '224.0.0.1', '255.255.255.255', '168.63.129.16'],
  ...[
    '::',
    '::1',
    '::ffff:8.8.8.8',
    '::ffff:10.0.0.1',
    '64:ff9b::a00:1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
  ],
  ...['ff02::1', '2002:a00:1::', '2001::1', '2001:db8::1', 'example.com', '', '10.0.0', '0x7f000001'],
])('%s is not', (address) => expect(isPublicAddress(address, none)).toBe(false));

test('an address of this machine is not, however public', () => {
  expect(isPublicAddress('1.1.1.1', new Set(['1.1.1.1']))).toBe(false);
});
