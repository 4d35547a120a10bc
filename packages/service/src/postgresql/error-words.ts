const firstQuote = /["'].*/s;
const raised = "the dump's own code raised an exception";

/**
 * What the server said but for values. Data errors and bad syntax quote the dump, and a value may hold quotes itself, so
 * that all from the first quote on goes. What `raise` says is free text.
 */
export function errorWords(of: { code: string; message: string; routine: unknown }): string {
  if (of.code.startsWith('P0') || of.routine === 'exec_stmt_raise') return raised;
  const said = of.message.replace(/\s+/g, ' ');
  return (/^(?:22|42601)/.test(of.code) ? said.replace(firstQuote, '"…"') : said).slice(0, 300);
}

/** Only the line of pg_dump or pg_restore that says what is wrong: those behind it quote rows, and so does its own end. */
export function firstError(errors: string, secret: string): string {
  const lines = errors.split('\n').filter((text) => text.trim() !== '');
  const line = lines.find((text) => /error:|FATAL/.test(text)) ?? lines[0] ?? 'it ended without a word';
  const shown = (secret === '' ? line : line.replaceAll(secret, '[redacted]'))
    .replace(/^pg_(dump|restore): (error: )?/, '')
    .replace(/\s*Command was:.*$/, '');
  return withoutValues(shown, /^CONTEXT: .* at RAISE$/m.test(errors)).slice(0, 300);
}

function withoutValues(line: string, isRaised: boolean): string {
  const said = /\bERROR:\s*/.exec(line);
  if (said === null) return line;
  const begin = line.slice(0, said.index + said[0].length);
  return begin + (isRaised ? raised : line.slice(begin.length).replace(firstQuote, '"…"'));
}
