import { styleText } from 'node:util';

/** Tells a person what is going on: a line that moves on a terminal, plain lines elsewhere. */
export interface Narrator {
  say(text: string): void;
  /** Shows `title` while `work` goes on; `update` changes what is shown. The line stays, with how long it took. */
  during<Result>(title: string, work: (update: (text: string) => void) => Promise<Result>): Promise<Result>;
}

const FRAMES = ['◒', '◐', '◓', '◑'];
const FRAME_MS = 100;
const ERASE_LINE = '\r\u001b[2K';

export function createNarrator(options: {
  /** Asked at each frame: a terminal can change its width. Undefined where there is no terminal. */
  columns: (() => number) | undefined;
  write: (text: string) => void;
}): Narrator {
  const { columns, write } = options;
  const say = (text: string) => write(`${text}\n`);
  if (columns === undefined) return { say, during: (title, work) => inPlainLines(write, title, work) };
  return { say, during: (title, work) => onTerminal({ write, columns, title, work }) };
}

async function inPlainLines<Result>(
  write: (text: string) => void,
  title: string,
  work: (update: (text: string) => void) => Promise<Result>,
): Promise<Result> {
  const from = Date.now();
  write(`· ${title}\n`);
  let last = '';
  const result = await work((text) => {
    if (text === last) return;
    last = text;
    write(`    ${text}\n`);
  });
  write(`✔ ${title} (${seconds(from)})\n`);
  return result;
}

/** The terminal's mode stays as it is: Ctrl-C must reach the demo as a signal, or nothing would be removed. */
async function onTerminal<Result>(shown: {
  write: (text: string) => void;
  columns: () => number;
  title: string;
  work: (update: (text: string) => void) => Promise<Result>;
}): Promise<Result> {
  const { write, columns, title } = shown;
  const from = Date.now();
  let note = '';
  let frame = 0;
  const draw = () => {
    frame += 1;
    const line = `${title}  ${note}`.slice(0, Math.max(10, columns() - 3));
    write(`${ERASE_LINE}${styleText('magenta', FRAMES[frame % FRAMES.length] ?? '')} ${line}`);
  };
  draw();
  const timer = setInterval(draw, FRAME_MS);
  const end = (mark: string, text: string) => {
    clearInterval(timer);
    write(`${ERASE_LINE}${mark} ${title} ${text}\n`);
  };
  try {
    const result = await shown.work((text) => {
      note = text;
    });
    end(styleText('green', '✔'), styleText('dim', seconds(from)));
    return result;
  } catch (error) {
    end(styleText('red', '✘'), styleText('dim', `after ${seconds(from)}`));
    throw error;
  }
}

function seconds(from: number): string {
  return `${((Date.now() - from) / 1000).toFixed(1)} s`;
}
