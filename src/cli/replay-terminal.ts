import { setTimeout as sleep } from 'node:timers/promises'
import { terminalEvents } from '../recording/asciicast.ts'
import type { Recording } from '../recording/reading.ts'
import { WatchableOutput } from '../recording/terminal-sequences.ts'
import { printRaw } from './print.ts'

export interface Playing {
  /** 2: twice as fast. */
  readonly speed: number
  /** Nothing happening is shown for no longer than this. */
  readonly idleLimitMs: number
  /** Seconds since the start of the recording: what comes before is shown at once. */
  readonly from: number
  readonly to: number
}

/**
 * Shows on this terminal what one channel's terminal showed, in its own time; what would make the terminal answer or
 * change its title is left out. Ctrl-C ends it.
 */
export async function playTerminal(recording: Recording, ch: number, playing: Playing): Promise<void> {
  const stopped = new AbortController()
  const stop = () => stopped.abort()
  process.once('SIGINT', stop)
  const output = new WatchableOutput()
  try {
    await play(recording, ch, playing, output, stopped.signal)
  } catch (error) {
    if (!stopped.signal.aborted) throw error
  } finally {
    process.removeListener('SIGINT', stop)
    await printRaw(output.end())
  }
}

async function play(recording: Recording, ch: number, playing: Playing, output: WatchableOutput, stop: AbortSignal) {
  let shownMs = 0
  let lastUs = playing.from * 1e6
  const startedMs = performance.now()
  for await (const event of terminalEvents(recording, ch)) {
    if (event.atUs > playing.to * 1e6) return
    const sinceMs = Math.max(0, event.atUs - lastUs) / 1000
    lastUs = Math.max(lastUs, event.atUs)
    shownMs += Math.min(sinceMs, playing.idleLimitMs) / playing.speed
    const aheadMs = shownMs - (performance.now() - startedMs)
    if (aheadMs > 1) await sleep(aheadMs, undefined, { signal: stop })
    stop.throwIfAborted()
    if (event.kind === 'output') await printRaw(output.take(event.text))
  }
}
