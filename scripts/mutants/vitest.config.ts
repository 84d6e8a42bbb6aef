import { defineConfig, type ViteUserConfig } from 'vitest/config';
import base from '../../vitest.config.ts';

/**
 * The projects as `npm test` has them, without the broker where no test needs it: starting one for each mutant would
 * take longer than all else. A property that fails is not made smaller: that it fails is all there is to know.
 */
const withBroker = process.env['TIDEGATE_MUTANTS_BROKER'] === '1';

const config: ViteUserConfig = defineConfig({
  test: {
    projects: (base.test?.projects ?? []).map((project) => {
      if (typeof project !== 'object' || !('test' in project)) return project;
      const { globalSetup = [], ...test } = project.test ?? {};
      return {
        test: {
          ...test,
          globalSetup: withBroker ? globalSetup : [],
          setupFiles: ['scripts/mutants/first-failure.ts'],
        },
      };
    }),
  },
});

export default config;
