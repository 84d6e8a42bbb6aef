import { defineConfig, type ViteUserConfig } from 'vitest/config';

const isSoak = process.env['TIDEGATE_SOAK'] === '1';

/** Some start processes, which takes seconds on a machine that does other work as well. */
const PATIENCE_MS = 20_000;

const heavy = {
  testTimeout: isSoak ? 3_600_000 : 120_000,
  hookTimeout: 120_000,
  fileParallelism: false,
  globalSetup: ['test/helpers/rabbit-global-setup.ts'],
};

/** Projects run one after the other: the heavy ones measure time, on machines of two cores. */
const after = (groupOrder: number): { sequence: { groupOrder: number } } => ({
  sequence: { groupOrder },
});

const config: ViteUserConfig = defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{src,firmware-sim,scripts}/**/*.test.ts'],
          testTimeout: PATIENCE_MS,
        },
      },
      {
        test: { name: 'contract', include: ['test/contract/**/*.test.ts'], ...heavy, ...after(1) },
      },
      {
        test: {
          name: 'integration',
          include: ['test/{integration,bench}/**/*.test.ts'],
          ...heavy,
          ...after(2),
        },
      },
      { test: { name: 'e2e', include: ['test/e2e/**/*.test.ts'], ...heavy, ...after(3) } },
      { test: { name: 'fault', include: ['test/fault/**/*.test.ts'], ...heavy, ...after(4) } },
    ],
  },
});

export default config;
