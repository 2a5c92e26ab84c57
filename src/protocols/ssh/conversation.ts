import type { Identified, Client } from '../../sessions/session.ts'
import type { Fault } from '../../kernel/fault.ts'

/** What the user name asks for. `menu`: nothing yet; `misnamed` is a user name that was meant to name something. */
export type Wanted =
  | { readonly kind: 'session'; readonly resource: string; readonly role: string }
  | { readonly kind: 'menu'; readonly misnamed?: string }

export interface Prompt {
  /** ASCII, ends with a space: `How long? [1h] `. */
  readonly text: string
  readonly echo: boolean
}

/**
 * The rest of the authentication of somebody who is known by now (RFC 4252, 4256): the client still waits for the
 * answer, so it can be told things, asked things, let in or turned away.
 */
export interface Conversation {
  readonly identified: Identified
  readonly wanted: Wanted
  readonly client: Client
  /** The client is in keyboard-interactive: it shows and asks without being asked to go on first. */
  readonly isInteractive: boolean
  /** Shows lines to the person (a banner). */
  say(text: string): void
  /** Shows `instruction` and goes on; where the client does not do keyboard-interactive now, as a banner. */
  show(title: string, instruction: string): Promise<void>
  /**
   * Asks; undefined when this client cannot be asked (no keyboard-interactive: BatchMode, a library).
   * Rejects with the transport's reason when the client goes.
   */
  ask(title: string, instruction: string, prompts: readonly Prompt[]): Promise<readonly string[] | undefined>
  /** Lets them in: from here on it is channels. */
  succeed(): void
  /** Says why, in words, and ends the connection. */
  refuse(fault: Fault): void
}

/** A session channel that the menu had opened and that goes on as a channel to the target. */
export interface AdoptedChannel {
  /** The client's number for it, and the number that the gateway gave it (what the client sends to). */
  readonly clientChannel: number
  readonly ownChannel: number
  /** What the gateway may still send on it, and the largest packet. */
  readonly clientWindowBytes: number
  readonly clientPacketBytesMax: number
  /** What the client may still send on it. */
  readonly grantedWindowBytes: number
  /** Its CHANNEL_REQUESTs so far (pty-req, env, shell), whole messages as they came, want-reply and all. */
  readonly requests: readonly Buffer[]
  /** What was typed after the choice, and is for the target. */
  readonly typed: Buffer
}
