// Draws a picture of each plant and packs the style sheet and the script under names that change with their content.
// Nothing of it depends on time or place: the same commit builds the same bytes.
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { catalogue } from '../src/catalogue.js';
import { drawPlant } from './draw-plant.js';

const dist = new URL('../dist/', import.meta.url);
await rm(dist, { recursive: true, force: true });
await mkdir(new URL('images/', dist), { recursive: true });

for (const plant of catalogue) await writeFile(new URL(`images/${plant.slug}.svg`, dist), drawPlant(plant));

const stylesheet = await pack('../styles/shop.css', 'shop', 'css', (text) =>
  text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/\s+/g, ' ')
    .replace(/ ?([{};:,]) ?/g, '$1'),
);
const script = await pack('../src/browser.js', 'shop', 'js', (text) => text);
const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
await writeFile(new URL('release.json', dist), `${JSON.stringify({ version, stylesheet, script })}\n`);
console.log(`build: ${catalogue.length} pictures, ${stylesheet}, ${script}`);

async function pack(source, name, extension, shrink) {
  const content = shrink(await readFile(new URL(source, import.meta.url), 'utf8'));
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 8);
  await writeFile(new URL(`${name}-${hash}.${extension}`, dist), content);
  return `${name}-${hash}.${extension}`;
}
