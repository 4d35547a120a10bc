import { styleText } from 'node:util';
import { spinner } from '@clack/prompts';

/** Tells a person what is going on: a spinner on a terminal, plain lines elsewhere. */
export interface Narrator {
  say(text: string): void;
  /** Shows `title` while `work` goes on; `update` changes what is shown. The line stays, with how long it took. */
  during<Result>(title: string, work: (update: (text: string) => void) => Promise<Result>): Promise<Result>;
}

export function createNarrator(options: { isTerminal: boolean; write: (text: string) => void }): Narrator {
  const took = (from: number) => styleText('dim', `${((Date.now() - from) / 1000).toFixed(1)} s`);
  if (!options.isTerminal) {
    return {
      say: (text) => options.write(`${text}\n`),
      async during(title, work) {
        const from = Date.now();
        options.write(`· ${title}\n`);
        let last = '';
        const result = await work((text) => {
          if (text === last) return;
          last = text;
          options.write(`    ${text}\n`);
        });
        options.write(`✔ ${title} (${((Date.now() - from) / 1000).toFixed(1)} s)\n`);
        return result;
      },
    };
  }
  return {
    say: (text) => options.write(`${text}\n`),
    async during(title, work) {
      const from = Date.now();
      const spin = spinner();
      spin.start(title);
      try {
        const result = await work((text) => spin.message(`${title} ${styleText('dim', text)}`));
        spin.stop(`${title} ${took(from)}`);
        return result;
      } catch (error) {
        spin.error(`${title} ${styleText('red', 'failed')}`);
        throw error;
      }
    },
  };
}
