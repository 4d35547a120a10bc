/** Of Bough itself: what `bough --version` and the API say. */
export const VERSION = '0.1.0';
