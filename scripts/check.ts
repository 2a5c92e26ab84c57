// What `npm run check` promises, one line each. Prints what broke a promise; exit code 1 when one is broken.
import { spawnSync } from 'node:child_process'
import { pathToFileURL } from 'node:url'

const promises: readonly { readonly promise: string; readonly command: readonly [string, ...string[]] }[] = [
  { promise: 'every file type-checks under the strictest settings', command: ['tsc', '-p', '.'] },
  {
    promise: 'no promise floats, nothing is any, no fenced import is used',
    command: ['oxlint', '--type-aware', '--deny-warnings'],
  },
  { promise: 'every file is formatted', command: ['oxfmt', '--check'] },
  {
    promise: 'no room imports upward',
    command: ['vitest', 'run', '--reporter=dot', 'test/project/directions.test.ts'],
  },
  { promise: 'no file, export or dependency lies unused', command: ['knip', '--no-progress', '--no-config-hints'] },
]

/** Runs all checks, also after one failed. @returns how many held and how many did not. */
export function runChecks(): { readonly passed: number; readonly failed: number } {
  const broken = promises.filter(({ promise, command: [program, ...words] }) => {
    const startedMs = performance.now()
    const result = spawnSync(program, words, { encoding: 'utf8' })
    const tookS = ((performance.now() - startedMs) / 1000).toFixed(1)
    const held = result.status === 0
    process.stdout.write(`${held ? '✔' : '✖'} ${promise} (${program}, ${tookS} s)\n`)
    if (!held) process.stdout.write(`${result.error?.message ?? ''}${result.stdout}${result.stderr}\n`)
    return !held
  })
  return { passed: promises.length - broken.length, failed: broken.length }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.exitCode = runChecks().failed === 0 ? 0 : 1
}
