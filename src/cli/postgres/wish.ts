import type { Command } from 'commander'
import { writeDuration } from '../../kernel/durations.ts'
import { lengthOption } from '../options.ts'

/** What goes with a connection in case that access must be asked for first. */
export interface Wish {
  readonly reason?: string
  /** Milliseconds. */
  readonly for?: number
  readonly ticket?: string
}

export function addWishOptions(command: Command): Command {
  return command
    .option('--reason <text>', 'why, where access must be asked for; without it you get a link to ask')
    .option('--for <length>', 'how long, such as 1h (default: what the policy says)', lengthOption)
    .option('--ticket <id>', 'ticket, in the form that the policy asks for')
}

/** For the startup parameter `options`; empty when nothing is wished. @see docs/protocols.md, "Asking with the connection" */
export function wishAsOptions({ reason, for: lengthMs, ticket }: Wish): string {
  const settings = { reason, for: lengthMs === undefined ? undefined : writeDuration(lengthMs), ticket }
  return Object.entries(settings)
    .flatMap(([name, value]) => (value === undefined ? [] : [`-c curfew.${name}=${escaped(value)}`]))
    .join(' ')
}

/** A backslash takes the next character as it is. */
function escaped(value: string): string {
  return value.replaceAll(/[\s\\'"]/g, String.raw`\$&`)
}
