import { describe, expect, test } from 'vitest';
import { code, codeBlock, escapeMarkdown, prose } from './markdown.ts';

/** What GitHub looks at for mentions and references: text after Markdown, with entities and backslashes gone. */
function rendered(markdown: string): string {
  const entities: Record<string, string> = { lt: '<', gt: '>', amp: '&', '#35': '#', '#58': ':' };
  return markdown
    .replace(/\\([!-/:-@[-`{-~])/g, '$1')
    .replace(/&(#?\w+);/g, (whole, name: string) => entities[name] ?? whole);
}

describe('escapeMarkdown', () => {
  test.each(['@team', 'mail to a@example.com', '(@acme/core)', '**@team**'])('%j mentions nobody', (text) => {
    expect(rendered(escapeMarkdown(text))).not.toMatch(/@[a-z0-9]/i);
  });

  test.each(['fixes #1', 'Closes acme/shop#12', 'resolves GH-7', 'gh-7', '#1'])(
    '%j refers to nothing and closes nothing',
    (text) => {
      expect(rendered(escapeMarkdown(text))).not.toMatch(/#\d|gh-\d/i);
    },
  );

  test.each([
    '<img src=x onerror=alert(1)>',
    '</details>',
    '<!-- bough i1 pull/7 -->',
    '<script>',
    '<a@b.c>',
  ])('%j is no HTML', (text) => {
    expect(escapeMarkdown(text)).not.toMatch(/[<>]/);
  });

  test('an entity in the text stays what it is, and is not decoded into a sign', () => {
    expect(escapeMarkdown('&lt;img&gt; &#64;team')).not.toMatch(/&lt;img/);
    expect(rendered(escapeMarkdown('&#64;team'))).toContain('&#');
  });

  test.each<[string, RegExp]>([
    ['[click](javascript:alert(1))', /(?<!\\)[[\]()]/],
    ['x](javascript:alert(1)) [y', /(?<!\\)[[\]()]/],
    ['![pixel](https://evil.example/x.png)', /(?<!\\)[![\]()]/],
    ['`code` and ```` fence', /(?<!\\)`/],
    ['a | b | c', /(?<!\\)\|/],
    ['*bold* _it_ ~~gone~~', /(?<!\\)[*_~]/],
    ['$\\alpha$', /(?<!\\)\$/],
    ['trailing \\', /(?<!\\)\\$/],
  ])('%j has no sign left that Markdown reads', (text, sign) => {
    expect(escapeMarkdown(text).replaceAll('\\\\', '')).not.toMatch(sign);
  });

  test.each(['a\n# b', 'a\r\n\r\n- b', 'a\rb', 'a\u2028b', 'a\n\n```\nb'])('%j becomes one line', (text) => {
    expect(escapeMarkdown(text)).not.toMatch(/[\r\n\u2028\u2029]/);
    expect(escapeMarkdown(text)).toMatch(/^a .*b$/);
  });

  test('addresses are not made links', () => {
    expect(escapeMarkdown('see HTTPS://evil.example/x')).not.toMatch(/https?:\/\//i);
  });

  test('control characters are dropped', () => {
    expect(escapeMarkdown('\u001b[31mred\u001b[0m\u0000')).not.toMatch(/\p{Cc}/u);
  });

  test('is bounded, and cuts no character in two', () => {
    const escaped = escapeMarkdown(`${'🌳'.repeat(5_000)}x`);
    expect(escaped.length).toBeLessThan(1_010);
    expect(escaped.endsWith('🌳…')).toBe(true);
    expect(escapeMarkdown(`x${'🌳'.repeat(5_000)}`).endsWith('🌳…')).toBe(true);
  });

  test('ordinary words stay readable', () => {
    const text = 'The hook ended with code 1; see line 3, column 7.';
    expect(escapeMarkdown(text)).toBe(text);
  });
});

describe('code', () => {
  test.each([
    ['abc', '`abc`'],
    ['a`b', '``a`b``'],
    ['`a', '`` `a ``'],
    ['a``b`c', '```a``b`c```'],
    ['a|b', '`a\\|b`'],
    ['a\nb', '`a b`'],
  ])('%j', (text, expected) => {
    expect(code(text)).toBe(expected);
  });
});

describe('codeBlock', () => {
  test('what stands in it cannot end it', () => {
    const lines = ['```', '</details>', '`````', '@team #1'];
    const block = codeBlock(lines).split('\n');
    expect(block.at(0)).toBe('``````text');
    expect(block.at(-1)).toBe('``````');
    expect(block.slice(1, -1)).toEqual(lines);
  });

  test('colours and other control characters are dropped, tabs stay, a line stays a line', () => {
    expect(codeBlock(['\u001b[31mred\u001b[0m\tx\r', 'a\n```\nb'])).toBe('````text\nred\tx\na```b\n````');
  });
});

test('a sentence keeps its code and nothing else', () => {
  expect(prose('Set `BOUGH_HOME` to *another* one')).toBe('Set `BOUGH_HOME` to \\*another\\* one');
  expect(prose('a `b|c` d')).toBe('a `b\\|c` d');
  expect(prose('`<img onerror=1>` and <b>')).toBe('`<img onerror=1>` and &lt;b&gt;');
  expect(prose('one ` alone, ``` three')).not.toMatch(/(?<!\\)`/);
});
