// Goal: while the disk for recordings does not answer, a strict session stands still and nothing passes unrecorded; when it
// answers again, the session goes on, and every statement is in the recording.
// Method: recordings on a file system of their own, which is frozen as for a snapshot: writes to it wait until it is thawed.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type pg from 'pg'
import { afterAll, expect, test } from 'vitest'
import { openRecording } from '../../src/recording/reading.ts'
import { verifyRecording } from '../../src/recording/verify.ts'
import { startPostgres } from '../servers/postgres.ts'
import { startSeparateGateway, type SeparateGateway } from '../servers/separate-gateway.ts'

const run = promisify(execFile)
const stack = new AsyncDisposableStack()
const data = await mkdtemp(join(tmpdir(), 'curfew-hung-disk-'))
stack.defer(() => rm(data, { recursive: true }))
const recordings = join(data, 'recordings')
const canFreeze = await mountDisk()
afterAll(() => stack.disposeAsync())

/** Four times as long as something may be unsaved before the session pauses. */
const standingStillMs = 1000

test.skipIf(!canFreeze)(
  'a disk that hangs makes the session wait, and loses nothing (needs root and a loop device to mount such a disk)',
  async () => {
    await using gateway = await startOnDisk()
    const { token } = await gateway.enter(3_600_000)
    const { client } = await gateway.connect(token)
    const asking = new Asking(client)
    await asking.untilAnswered(3)
    const thaw = await freeze()
    try {
      await asking.untilStandingStill()
      expect(await gateway.metric('curfew_recording_unsaved_bytes')).toBeGreaterThan(0)
      expect(await gateway.metric('curfew_recording_failures_total')).toBe(0)
      expect(await gateway.metric('curfew_sessions_live')).toBe(1)
    } finally {
      await thaw()
    }
    await asking.untilAnswered(asking.answered + 3)
    const asked = await asking.stop()
    await client.end()
    expect(await recorded()).toEqual(asked)
  },
)

/** A session that asks one thing after the other. */
class Asking {
  answered = 0
  readonly #asked: string[] = []
  #askedMs = 0
  #stopped = false
  readonly #work: Promise<void>

  constructor(client: pg.Client) {
    this.#work = this.#run(client)
    // Whoever waits for it sees the failure.
    this.#work.catch(() => undefined)
  }

  async untilAnswered(count: number): Promise<void> {
    while (this.answered < count) await Promise.race([sleep(10), this.#work])
  }

  async untilStandingStill(): Promise<void> {
    const deadline = performance.now() + 10 * standingStillMs
    while (performance.now() - this.#askedMs < standingStillMs) {
      if (performance.now() > deadline) throw new Error(`it goes on: ${this.answered} statements were answered`)
      await Promise.race([sleep(10), this.#work])
    }
  }

  async stop(): Promise<readonly string[]> {
    this.#stopped = true
    await this.#work
    return this.#asked
  }

  async #run(client: pg.Client): Promise<void> {
    while (!this.#stopped) {
      const sql = `select ${this.answered + 1}`
      this.#askedMs = performance.now()
      this.#asked.push(sql)
      await client.query(sql)
      this.answered++
    }
  }
}

async function startOnDisk(): Promise<SeparateGateway> {
  const postgres = stack.use(await startPostgres())
  return startSeparateGateway({
    postgres,
    configure: (config) => {
      config.gateway.data = data
      config.recording = { minFree: '1MiB' }
    },
  })
}

/** @returns whether this machine lets us: a container often does not. */
async function mountDisk(): Promise<boolean> {
  const image = join(data, 'disk')
  await mkdir(recordings)
  try {
    await run('truncate', ['-s', '32M', image])
    await run('mkfs.ext4', ['-q', '-F', image])
    await run('mount', ['-o', 'loop', image, recordings])
  } catch {
    return false
  }
  stack.defer(() => run('umount', [recordings]).then(() => undefined))
  return true
}

/** Thaws also when this process dies: a frozen disk would hold on to everybody who writes there. */
async function freeze(): Promise<() => Promise<void>> {
  const script = 'fsfreeze --freeze "$0" && echo frozen && read -r _; fsfreeze --unfreeze "$0"'
  const child = spawn('sh', ['-c', script, recordings], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  await once(child.stdout, 'data')
  return async () => {
    child.stdin.end()
    await exited
  }
}

/** What the one recording has, when it is sealed. */
async function recorded(): Promise<string[]> {
  const [file = ''] = globSync(join(recordings, '**/*.curfew'))
  while ((await verifyRecording(file)).state !== 'sealed') await sleep(10)
  await using recording = await openRecording(file)
  const events = await Array.fromAsync(recording.events())
  return events.filter(({ code }) => code === 'q').map((event) => (event.data as { sql: string }).sql)
}
