import { defineConfig } from 'vitest/config'

/** Where nothing outlives its test: no gateway, no program, no browser. These files share a process, which halves their time. */
const rooms = ['audit', 'config', 'evidence', 'geo', 'identity', 'kernel', 'observability', 'policy', 'protocols']
const pure = [...rooms, 'recording', 'resources', 'store'].map((room) => `test/${room}/**/*.test.ts`)

export default defineConfig({
  test: {
    // Most tests wait for real programs and real deadlines, so four files at a time fit on two cores, too.
    maxWorkers: 4,
    // Tests start real servers; on a small machine their first answer takes seconds.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    // What is waited for comes soon, and on a machine that is busy with other tests not within vitest's second.
    expect: { poll: { timeout: 20_000 } },
    projects: [
      { extends: true, test: { name: 'rooms', include: pure, isolate: false } },
      { extends: true, test: { name: 'whole', include: ['test/**/*.test.ts'], exclude: pure } },
    ],
  },
})
