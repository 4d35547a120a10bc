import MarkdownIt from 'markdown-it';

// What GitHub lets through of raw HTML, without attributes except an address and an alignment. Anything else is shown
// as the text that it is, so that a comment cannot change the page around it.
const TAGS = new Set(
  'a b blockquote br code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i img ins kbd li ol p picture pre q s samp small span strike strong sub summary sup table tbody td tfoot th thead tr tt ul var'.split(
    ' ',
  ),
);
const HTML_PART = /<!--[\s\S]*?(?:-->|$)|<(\/?)([a-zA-Z][a-zA-Z0-9]*)((?:"[^"]*"|'[^']*'|[^'">])*)>/g;

const markdown = new MarkdownIt({ html: true, linkify: true, breaks: true });
markdown.renderer.rules.html_block = (tokens, index) => sanitizeHtml(tokens[index]?.content ?? '');
markdown.renderer.rules.html_inline = (tokens, index) => sanitizeHtml(tokens[index]?.content ?? '');

/** A comment's Markdown as HTML that is safe inside our page. HTML comments (hidden markers) vanish. */
export function renderMarkdown(text: string): string {
  return markdown.render(text);
}

export function escapeHtml(text: string): string {
  return markdown.utils.escapeHtml(text);
}

function sanitizeHtml(html: string): string {
  let result = '';
  let end = 0;
  for (const match of html.matchAll(HTML_PART)) {
    result += escapeHtml(html.slice(end, match.index));
    result += match[0].startsWith('<!--') ? '' : sanitizeTag(match);
    end = match.index + match[0].length;
  }
  return result + escapeHtml(html.slice(end));
}

function sanitizeTag(match: RegExpMatchArray): string {
  const name = (match[2] ?? '').toLowerCase();
  if (!TAGS.has(name)) return escapeHtml(match[0]);
  if (match[1]) return `</${name}>`;
  const attributes = match[3] ?? '';
  const href = name === 'a' ? address(attributes, 'href') : '';
  const source = name === 'img' ? address(attributes, 'src') : '';
  const align = /\balign\s*=\s*["']?(left|right|center)\b/i.exec(attributes)?.[1];
  const open = name === 'details' && /\bopen\b/i.test(attributes) ? ' open' : '';
  return `<${name}${href}${source}${align ? ` align="${align}"` : ''}${open}>`;
}

function address(attributes: string, name: string): string {
  const match = new RegExp(`\\b${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)')`, 'i').exec(attributes);
  const value = match?.[1] ?? match?.[2] ?? '';
  return isWebAddress(value) ? ` ${name}="${escapeHtml(value)}"` : '';
}

/** The only addresses that may become links: `javascript:` and friends stay text. */
export function isWebAddress(value: string): boolean {
  return /^https?:\/\//i.test(value) && URL.canParse(value);
}
