/**
 * Watches one channel and writes down what it sees. It never holds anything up and never throws: what it cannot
 * understand it says so in the recording, and goes on watching the bytes alone.
 * The bytes are there during the call only: what must be kept of them is copied.
 */
export interface ChannelTap {
  /** Standard input of what runs at the target. */
  fromClient(bytes: Buffer): void
  /** Standard output. */
  fromTarget(bytes: Buffer): void
  /** Standard error. */
  errorsFromTarget(bytes: Buffer): void
  /** The channel is over: writes what is unfinished. Called once. */
  close(): void
  /** For the `end` event: the hash of all that went up, where it is not recorded itself. */
  summary?(): { readonly sha256Up?: string }
}
