/** What the gateway wrote down while a suite ran: is all of it sealed, and has every statement its answer? */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { postgresTimeline } from '../../src/recording/postgres-timeline.ts'
import type { StatementItem } from '../../src/recording/postgres-timeline-items.ts'
import { openRecording } from '../../src/recording/reading.ts'
import { verifyRecording } from '../../src/recording/verify.ts'
import { readKeys } from '../../test/keys.ts'
import type { TestGateway } from '../../test/servers/gateway.ts'

export interface Recorded {
  readonly sessions: number
  readonly sealed: number
  readonly statements: number
  /** Statements with neither result nor error, by their text: what an error in a pipeline skipped, or a death. */
  readonly unanswered: ReadonlyMap<string, number>
  /** Statements that ended with an error. */
  readonly errors: number
}

const pollMs = 20

/** Waits until every session has ended. */
export async function readRecordings({ gateway, config }: TestGateway): Promise<Recorded> {
  const { sessions } = gateway.state
  while ((await sessions.sessions({ live: true, limit: 1 })).length > 0) await sleep(pollMs)
  const keys = await readKeys(config.gateway.dataFolder)
  const found = { sessions: 0, sealed: 0, statements: 0, unanswered: new Map<string, number>(), errors: 0 }
  for (const { recording } of await sessions.sessions({ limit: 1_000_000 })) {
    const file = join(config.gateway.dataFolder, 'recordings', recording!)
    found.sessions += 1
    if ((await verifyRecording(file, keys)).state === 'sealed') found.sealed += 1
    for await (const item of statementsOf(file)) {
      found.statements += 1
      if (item.error !== null) found.errors += 1
      if (item.error !== null || item.results.length > 0) continue
      const sql = item.sql ?? '(of a statement that is not in the recording)'
      found.unanswered.set(sql, (found.unanswered.get(sql) ?? 0) + 1)
    }
  }
  return found
}

async function* statementsOf(file: string): AsyncGenerator<StatementItem> {
  await using recording = await openRecording(file)
  for await (const item of postgresTimeline(recording.events())) if (item.kind === 'statement') yield item
}
