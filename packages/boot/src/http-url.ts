import { z } from 'zod';

/** An address in a variable. `localhost:3000` is a URL too, of a scheme that nobody serves. */
export const httpUrl = z.url({
  protocol: /^https?$/,
  error: 'is not an address such as http://localhost:3000',
});
