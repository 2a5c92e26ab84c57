import type { ChannelTap } from '../tap.ts'
import { commandTap, forwardTap } from './command-tap.ts'
import type { TapOptions } from './options.ts'
import { isSftpServerCommand, readScpCommand } from './plain-command.ts'
import { scpTap } from './scp/scp-tap.ts'
import { sftpTap } from './sftp/sftp-tap.ts'

export interface TapChoice extends TapOptions {
  readonly what: 'shell' | 'exec' | 'subsystem' | 'forward'
  /** The command, or the subsystem's name. */
  readonly command: string
  readonly hasTerminal: boolean
}

/** The tap for what runs on a channel. A terminal changes bytes, so behind one everything is a command. */
export function chooseTap(choice: TapChoice): ChannelTap {
  const { what, command, hasTerminal, recorder } = choice
  if (what === 'forward' || !recorder.active) return forwardTap()
  if (!hasTerminal && what === 'subsystem' && command === 'sftp') return sftpTap(choice)
  if (!hasTerminal && what === 'exec') {
    if (isSftpServerCommand(command)) return sftpTap(choice)
    const scp = readScpCommand(command)
    if (scp !== null) return scpTap({ ...choice, command: scp })
  }
  return commandTap({ ...choice, pty: hasTerminal })
}
