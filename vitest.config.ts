import { defineConfig } from 'vitest/config';

const heavy = { testTimeout: 120_000, hookTimeout: 120_000, fileParallelism: false };

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['{src,firmware-sim,scripts}/**/*.test.ts'] } },
      { test: { name: 'contract', include: ['test/contract/**/*.test.ts'], ...heavy } },
      { test: { name: 'integration', include: ['test/integration/**/*.test.ts'], ...heavy } },
      { test: { name: 'e2e', include: ['test/e2e/**/*.test.ts'], ...heavy } },
      { test: { name: 'fault', include: ['test/fault/**/*.test.ts'], ...heavy } },
    ],
  },
});
