/** The known word that was most likely meant, or undefined when none is near. */
export function suggest(word: string, known: readonly string[]): string | undefined {
  const farthest = Math.max(1, Math.floor(word.length / 3));
  let best: { word: string; distance: number } | undefined;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase().slice(0, 60), candidate.toLowerCase());
    if (distance <= farthest && (best === undefined || distance < best.distance)) {
      best = { word: candidate, distance };
    }
  }
  return best?.word;
}

/** `Did you mean "hooks"?`, or else the list of what is known. */
export function meant(word: string, known: readonly string[]): string {
  const near = suggest(word, known);
  if (near !== undefined) return `Did you mean "${near}"?`;
  if (known.length === 0) return 'There is none yet.';
  const shown = known.slice(0, 20).join(', ');
  return `Known here: ${shown}${known.length > 20 ? ', …' : ''}.`;
}

/** Levenshtein's distance in which swapping two neighbours costs 1, because that is the commonest slip. */
function editDistance(left: string, right: string): number {
  const rows: number[][] = [Array.from({ length: right.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number) => rows[row]?.[column] ?? Number.POSITIVE_INFINITY;
  for (let row = 1; row <= left.length; row += 1) {
    rows[row] = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const same = left[row - 1] === right[column - 1];
      let cost = Math.min(
        at(row - 1, column) + 1,
        at(row, column - 1) + 1,
        at(row - 1, column - 1) + (same ? 0 : 1),
      );
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (swapped) cost = Math.min(cost, at(row - 2, column - 2) + 1);
      rows[row]?.push(cost);
    }
  }
  return at(left.length, right.length);
}
