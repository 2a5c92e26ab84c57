import type { Command } from 'commander'
import * as z from 'zod'
import { sessionList } from '../web/api-schema.ts'
import { openGateway } from './gateway-client.ts'
import { forPeople, note, print, printJson, table } from './print.ts'
import { terminalLine } from './terminal-text.ts'

type Session = z.output<typeof sessionList>['sessions'][number]

export function addSessions(program: Command): void {
  const sessions = program
    .command('sessions')
    .summary('list live sessions, and end them')
    .description('Lists your live sessions.')
    .showHelpAfterError('  To end one: curfew sessions end SESSION. Or try --help.')
    .option('--all', 'those of everybody (operators)')
    .option('--json', 'print one line of JSON each')
    .addHelpText(
      'after',
      '\nExamples:\n  curfew sessions --all\n  curfew sessions end session-abcdefghijklmnop --comment "runs since noon"\n',
    )
    .action(list)
  sessions
    .command('end')
    .summary('end a live session at once; that of somebody else as an operator')
    .description('Ends a live session. The access stays: revoke the grant to take that away, too.')
    .argument('<session>', 'its id, as `curfew sessions` shows it')
    .option('--comment <text>', 'why; whoever is cut off reads it')
    .option('--json', 'print one line of JSON')
    .action(end)
}

async function list({ all, json }: { all?: true; json?: true }): Promise<void> {
  const { client } = await openGateway()
  await using _ = client
  const { sessions } = (await client.call('GET', `/sessions${all ? '?all=true' : ''}`, sessionList)).value
  if (json) return sessions.forEach(printJson)
  if (sessions.length === 0) return note(all ? 'Nobody has a live session.' : 'You have no live session.')
  const head = ['ID', 'WHO', 'WHAT', 'FROM', 'SINCE', 'UNTIL']
  print(table(head, sessions.map(row)))
}

function row(session: Session): readonly string[] {
  const { id, person, resource, role, database, protocol, address, startedAt, expiresAt } = session
  const what = `${resource}${database === null ? '' : `/${database}`} as ${role}`
  return [id, person.displayName, what, `${protocol} ${address}`]
    .map(terminalLine)
    .concat(forPeople(startedAt), forPeople(expiresAt))
}

async function end(id: string, options: { comment?: string }, command: Command): Promise<void> {
  // `--json` is known to both commands; the outer one takes it where it stands before `end`.
  const { json } = command.optsWithGlobals<{ json?: true }>()
  const { comment } = options
  const { client } = await openGateway()
  await using _ = client
  const body = comment === undefined ? {} : { comment }
  await client.call('POST', `/sessions/${encodeURIComponent(id)}/end`, z.undefined(), body)
  if (json) return printJson({ id, state: 'ended' })
  print(`${terminalLine(id)} is ended.`)
}
