/** The line at the top of every page. */
export const announcement = 'New: see which plants our customers love most.';
