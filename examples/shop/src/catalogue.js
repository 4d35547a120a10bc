/** What the shop sells. The seed puts it into the database, the build draws a picture of each. Prices in cents. */
export const catalogue = [
  plant('boston-fern', 'Boston fern', 'Arching fronds, forgiving of shade.', 1890, 'fan', 128),
  plant('silver-fir', 'Silver fir', 'A forest in a pot. Likes a cool sill.', 3450, 'tree', 152),
  plant('fiddle-leaf', 'Fiddle-leaf fig', 'Big leaves, big opinions about light.', 4990, 'tall', 108),
  plant('string-of-pearls', 'String of pearls', 'Trails over any edge it finds.', 1490, 'trail', 140),
  plant('golden-barrel', 'Golden barrel cactus', 'Round, spiny and patient.', 2290, 'cactus', 88),
  plant('monstera', 'Swiss cheese plant', 'Grows holes, and keeps growing.', 3990, 'fan', 145),
  plant('olive', 'Olive tree', 'Silvery leaves and, with luck, olives.', 5490, 'tall', 92),
  plant('norfolk-pine', 'Norfolk pine', 'Symmetry, slowly.', 2790, 'tree', 165),
  plant('pothos', 'Golden pothos', 'Cannot be killed; many have tried.', 1190, 'trail', 100),
  plant('maidenhair', 'Maidenhair fern', 'Delicate. Never let it dry out.', 1690, 'fan', 118),
  plant('saguaro', 'Little saguaro', 'Will need a bigger pot in 2060.', 3190, 'cactus', 130),
  plant('birch', 'Dwarf birch', 'White bark for the balcony.', 4290, 'tall', 80),
];

function plant(slug, name, description, priceCents, shape, hue) {
  return { slug, name, description, priceCents, shape, hue, stock: 5000 };
}
