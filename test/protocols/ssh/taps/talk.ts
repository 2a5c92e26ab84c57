import { createHash } from 'node:crypto'
import type { ChannelTap } from '../../../../src/protocols/ssh/tap.ts'
import { chooseTap } from '../../../../src/protocols/ssh/taps/choose-tap.ts'
import { HandClock } from '../../../clock.ts'
import type { Talk } from './packets.ts'
import { KeptRecorder } from './recorded.ts'

export function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export function tapOf(what: 'exec' | 'subsystem', command: string, recordInput = false) {
  const recorder = new KeptRecorder()
  const clock = new HandClock()
  const tap = chooseTap({ ch: 1, what, command, hasTerminal: false, recordInput, recorder, clock })
  return { recorder, clock, tap }
}

/** Lets it pass, each part cut by `cut`. */
export function pass(
  tap: ChannelTap,
  talk: Talk,
  cut: (bytes: Buffer) => readonly Buffer[] = (bytes) => [bytes],
): void {
  for (const [direction, bytes] of talk) {
    for (const piece of cut(bytes)) {
      // A copy, so that a view kept of what has passed shows.
      const own = Buffer.from(piece)
      if (direction === 'up') tap.fromClient(own)
      else tap.fromTarget(own)
      own.fill(0xee)
    }
  }
}

export function cutEvery(bytes: number): (whole: Buffer) => readonly Buffer[] {
  return (whole) => {
    const pieces: Buffer[] = []
    for (let at = 0; at < whole.length; at += bytes) pieces.push(whole.subarray(at, at + bytes))
    return pieces
  }
}
