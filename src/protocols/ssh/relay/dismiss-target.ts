import type { Log } from '../../../kernel/log.ts'
import type { Clock } from '../../../kernel/time.ts'
import type { Transport } from '../transport.ts'
import type { Channels, RelayChannel } from './channel.ts'
import { channelClose, message, readChannelRequest, recipientOf, signalRequest, windowAdjust } from './messages.ts'

/** How long what runs may take to end by itself, before it is ended the hard way, and before the line is cut. */
const askedMs = 1000
const forcedMs = 1000
/** What is still in a pipe at the target must be taken before it can say that the program has ended. */
const lastOutputBytes = 1024 * 1024

export interface DismissDeps {
  readonly clock: Clock
  readonly log: Log
}

/**
 * Until it is dismissed, nothing that a target sends is passed on; but what ends there is noted. A target hangs up on
 * whoever speaks of a channel that is gone, and then nobody could end the rest.
 */
export function noteEnds(target: Transport, channels: Channels): void {
  target.onMessage = (bytes) => {
    if (!tellsOfAnEnd(bytes)) return
    const channel = channels.ofClient(recipientOf(bytes))
    if (channel === undefined) return
    channel.hasExited = true
    if (bytes[0] === message.channelClose) channel.targetClosed = true
  }
}

/**
 * Ends a connection to a target so that nothing of it goes on there. A closed connection alone does not stop a command
 * without a terminal: so every session channel gets the signals that a terminal's end would send (HUP, TERM), then
 * KILL, as far as the target knows signals (RFC 4254 section 6.9); then it is closed. A subsystem is closed at once:
 * OpenSSH passes no signals on to it, and it ends when nobody asks it any more. Forwarded connections and file handles
 * go with their channels.
 * @returns when the connection is closed; never rejects.
 */
export async function dismissTarget(
  target: Transport,
  channels: readonly RelayChannel[],
  { clock, log }: DismissDeps,
): Promise<void> {
  if (target.gone.aborted) return
  const open = channels.filter((channel) => channel.target !== null && !channel.targetClosed)
  const running = new Map(
    open.filter(({ isRunning, hasExited }) => isRunning && !hasExited).map((channel) => [channel.client!, channel]),
  )
  const settled = Promise.withResolvers<void>()
  target.onMessage = (bytes) => {
    if (!tellsOfAnEnd(bytes)) return
    running.delete(recipientOf(bytes))
    if (running.size === 0) settled.resolve()
  }
  target.gone.addEventListener('abort', () => settled.resolve(), { once: true })
  for (const { target: number, isSubsystem } of surestFirst(running)) {
    target.send(signalRequest(number!, 'HUP'))
    target.send(signalRequest(number!, 'TERM'))
    target.send(isSubsystem ? channelClose(number!) : windowAdjust(number!, lastOutputBytes))
  }
  for (const channel of open) {
    const isClosing = channel.isRunning || channel.clientClosed
    if (!isClosing) target.send(channelClose(channel.target!))
  }
  if (running.size > 0) await either(settled.promise, askedMs, clock)
  for (const { target: number, isSubsystem } of surestFirst(running)) {
    if (isSubsystem) continue
    target.send(signalRequest(number!, 'KILL'))
    target.send(channelClose(number!))
  }
  if (running.size > 0) await either(settled.promise, forcedMs, clock)
  if (running.size > 0) log.warn({ channels: running.size }, 'what ran at the target did not end; it may go on')
  target.disconnect('BY_APPLICATION', 'the session was ended')
  const gone = Promise.withResolvers<void>()
  target.gone.addEventListener('abort', () => gone.resolve(), { once: true })
  if (!target.gone.aborted) await either(gone.promise, forcedMs, clock)
  target.destroy()
}

/** What the client has closed may be gone at the target by now. */
function surestFirst(running: ReadonlyMap<number, RelayChannel>): readonly RelayChannel[] {
  return [...running.values()].toSorted((a, b) => Number(a.clientClosed) - Number(b.clientClosed))
}

function tellsOfAnEnd(bytes: Buffer): boolean {
  if (bytes[0] === message.channelClose) return true
  return bytes[0] === message.channelRequest && readChannelRequest(bytes).type.startsWith('exit-')
}

async function either(event: Promise<void>, delayMs: number, clock: Clock): Promise<void> {
  const late = Promise.withResolvers<void>()
  const timer = clock.after(delayMs, late.resolve)
  await Promise.race([event, late.promise])
  timer.cancel()
}
