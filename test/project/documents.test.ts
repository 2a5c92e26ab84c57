import { globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { noticeTypes } from '../../src/access/outbox.ts'
import { auditTypes } from '../../src/audit/event.ts'
import { checkConfig } from '../../src/config/load.ts'
import type { ConfigProblems } from '../../src/config/problems.ts'
import { configReference, configSchemaText } from '../../src/config/reference.ts'
import { Fault, faultCodes } from '../../src/kernel/fault.ts'
import { metricTable } from '../../src/kernel/metrics.ts'
import { sqlstate } from '../../src/protocols/postgres/fault-sqlstate.ts'
import { faultDisconnect } from '../../src/protocols/ssh/fault-disconnect.ts'
import { reasonCodes } from '../../src/protocols/ssh/transport-messages.ts'
import { faultStatus } from '../../src/kernel/fault-status.ts'

const root = join(import.meta.dirname, '../..')
const read = (file: string) => readFile(join(root, file), 'utf8')

/** The first cell of each table row below a heading, without its backticks. */
function firstCells(text: string, heading: string): readonly string[] {
  const section = text.split(/^## /m).find((part) => part.startsWith(heading)) ?? ''
  return [...section.matchAll(/^\| `([^`]+)`/gm)].map((match) => match[1]!)
}

test('docs/configuration.md and the JSON Schema are what the schema makes now (npm run docs)', async () => {
  expect(await read('docs/configuration.md')).toBe(configReference())
  expect(await read('config/curfew.schema.json')).toBe(configSchemaText())
})

test('docs/faults.md lists every fault code with SQLSTATE, SSH reason, HTTP status and hint, and no other', async () => {
  const rows = [...(await read('docs/faults.md')).matchAll(/^\| `([A-Z_]+)` \| [^|]+ (\|.*)$/gm)]
  const written = Object.fromEntries(rows.map((row) => [row[1], row[2]]))
  const now = faultCodes.map((code) => {
    const { hint } = new Fault(code, '')
    return [code, `| \`${sqlstate[code]}\` | ${reasonCodes[faultDisconnect[code]]} | ${faultStatus[code]} | ${hint} |`]
  })
  expect(written).toEqual(Object.fromEntries(now))
})

test('docs/operations.md lists every metric and every type of audit event, and no other', async () => {
  const text = await read('docs/operations.md')
  expect(firstCells(text, 'Metrics').toSorted()).toEqual(Object.keys(metricTable).toSorted())
  expect(firstCells(text, 'Audit events').toSorted()).toEqual([...auditTypes].toSorted())
})

test('docs/README.md lists every page and every decision', async () => {
  const listed = await read('docs/README.md')
  const pages = globSync(['*.md', 'decisions/*.md'], { cwd: join(root, 'docs') })
  expect(pages.filter((page) => page !== 'README.md' && !listed.includes(`](${page})`))).toEqual([])
})

test('docs/dependencies.md lists every dependency, and no other', async () => {
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(await read('package.json')) as Record<
    string,
    Record<string, string>
  >
  const text = await read('docs/dependencies.md')
  expect(firstCells(text, 'In production').toSorted()).toEqual(Object.keys(dependencies!).toSorted())
  const development = Object.keys({ ...devDependencies, ...optionalDependencies })
  expect(firstCells(text, 'In development').toSorted()).toEqual(development.toSorted())
})

test.each(['curfew.yaml', 'production.yaml'])(
  'config/%s fits the schema, and its policies reach what they name',
  async (name) => {
    const file = join(root, 'config', name)
    const problems = await checkConfig(file, {}).then(
      () => [],
      (error: unknown) => (error as ConfigProblems).problems,
    )
    // Only the files and variables that it refers to are not here.
    expect(
      problems.map(({ message }) => message).filter((message) => !/^cannot read|is not set$/.test(message)),
    ).toEqual([])
  },
)

test('docs/notifications.md lists every event, and no other', async () => {
  expect(firstCells(await read('docs/notifications.md'), 'Who is told').toSorted()).toEqual([...noticeTypes].toSorted())
})
