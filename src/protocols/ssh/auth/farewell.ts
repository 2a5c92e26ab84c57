import { asFault } from '../../../kernel/fault.ts'
import { faultDisconnect } from '../fault-disconnect.ts'
import { refusalText, asciiLine } from '../texts.ts'
import type { Transport } from '../transport.ts'
import type { Exchange } from './exchange.ts'

/**
 * Ends a connection that was not let in, with words: dropbear's client shows only the banner, PuTTY only the goodbye,
 * OpenSSH both.
 * What is no Fault is nobody's business but ours. Harmless when the client is gone.
 */
export function turnAway(transport: Transport, exchange: Pick<Exchange, 'say'>, error: unknown): void {
  if (transport.gone.aborted) return
  const fault = asFault(error)
  if (fault === undefined) {
    transport.disconnect('BY_APPLICATION', 'internal error')
    return
  }
  exchange.say(refusalText(fault))
  transport.disconnect(faultDisconnect[fault.code], asciiLine(`${fault.message} ${fault.hint}`))
}
