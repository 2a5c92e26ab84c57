// `npm test`: the checks, then every test. With arguments (`npm test -- test/config`) only the tests that they name.
// The last line counts what really happened: `N passed, N failed`.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runChecks } from './check.ts'
import { installNewerPsql } from './newer-psql.ts'

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[]
}

const filters = process.argv.slice(2)
const checks = filters.length === 0 ? runChecks() : { passed: 0, failed: 0 }
installNewerPsql()
const tests = runTests()
const failed = checks.failed + tests.failed
process.stdout.write(`checks: ${checks.passed} hold, ${checks.failed} broken\n`)
process.stdout.write(`tests: ${tests.passed} passed, ${tests.failed} failed, ${tests.skipped} skipped\n`)
process.stdout.write(`${checks.passed + tests.passed} passed, ${failed} failed\n`)
process.exitCode = failed === 0 ? 0 : 1

function runTests(): { readonly passed: number; readonly failed: number; readonly skipped: number } {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-test-'))
  try {
    const file = join(folder, 'report.json')
    const words = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`, ...filters]
    // Hundreds of processes load the same files: what V8 compiled once is kept for the next one.
    const env = { ...process.env, NODE_COMPILE_CACHE: join(folder, 'compiled') }
    const result = spawnSync('vitest', words, { stdio: 'inherit', env })
    return count(file, result.status === 0)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A file that does not load, or an error outside every test, has no test to count: it counts as one failure. */
function count(file: string, succeeded: boolean): { passed: number; failed: number; skipped: number } {
  const report = readReport(file)
  if (report === undefined) return { passed: 0, failed: 1, skipped: 0 }
  const unloaded = report.testResults.filter((one) => one.status === 'failed' && one.assertionResults.length === 0)
  const failures = report.numFailedTests + unloaded.length
  return {
    passed: report.numPassedTests,
    failed: failures === 0 && !succeeded ? 1 : failures,
    skipped: report.numPendingTests + report.numTodoTests,
  }
}

function readReport(file: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report
  } catch {
    return undefined // vitest died before it could write: count() makes a failure of it
  }
}
