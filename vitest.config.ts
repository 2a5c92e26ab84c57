import { defineConfig } from 'vitest/config'

/** All that these files start ends with them, so they may share a process, which halves their time. */
const sharing = [
  ...['access', 'audit', 'config', 'evidence', 'geo', 'identity', 'kernel', 'notify', 'observability', 'policy'],
  ...['protocols', 'recording', 'resources', 'sessions', 'store', 'web', 'real-clients', 'cli'],
].map((room) => `test/${room}/**/*.test.ts`)

/** Where others would be measured, too: how long a live session waits while somebody does their worst. */
const alone = ['hostile', 'ssh-hostile', 'ssh-disk'].map((name) => `test/conformance/${name}.test.ts`)

export default defineConfig({
  test: {
    // Most tests wait for real programs and real deadlines, so three files at a time fit on two cores, too.
    maxWorkers: 3,
    // Tests start real servers; on a small machine their first answer takes seconds.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    // What is waited for comes soon, and on a machine that is busy with other tests not within vitest's second.
    expect: { poll: { timeout: 20_000 } },
    projects: [
      { extends: true, test: { name: 'rooms', include: sharing, isolate: false } },
      { extends: true, test: { name: 'whole', include: ['test/**/*.test.ts'], exclude: [...sharing, ...alone] } },
      { extends: true, test: { name: 'alone', include: alone, maxWorkers: 2, sequence: { groupOrder: 1 } } },
    ],
  },
})
