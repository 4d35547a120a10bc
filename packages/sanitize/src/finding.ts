/** Why data may not be cloned, in words, without any value of it. */
export interface Finding {
  readonly code:
    | 'undecided'
    | 'not-maskable'
    | 'rule-unused'
    | 'foreign-key'
    | 'not-unique'
    | 'too-short'
    | 'large-objects'
    | 'raw-value'
    | 'canary'
    | 'counts'
    | 'nothing-scanned'
    | 'not-readable'
    | 'too-large';
  /** `customers.email`, `audit.events.payload`, `reports/orders`. */
  readonly where: string;
  readonly message: string;
  /** Lines for below `data: sanitize:`, ready to paste. */
  readonly paste: string | null;
}

/** The lines to paste as one, for a sentence: `tables: { customers: { email: email } }`. */
export function pasteInline(paste: string): string {
  const lines = paste.split('\n').map((line) => line.trim());
  const opened = lines.length - 1;
  return `${lines.join(' { ')}${' }'.repeat(opened)}`;
}
