/** The part of a logger that is used here; pino's fits. */
export interface ForgeLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}
