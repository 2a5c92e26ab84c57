import type { Fault } from '../../../kernel/fault.ts'
import type { Reachable, ReachDeps } from './reach.ts'
import { asciiLine } from '../texts.ts'
import { table } from './table.ts'

/** What the menu says. */

export type Place = Pick<ReachDeps, 'clientHost' | 'port'>

const kinds: Readonly<Record<Reachable['kind'], string>> = { ssh: 'SSH', postgres: 'PostgreSQL', http: 'web' }

export function greeting(personName: string): string {
  return `Curfew: you are ${personName}.\n\n`
}

/** For a user name that was meant to name something. */
export function misnamedText(user: string): string {
  const shown = user.length > 80 ? `${user.slice(0, 80)}...` : user
  return `"${asciiLine(shown)}" is no role@resource: names have 1 to 63 of a-z, 0-9, "-" and "_".\n`
}

/** More than a terminal shows at once; who needs another one types a part of its name. */
const shownMax = 50

const titles = ['RESOURCE', 'ROLE', 'ACCESS', 'DESCRIPTION'] as const
const nothingThere = 'There is nothing that you may reach by SSH.\n'

/** All that may be reached by SSH, then what is there for other clients. */
export function reachText(reach: readonly Reachable[]): string {
  const [own, others] = parted(reach)
  const rows = own.map(({ resource, role, state, description }) => [resource, role, state, description])
  return (rows.length > 0 ? table([titles, ...rows], null) : nothingThere) + othersText(others, null)
}

/** The same with numbers to choose by, and no more of it than can be read. */
export function menuText(reach: readonly Reachable[], widthMax: number | null): string {
  const [own, others] = parted(reach)
  const mine = own.length > 0 ? numberedText(numbered(own), widthMax) : nothingThere
  return mine + othersText(others.slice(0, shownMax), widthMax) + leftOutText(others.length)
}

/** Those in which a part stands that was typed, with the numbers that they have in the menu; undefined when there are none. */
export function foundText(part: string, reach: readonly Reachable[], widthMax: number | null): string | undefined {
  const all = numbered(parted(reach)[0])
  if (all.some(({ resource }) => resource === part)) return undefined
  const found = all.filter(({ resource, role, description }) =>
    `${role}@${resource} ${resource} ${role} ${description}`.toLowerCase().includes(part),
  )
  return found.length === 0 ? undefined : numberedText(found, widthMax)
}

function numberedText(some: readonly (Reachable & { readonly number: number })[], widthMax: number | null): string {
  const rows = some
    .slice(0, shownMax)
    .map(({ number, resource, role, state, description }) => [String(number), resource, role, state, description])
  return table([['#', ...titles], ...rows], widthMax) + leftOutText(some.length)
}

function leftOutText(count: number): string {
  return count > shownMax ? `  ${shownMax} of ${count}. Type a part of a name to find the others.\n` : ''
}

function numbered(own: readonly Reachable[]): readonly (Reachable & { readonly number: number })[] {
  return own.map((one, index) => ({ ...one, number: index + 1 }))
}

/** What SSH reaches, and what it does not. */
function parted(reach: readonly Reachable[]): readonly [own: readonly Reachable[], others: readonly Reachable[]] {
  return [reach.filter(({ kind }) => kind === 'ssh'), reach.filter(({ kind }) => kind !== 'ssh')]
}

/** One command for each resource serves as an example; it may be longer than a line, and is not cut. */
function othersText(others: readonly Reachable[], widthMax: number | null): string {
  if (others.length === 0) return ''
  const rows = others.map(({ resource, role, kind, state, description }) => [
    resource,
    role,
    kinds[kind],
    state,
    description,
  ])
  const examples = new Map<string, Reachable>()
  for (const one of others) if (!examples.has(one.resource)) examples.set(one.resource, one)
  const commands = [...examples.values()].flatMap((one) => one.commands.slice(0, 1))
  const lines = commands.map((command) => `  ${command}\n`).join('')
  return `\nBy other clients (see your access page):\n${table(rows, widthMax)}${lines === '' ? '' : `\n${lines}`}`
}

/** How to name something without the menu. */
export function howText({ clientHost, port }: Place, example: Reachable | undefined): string {
  const option = port() === 22 ? '' : `-p ${port()} `
  const any = `ssh ${option}ROLE@RESOURCE@${clientHost.replace(/^\[(.*)\]$/, '$1')}`
  return `Connect with: ${example?.commands[0] ?? any}\n`
}

/** For what chooses nothing, or more than one thing. */
export function noChoiceText(word: string, reach: readonly Reachable[]): string {
  const own = reach.filter(({ kind }) => kind === 'ssh')
  const elsewhere = reach.find(({ kind, resource }) => kind !== 'ssh' && resource === word)
  if (elsewhere !== undefined && !own.some(({ resource }) => resource === word)) return noSshText(elsewhere)
  const roles = own.filter(({ resource }) => resource === word).map(({ role }) => role)
  const what =
    roles.length > 0 ? `${word} has the roles ${roles.join(', ')}` : `"${word.slice(0, 80)}" is none of these`
  return `${what}. ${own.length > 0 ? 'Type a number, a part of a name, or role@resource' : 'Type l or q'}.\n`
}

function noSshText({ resource, kind, commands }: Reachable): string {
  const how = commands.slice(0, 1).map((command) => ` It is reached with:\n  ${command}`)
  return `${resource} (${kinds[kind]}) is not reached by SSH.${how.join('')}\n`
}

/** For a role that a terminal is of no use to. */
export function noShellText({ resource, role, commands }: Reachable): string {
  return `${role} on ${resource} has no shell. Connect with:\n${commands.map((command) => `  ${command}\n`).join('')}`
}

export function helpText(place: Place): string {
  return [
    'Without a resource, the gateway itself knows these words:',
    '  ls, status   what you may reach, and what is active',
    '  whoami       who the gateway takes you for',
    '  help         this text',
    howText(place, undefined),
  ].join('\n')
}

export function faultText({ message, hint }: Fault): string {
  return `\n${message}\n${hint}\n\n`
}
