import type { Identified } from '../../../sessions/session.ts'
import { asciiText } from '../texts.ts'
import type { Reachable } from './reach.ts'
import { helpText, howText, reachText, type Place } from './words.ts'

export interface CommandContext {
  readonly identified: Identified
  readonly reach: readonly Reachable[]
  readonly place: Place
}

export interface CommandResult {
  readonly out: string
  readonly errors: string
  readonly status: number
}

/** The words that the gateway itself knows: `ssh gw ls`. */
export function runCommand(command: string, { identified, reach, place }: CommandContext): CommandResult {
  switch (command.trim()) {
    case 'ls':
    case 'status':
      return good(reachText(reach))
    case 'whoami':
      return good(asciiText(`${identified.personName}\n`))
    case 'help':
      return good(helpText(place))
    default: {
      const first = reach.find(({ kind }) => kind === 'ssh')
      const errors = `curfew: "${asciiText(command.slice(0, 80)).replaceAll('\n', ' ')}" needs a resource to run on.\n`
      return { out: '', errors: `${errors}${howText(place, first)}\n${helpText(place)}`, status: 1 }
    }
  }
}

function good(out: string): CommandResult {
  return { out, errors: '', status: 0 }
}
