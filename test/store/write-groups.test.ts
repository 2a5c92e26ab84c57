import { join } from 'node:path'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { Database } from '../../src/store/sqlite/database.ts'
import type { Answer, Step } from '../../src/store/sqlite/messages.ts'
import { migrate } from '../../src/store/sqlite/migrate.ts'
import { WriteGroups } from '../../src/store/sqlite/write-groups.ts'

// What shares a commit also shares its failure. The failures are SQLite's own.

const announce = (json: string): Step => ({
  kind: 'statement',
  sql: 'insert into changes (json) values (?)',
  parameters: [json],
})
const append: Step = { kind: 'append', json: '{"type":"gateway.started"}' }
const orphan: Step = {
  kind: 'statement',
  sql: `insert into tokens (id, person_id, label, kind, secret_hash, created_at, expires_at)
    values ('token-x', 'person-nobody', '', 'cli', '', 1, 2)`,
  parameters: [],
}

// Goal: a full disk loses a group as a whole, tells all of it, and the next group works when there is room again.
test('a disk that is full undoes what was begun, and nothing that was acknowledged', async () => {
  await using lab = await makeLab()
  const { database, groups, answers } = lab
  groups.end({ id: 1, kind: 'end', transaction: 1, steps: [append, announce('1')], keep: true })
  groups.settle()
  const pages = Number(database.run({ sql: 'pragma page_count', parameters: [] }).rows[0]?.['page_count'])
  database.exec(`pragma max_page_count = ${pages + 2}`)
  groups.end({ id: 2, kind: 'end', transaction: 2, steps: [append, announce('2')], keep: true })
  const big = announce(JSON.stringify('x'.repeat(100_000)))
  groups.end({ id: 3, kind: 'end', transaction: 3, steps: [append, big], keep: true })
  groups.end({ id: 4, kind: 'end', transaction: 4, steps: [append, announce('4')], keep: true })
  groups.settle()
  database.exec('pragma max_page_count = 1000000')
  groups.end({ id: 5, kind: 'end', transaction: 5, steps: [append, big], keep: true })
  groups.settle()
  const acknowledged = answers.filter((answer) => 'result' in answer).map(({ id }) => id)
  expect(acknowledged).toContain(1)
  expect(acknowledged).toContain(5)
  expect(acknowledged).not.toContain(3)
  expect(answers.map(({ id }) => id).toSorted((left, right) => left - right)).toEqual([1, 2, 3, 4, 5])
  expect(count(database, 'changes')).toBe(acknowledged.length)
  expect(count(database, 'audit')).toBe(acknowledged.length)
  expect(lab.changes).toHaveLength(acknowledged.length)
})

test('a commit that fails is told to everybody in the group', async () => {
  await using lab = await makeLab()
  const { database, groups, answers } = lab
  groups.end({ id: 1, kind: 'end', transaction: 1, steps: [append, announce('1')], keep: true })
  groups.run({ id: 2, kind: 'run', transaction: 2, steps: [append] })
  database.exec('pragma defer_foreign_keys = on')
  groups.end({ id: 3, kind: 'end', transaction: 2, steps: [orphan], keep: true })
  expect(answers.map(({ id }) => id)).toEqual([2])
  groups.settle()
  const refusal = { message: expect.stringContaining('FOREIGN KEY') as string, code: 787 }
  expect(answers.slice(1)).toEqual([
    { id: 1, refusal },
    { id: 3, refusal },
  ])
  groups.end({ id: 4, kind: 'end', transaction: 3, steps: [append, announce('4')], keep: true })
  groups.settle()
  expect(answers.at(-1)).toMatchObject({ id: 4, result: {} })
  expect([count(database, 'audit'), count(database, 'changes')]).toEqual([1, 1])
  expect(lab.changes).toEqual(['4'])
})

async function makeLab() {
  await using stack = new AsyncDisposableStack()
  const folder = stack.adopt(await mkdtemp(join(tmpdir(), 'curfew-groups-')), (path) => rm(path, { recursive: true }))
  const database = stack.adopt(new Database(join(folder, 'state.db'), 'write'), (open) => open.close())
  migrate(database)
  const answers: Answer[] = []
  const changes: string[] = []
  const groups = new WriteGroups(
    database,
    0,
    (answer) => answers.push(answer),
    (more) => changes.push(...more.map(({ json }) => json)),
    () => 0, // groups here end when they are told to, not by time
  )
  const all = stack.move()
  return { database, groups, answers, changes, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

function count(database: Database, table: string): number {
  return Number(database.run({ sql: `select count(*) as rows from ${table}`, parameters: [] }).rows[0]?.['rows'])
}
