/** Where and as what this runs: Bough's variables, or what suits a developer's machine. */
export const environment = {
  shopName: process.env.SHOP_NAME ?? 'Fern & Fir',
  databaseUrl: process.env.DATABASE_URL ?? 'postgresql://localhost:5432/shop',
  queueUrl: process.env.QUEUE_URL ?? 'redis://localhost:6379',
  port: Number(process.env.PORT ?? 8080),
  commit: process.env.BOUGH_COMMIT ?? 'uncommitted',
  name: process.env.BOUGH_ENVIRONMENT ?? 'local',
  kind: process.env.BOUGH_ENVIRONMENT_KIND ?? 'local',
  branch: process.env.PLATFORM_BRANCH ?? 'none',
  deployment: process.env.BOUGH_DEPLOYMENT ?? 'none',
  uploads: process.env.SHOP_UPLOADS ?? 'uploads',
};
