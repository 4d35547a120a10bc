/** The line at the top of every page. */
export const announcement = 'Free delivery this week on all ferns.';
