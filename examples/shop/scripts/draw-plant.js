/** An SVG picture of a plant in a pot, made of its shape and hue alone. */
export function drawPlant({ slug, shape, hue }) {
  const random = numbers(slug);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 200">
<rect width="240" height="200" fill="hsl(${hue} 35% 92%)"/>
<ellipse cx="120" cy="184" rx="58" ry="7" fill="hsl(${hue} 20% 78%)"/>
${shapes[shape](hue, random).join('\n')}
<path d="M88 138h64l-8 44q-24 6-48 0z" fill="hsl(${18 + random() * 14} 48% 56%)"/>
<rect x="84" y="132" width="72" height="11" rx="4" fill="hsl(${18 + random() * 14} 50% 48%)"/>
</svg>
`;
}

/** The same numbers between 0 and 1 for the same name. */
function numbers(name) {
  let state = [...name].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) >>> 0, 7);
  return () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function leaf(x, y, length, width, angle, hue, lightness) {
  const [l, w] = [length.toFixed(1), width.toFixed(1)];
  return `<path transform="translate(${x.toFixed(1)} ${y.toFixed(1)}) rotate(${angle.toFixed(1)})" d="M0 0Q${w} ${-length / 2} 0 ${-l}Q${-w} ${-length / 2} 0 0z" fill="hsl(${hue} 42% ${lightness.toFixed(0)}%)"/>`;
}

function many(number, make) {
  return Array.from({ length: number }, (_, index) => make(index, index / (number - 1)));
}

const shapes = {
  fan: (hue, random) =>
    many(13, (_, part) => leaf(120, 136, 70 + random() * 42, 15, -82 + part * 164, hue, 30 + random() * 22)),
  tree: (hue, random) => [
    '<rect x="117" y="34" width="6" height="100" fill="hsl(28 35% 38%)"/>',
    ...many(7, (index) => {
      const [y, reach] = [124 - index * 14, 58 - index * 7.4];
      return `<path d="M120 ${y - 30}L${(120 - reach).toFixed(1)} ${y}Q120 ${y + 10} ${(120 + reach).toFixed(1)} ${y}z" fill="hsl(${hue} 38% ${(26 + index * 3 + random() * 4).toFixed(0)}%)"/>`;
    }),
  ],
  tall: (hue, random) => [
    '<path d="M120 136Q114 90 121 36" stroke="hsl(28 30% 42%)" stroke-width="5" fill="none"/>',
    ...many(14, (index) =>
      leaf(
        118,
        118 - index * 6,
        34 + random() * 18,
        16,
        (index % 2 ? 1 : -1) * (40 + random() * 36),
        hue,
        32 + random() * 20,
      ),
    ),
  ],
  trail: (hue, random) =>
    many(9, (_, part) => {
      const x = 70 + part * 100;
      const drop = 26 + random() * 30;
      const beads = many(7, (index) => {
        const y = 126 + (index / 6) * drop;
        return `<circle cx="${(x + Math.sin(index) * 4).toFixed(1)}" cy="${y.toFixed(1)}" r="6.5" fill="hsl(${hue} 40% ${(38 + random() * 18).toFixed(0)}%)"/>`;
      });
      return (
        leaf(120, 134, 46 + random() * 16, 18, -70 + part * 140, hue, 36 + random() * 14) + beads.join('')
      );
    }),
  cactus: (hue, random) => [
    `<rect x="96" y="56" width="48" height="84" rx="24" fill="hsl(${hue} 34% 42%)"/>`,
    ...many(
      5,
      (index) => `<path d="M${104 + index * 8} 64v70" stroke="hsl(${hue} 34% 34%)" stroke-width="2"/>`,
    ),
    ...many(18, () => {
      const [x, y] = [100 + random() * 40, 66 + random() * 64];
      return `<path d="M${x.toFixed(1)} ${y.toFixed(1)}l4 -4m-4 4l-4 -4" stroke="hsl(48 70% 84%)" stroke-width="1.2"/>`;
    }),
    '<circle cx="120" cy="55" r="8" fill="hsl(330 70% 66%)"/>',
  ],
};
