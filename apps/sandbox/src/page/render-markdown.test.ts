import { describe, expect, test } from 'vitest';
import { renderMarkdown } from './render-markdown.ts';

describe('renderMarkdown', () => {
  test('hidden markers vanish, details and tables stay', () => {
    const text =
      '<!-- bough:1:pull/7 -->\n\n<details><summary>Log</summary>\n\n| a | b |\n| - | - |\n| 1 | 2 |\n\n</details>\n';
    const shown = renderMarkdown(text);
    expect(shown).not.toContain('bough');
    expect(shown).toContain('<details><summary>Log</summary>');
    expect(shown).toContain('<td>1</td>');
  });

  test.each([
    ['<script>alert(1)</script>', '<script'],
    ['<img src=x onerror=alert(1)>', 'onerror=alert(1)>'],
    ['<a href="javascript:alert(1)">x</a>', 'javascript:'],
    ['[x](javascript:alert(1))', 'href="javascript'],
    ['<iframe src="http://x"></iframe>', '<iframe'],
    ['<!-- open <b onclick=x>', 'onclick'],
    ['a <svg/onload=alert(1)> b', '<svg'],
    ['<details ontoggle="alert(1)" open>x</details>', 'ontoggle'],
  ])('%s does no harm', (text, forbidden) => {
    expect(renderMarkdown(text)).not.toContain(forbidden);
  });

  test('links and pictures on the web are kept', () => {
    expect(renderMarkdown('<a href="http://pr-1.localhost:8080/">see</a>')).toContain(
      '<a href="http://pr-1.localhost:8080/">',
    );
    expect(renderMarkdown('https://example.com')).toContain('<a href="https://example.com">');
  });
});
