import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Most tests wait for real programs and real deadlines, so three files at a time fit on two cores, too.
    maxWorkers: 3,
    // Tests start real servers; on a small machine their first answer takes seconds.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    // What is waited for comes soon, and on a machine that is busy with other tests not within vitest's second.
    expect: { poll: { timeout: 20_000 } },
  },
})
