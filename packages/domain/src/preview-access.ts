/** Under `access: basic`: who visitors log in as, and the name under which the generated password is kept. */
export const ACCESS_USERNAME = 'preview';
export const ACCESS_CREDENTIAL = 'access:basic';
