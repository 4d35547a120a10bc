export { freePort } from '@bough/boot/free-port';
