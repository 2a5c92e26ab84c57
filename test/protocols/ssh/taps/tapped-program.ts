/**
 * Runs what an SSH client asked for (SSH_ORIGINAL_COMMAND, as sshd's ForceCommand gives it) with a tap between, and
 * writes what the tap recorded as one JSON line into TAP_FOLDER.
 */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock, Instant } from '../../../../src/kernel/time.ts'
import { chooseTap } from '../../../../src/protocols/ssh/taps/choose-tap.ts'
import { KeptRecorder } from './recorded.ts'

const folder = process.argv[2]!
const command = process.env['SSH_ORIGINAL_COMMAND'] ?? ''
const isSubsystem = command === '/usr/lib/openssh/sftp-server'
const recorder = new KeptRecorder()
const clock: Clock = {
  now: () => Date.now() as Instant,
  monotonicMs: () => performance.now(),
  after: () => ({ cancel: () => undefined }),
}
const tap = chooseTap({
  ch: 1,
  ...(isSubsystem ? { what: 'subsystem', command: 'sftp' } : { what: 'exec', command }),
  hasTerminal: false,
  recordInput: false,
  recorder,
  clock,
})
const program = spawn('/bin/sh', ['-c', command], { stdio: 'pipe' })

process.stdin.on('data', (bytes: Buffer) => {
  tap.fromClient(bytes)
  if (!program.stdin.write(bytes)) process.stdin.pause()
})
program.stdin.on('drain', () => process.stdin.resume())
process.stdin.on('end', () => program.stdin.end())
program.stdin.on('error', () => undefined)
/** Nobody takes the output any more; what still comes must be read all the same, or the program never ends. */
let isUnheard = false
program.stdout.on('data', (bytes: Buffer) => {
  tap.fromTarget(bytes)
  if (!isUnheard && !process.stdout.write(bytes)) program.stdout.pause()
})
process.stdout.on('drain', () => program.stdout.resume())
process.stdout.on('error', () => {
  isUnheard = true
  program.stdin.end()
  program.stdout.resume()
})
program.stderr.on('data', (bytes: Buffer) => {
  tap.errorsFromTarget(bytes)
  process.stderr.write(bytes)
})
program.on('close', (status) => {
  tap.close()
  const kept = { command, lines: recorder.lines, ...tap.summary?.() }
  writeFileSync(join(folder, `${process.pid}.json`), JSON.stringify(kept))
  process.exitCode = status ?? 1
  process.stdin.destroy()
})
