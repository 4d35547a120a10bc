import { describe, expect, test } from 'vitest';
import { parseCommand } from './command.ts';

const redeploy = { word: 'redeploy', argument: '' };

describe('parseCommand', () => {
  test.each([
    ['alone', '/bough redeploy'],
    ['with spaces behind it', '/bough redeploy \t '],
    ['with a line feed', '/bough redeploy\n'],
    ['with CRLF, as browsers send it', '/bough redeploy\r\n'],
    ['with a lone CR', '/bough redeploy\rthanks'],
    ['after empty lines', '\r\n \r\n\t\n/bough redeploy'],
    ['before other lines', '/bough redeploy\r\n\r\nThe cache was stale.\r\n/bough delete'],
  ])('finds a command %s', (_, body) => {
    expect(parseCommand(body)).toEqual(redeploy);
  });

  test('takes what stands behind the word as its argument', () => {
    expect(parseCommand('/bough approve 0123abc now')).toEqual({ word: 'approve', argument: '0123abc now' });
    expect(parseCommand(`/bough keep ${'x'.repeat(188)}`)?.argument).toHaveLength(188);
  });

  test('keeps the case of the word, which is then no command that there is', () => {
    expect(parseCommand('/bough Redeploy')).toEqual({ word: 'Redeploy', argument: '' });
  });

  test.each([
    ['nothing', ''],
    ['only spaces', ' \r\n\t\n '],
    ['a sentence', 'Please /bough redeploy'],
    ['a sentence above it', 'Please:\n/bough redeploy'],
    ['a quotation', '> /bough redeploy'],
    ['a quotation above it', '> /bough redeploy\n\n/bough redeploy'],
    ['a list', '- /bough redeploy'],
    ['code', '`/bough redeploy`'],
    ['a fence', '```\n/bough redeploy\n```'],
    ['a fence of tildes', '~~~\n/bough redeploy\n~~~'],
    ['indented code', '    /bough redeploy'],
    ['a tab of code after empty lines', '\n\n\t/bough redeploy'],
    ['one space before it', ' /bough redeploy'],
    ['a hidden comment', '<!-- x -->\n/bough redeploy'],
    ['Bough’s own comment', '<!-- bough i1 pull/7 -->\n\n### Preview is ready\n\n/bough redeploy'],
    ['no word', '/bough'],
    ['no word but a space', '/bough '],
    ['another case', '/Bough redeploy'],
    ['two spaces', '/bough  redeploy'],
    ['a tab', '/bough\tredeploy'],
    ['a longer name', '/boughs redeploy'],
    ['two slashes', '//bough redeploy'],
    ['a flag', '/bough --help'],
    ['a word with a semicolon', '/bough redeploy;delete'],
    ['a zero-width space', '\u200b/bough redeploy'],
    ['a byte order mark', '\ufeff/bough redeploy'],
    ['a no-break space', '/bough\u00a0redeploy'],
    ['letters that look alike', '/bоugh redeploy'],
    ['a NUL', '/bough redeploy\0'],
    ['a direction mark in the argument', '/bough approve abc\u202edef'],
    ['a line separator', '/bough redeploy\u2028/bough delete'],
    ['a line that is too long', `/bough keep ${'x'.repeat(189)}`],
    ['a word that is too long', `/bough ${'x'.repeat(32)}`],
  ])('finds none in %s', (_, body) => {
    expect(parseCommand(body)).toBeUndefined();
  });

  test('takes no longer for a huge comment', () => {
    const started = performance.now();
    expect(parseCommand(`${'\r\n '.repeat(1_000_000)}x`)).toBeUndefined();
    expect(parseCommand(`/bough x ${' '.repeat(1_000_000)}`)).toBeUndefined();
    expect(parseCommand(`/bough x ${'a '.repeat(1_000_000)}`)).toBeUndefined();
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});
