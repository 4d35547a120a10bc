import { escapeHtml } from './render-markdown.ts';

/** Markup that is known to be safe; everything else that `html` is given becomes text. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Fragment = Markup | string | number | null | undefined | false | readonly Fragment[];

export function html(parts: TemplateStringsArray, ...values: Fragment[]): Markup {
  return new Markup(parts.reduce((text, part, index) => text + show(values[index - 1]) + part));
}

function show(value: Fragment): string {
  if (value === null || value === undefined || value === false) return '';
  if (value instanceof Markup) return value.text;
  if (Array.isArray(value)) return value.map(show).join('');
  return escapeHtml(String(value));
}
