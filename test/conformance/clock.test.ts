// Goal: the wall clock of the gateway's machine jumps, and every session still ends when its grant says: a jump ahead ends
// it at once, a jump back gives it nothing, and the sweeper, which is only the second line, never finds one.
// Method: a gateway process whose wall clock is turned by libfaketime while it runs; its monotonic clock goes on.
import { globSync } from 'node:fs'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startPostgres, type TestPostgres } from '../servers/postgres.ts'
import { startSeparateGateway, type SeparateGateway } from '../servers/separate-gateway.ts'

const hourMs = 3_600_000

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres[Symbol.asyncDispose]())

test('three hours ahead, twice: a session under a grant of one hour ends within two seconds', async () => {
  await using clock = await startWallClock()
  await using gateway = await startSeparateGateway({ postgres, env: clock.env })
  // The first jump comes before the gateway has looked at its clocks for the first time.
  for (const hours of [3, 6]) {
    const { token } = await gateway.enter(hourMs)
    const { client, end } = await gateway.connect(token)
    await client.query('select 1')
    const jumpedMs = performance.now()
    await clock.turn(`+${hours}h`)
    expect(await end).toMatchObject(expired)
    expect(performance.now() - jumpedMs).toBeLessThan(2000 + slowMachineMs)
    await expect.poll(() => aheadMs(gateway)).toBeCloseTo(hours * hourMs, -4)
    await postgres.untilSessions({ usename: 'shop_reporting' }, 0)
    expect(await gateway.metric('curfew_sweeper_found_total')).toBe(0)
  }
})

test('an hour back: a session under a grant of five seconds gets its five seconds and no more', async () => {
  await using clock = await startWallClock()
  await using gateway = await startSeparateGateway({ postgres, env: clock.env })
  const askedMs = performance.now()
  const { token } = await gateway.enter(5000)
  const grantedMs = performance.now()
  const { client, end } = await gateway.connect(token)
  await client.query('select 1')
  await clock.turn('-1h')
  await expect.poll(() => aheadMs(gateway)).toBeCloseTo(-hourMs, -4)
  expect(await end).toMatchObject(expired)
  const endedMs = performance.now()
  expect(endedMs - askedMs).toBeGreaterThan(5000 - timerMs)
  expect(endedMs - grantedMs).toBeLessThan(5000 + slowMachineMs)
  await expect(gateway.connect(token)).rejects.toThrow('You have no access to prod-db as reporting now.')
  await postgres.untilSessions({ usename: 'shop_reporting' }, 0)
  expect(await gateway.metric('curfew_sweeper_found_total')).toBe(0)
})

const expired = { severity: 'FATAL', code: '57P01', message: expect.stringMatching(/^Your access .* ended/) as string }
/** The machine runs other tests meanwhile. */
const slowMachineMs = 500
/** The two processes read their clocks at different instants. */
const timerMs = 5

interface WallClock extends AsyncDisposable {
  /** For the process whose clock it is. */
  readonly env: Readonly<Record<string, string>>
  /** Far ahead of the machine's own, or behind: `+3h`. */
  turn(offset: string): Promise<void>
}

async function startWallClock(): Promise<WallClock> {
  const [library] = globSync('/usr/lib/*/faketime/libfaketime.so.1')
  if (library === undefined) throw new Error('libfaketime is missing; install the Debian package faketime')
  const folder = await mkdtemp(join(tmpdir(), 'curfew-clock-'))
  const file = join(folder, 'offset')
  const turn = async (offset: string) => {
    await writeFile(`${file}.new`, `${offset}\n`)
    await rename(`${file}.new`, file) // it is read all the time, and never half written
  }
  await turn('+0')
  const settings = { NO_CACHE: '1', DONT_FAKE_MONOTONIC: '1', TIMESTAMP_FILE: file }
  const entries = Object.entries(settings).map(([name, value]) => [`FAKETIME_${name}`, value])
  return {
    env: { LD_PRELOAD: library, ...(Object.fromEntries(entries) as Record<string, string>) },
    turn,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
}

/** What the gateway's wall clock shows, compared with ours. Answers carry it in whole seconds, looked up once in each. */
async function aheadMs({ opsUrl }: SeparateGateway): Promise<number> {
  const response = await fetch(new URL('/healthz', opsUrl))
  await response.body?.cancel()
  return Date.parse(response.headers.get('date')!) - Date.now()
}
