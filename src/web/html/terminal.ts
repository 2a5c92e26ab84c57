import { html } from 'hono/html'
import type { Html } from '../context.ts'
import { path } from './parts.ts'

const speeds = ['0.5', '1', '2', '4', '8'] as const

/** Where a player stands, and what to tell it (see assets/replay.js). Without the script there is the text. */
export interface Terminal {
  readonly session: string
  readonly channel: number
  readonly startedAt: number
  /** Seconds of the recording at which it opens. */
  readonly atSeconds: number
}

export function terminalPlayer({ session, channel, startedAt, atSeconds }: Terminal): Html {
  return html`<form class="tools replay-tools" data-replay-tools hidden aria-label="How it is played">
      <select name="speed" autocomplete="off" aria-label="Speed">
        ${speeds.map((speed) => html`<option value="${speed}" ${speed === '1' ? ' selected' : ''}>${speed} x</option>`)}
      </select>
      <label class="check"
        ><input type="checkbox" name="skip" value="yes" autocomplete="off" checked /> Skip pauses</label
      >
      <span class="small">It is <b class="time" data-replay-clock></b></span>
      <span class="small keys"
        ><kbd>space</kbd> play, <kbd>←</kbd> <kbd>→</kbd> 5 s, <kbd>[</kbd> <kbd>]</kbd> markers, <kbd>.</kbd> step,
        <kbd>f</kbd> full screen</span
      >
    </form>
    <div
      class="replay"
      data-replay="${path('recordings', session, 'replay', `${channel}`)}"
      data-started-at="${startedAt}"
      data-at="${atSeconds}"
    ></div>
    <p class="small" data-replay-long hidden>
      Long: fetched in parts while it plays. After a jump the screen is drawn from the 256 KiB that were shown before;
      what stood there for longer may be missing until it is drawn again. The export has everything.
    </p>
    <noscript><p class="small">The player needs JavaScript. The text below and the export need none.</p></noscript>`
}
