import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Log } from '../../src/kernel/log.ts'
import { openSqliteState } from '../../src/store/sqlite/open.ts'
import { HandClock } from '../clock.ts'
import type { Place } from '../contracts/place.ts'

export interface SqlitePlace extends Place {
  readonly folder: string
  readonly file: string
}

export const silence: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silence,
}

/** A folder of its own, gone at the end with all that was opened in it. */
export async function makeSqlitePlace(log: Log = silence): Promise<SqlitePlace> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.adopt(await mkdtemp(join(tmpdir(), 'curfew-state-')), (path) => rm(path, { recursive: true }))
  const clock = new HandClock()
  const all = stack.move()
  return {
    clock,
    folder,
    file: join(folder, 'state.db'),
    open: async () => all.use(await openSqliteState({ folder, clock, log })),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}
