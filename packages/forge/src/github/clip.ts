/** Cuts a text to what the forge accepts, in characters, without splitting one; the end shows that it was cut. */
export function clip(text: string, lengthMax: number): string {
  const characters = Array.from(text);
  return characters.length <= lengthMax ? text : `${characters.slice(0, lengthMax - 1).join('')}…`;
}
