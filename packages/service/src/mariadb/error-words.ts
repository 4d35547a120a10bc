/** Errors whose words name things, not values. */
const namesThings = new Set([
  1044, 1049, 1050, 1054, 1115, 1142, 1146, 1193, 1227, 1231, 1273, 1286, 1305, 1370, 1419, 1813,
]);
const signalled = 1644;

/** What the server said but for values. What `signal` says is free text; 45000 is the state that it is meant to carry. */
export function errorWords(of: { errno: number; message: string; state: unknown }): string {
  if (of.errno === signalled || of.state === '45000') return "the dump's own code signalled an error";
  return (namesThings.has(of.errno) ? of.message : of.message.replace(/['"`].*/s, '…')).slice(0, 300);
}
