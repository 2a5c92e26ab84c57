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

/** What may be reached by SSH, with numbers to choose by; then what is there for other clients. */
export function reachText(reach: readonly Reachable[], widthMax: number | null, withNumbers: boolean): string {
  const [own, others] = [reach.filter(({ kind }) => kind === 'ssh'), reach.filter(({ kind }) => kind !== 'ssh')]
  const head = [...(withNumbers ? ['#'] : []), 'RESOURCE', 'ROLE', 'ACCESS', 'DESCRIPTION']
  const rows = own.map(({ resource, role, state, description }, index) => [
    ...(withNumbers ? [String(index + 1)] : []),
    ...[resource, role, state, description],
  ])
  const mine = own.length > 0 ? table([head, ...rows], widthMax) : 'There is nothing that you may reach by SSH.\n'
  return others.length > 0 ? `${mine}\nBy other clients (see your access page):\n${othersText(others, widthMax)}` : mine
}

/** One command for each resource serves as an example; it may be longer than a line, and is not cut. */
function othersText(others: readonly Reachable[], widthMax: number | null): string {
  const rows = others.map(({ resource, role, kind, state, description }) => [
    resource,
    role,
    kinds[kind],
    state,
    description,
  ])
  const examples = others.filter(
    ({ resource }, index) => others.findIndex((one) => one.resource === resource) === index,
  )
  const commands = examples.flatMap((one) => one.commands.slice(0, 1))
  const lines = commands.map((command) => `  ${command}\n`).join('')
  return `${table(rows, widthMax)}${lines === '' ? '' : `\n${lines}`}`
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
  return `${what}. ${own.length > 0 ? 'Type a number, or role@resource' : 'Type l or q'}.\n`
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
