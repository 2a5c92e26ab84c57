import type { Command } from 'commander'
import type * as z from 'zod'
import { statement as statementShape, statementList } from '../web/api-schema.ts'
import { openGateway } from './gateway-client.ts'
import { forPeople, note, print, printJson, table } from './print.ts'
import { CliProblem } from './problem.ts'
import { terminalLine, terminalText } from './terminal-text.ts'

type Statement = z.output<typeof statementShape>

export function addStatements(program: Command): void {
  program
    .command('statements')
    .summary('list statements that wait until you agree')
    .description('Lists the statements that wait in sessions of others for your word, oldest first.')
    .option('--all', 'also the last of those that were answered, lapsed or were given up')
    .option('--json', 'print one line of JSON each')
    .action(async ({ all, json }: { all?: true; json?: true }) => {
      const { client } = await openGateway()
      await using _ = client
      const { waiting, closed } = (await client.call('GET', '/statements', statementList)).value
      const shown = all ? [...waiting, ...closed] : waiting
      if (json) return shown.forEach(printJson)
      if (shown.length === 0) return note('No statement waits for you.')
      print(table(['ID', 'WHO', 'WHERE', 'UNTIL', 'STATE', 'WHAT'], shown.map(row)))
    })
}

function row({ id, person, lapsesAt, state, about, ...statement }: Statement): readonly string[] {
  return [
    ...[terminalLine(id), terminalLine(person.displayName), whereOf(statement), forPeople(lapsesAt)],
    ...[stateWords[state], terminalLine(about)],
  ]
}

const stateWords: Readonly<Record<Statement['state'], string>> = {
  waiting: 'waits',
  approved: 'agreed to',
  refused: 'refused',
  lapsed: 'not answered',
  'given-up': 'given up',
}

function whereOf({ resource, role }: Pick<Statement, 'resource' | 'role'>): string {
  return terminalLine(`${resource} as ${role}`)
}

interface Options {
  readonly approve?: true
  readonly refuse?: true
  readonly comment?: string
  readonly json?: true
}

export function addStatement(program: Command): void {
  program
    .command('statement')
    .summary('look at a statement that waits, and let it run or not')
    .description(
      'Without a verdict it shows the statement, whose session it waits in, and why it is asked about. With one it answers, once.',
    )
    .argument('<id>', 'as `curfew statements` shows it (question-…)')
    .option('--approve', 'let it run')
    .option('--refuse', 'let it fail; the session goes on')
    .option('--comment <text>', 'the person reads it when you refuse')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  curfew statement question-abc\n  curfew statement question-abc --approve\n  curfew statement question-abc --refuse --comment "use the archive"\n',
    )
    .action(statement)
}

async function statement(id: string, { json, ...options }: Options): Promise<void> {
  if (!id.startsWith('question-')) {
    throw new CliProblem('that is no statement', { hint: 'Give an id (question-…): curfew statements', exitCode: 2 })
  }
  const word = wordOf(options)
  const { client } = await openGateway()
  await using _ = client
  const path = `/statements/${encodeURIComponent(id)}`
  const { value } =
    word === undefined
      ? await client.call('GET', path, statementShape)
      : await client.call('POST', `${path}/decide`, statementShape, word)
  if (json) printJson(value)
  else print(word === undefined ? text(value) : `${terminalLine(id)} is ${stateWords[value.state]}.`)
}

function wordOf({ approve, refuse, comment }: Options): object | undefined {
  if (approve && refuse) {
    throw new CliProblem('it runs or it does not', { hint: 'Give --approve or --refuse.', exitCode: 2 })
  }
  if (approve === undefined && refuse === undefined) {
    if (comment === undefined) return undefined
    throw new CliProblem('a comment needs a verdict', { hint: 'Give --approve or --refuse.', exitCode: 2 })
  }
  return { verdict: approve ? 'approve' : 'refuse', ...(comment !== undefined && { comment }) }
}

function text(statement: Statement): string {
  const { person, decidedBy, comment, sql, sqlChars, state } = statement
  const lines: readonly (readonly [string, string])[] = [
    ['Who', terminalLine(person.displayName)],
    ['Where', whereOf(statement)],
    ['What', terminalLine(statement.about)],
    ['Rule', terminalLine(statement.rule ?? 'none fitted')],
    ...(statement.message === null ? [] : [['', terminalLine(statement.message)] as const]),
    ['Asked', forPeople(statement.askedAt)],
    ['Until', forPeople(statement.lapsesAt)],
    [
      'State',
      decidedBy === null ? stateWords[state] : `${stateWords[state]}, by ${terminalLine(decidedBy.displayName)}`,
    ],
    ...(comment === null || comment === '' ? [] : [['Comment', terminalLine(comment)] as const]),
    ['Page', terminalLine(statement.link)],
  ]
  const cut = sqlChars > sql.length ? [`... (the first ${sql.length} of ${sqlChars} characters)`] : []
  return [...lines.map(([label, value]) => `${label.padEnd(8)} ${value}`), '', terminalText(sql), ...cut].join('\n')
}
